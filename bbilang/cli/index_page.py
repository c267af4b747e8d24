"""The index page of `bbi run --each`: a thumbnail, the predictions and a link for every picture, in one standalone
file."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1e; --soft: #5f6368; --line: #d9dadd; --paper: #fff; --accent: #0b57d0 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8ea; --soft: #a0a3a8; --line: #3a3b3f; --paper: #17181a; --accent: #8ab4f8 } }
body { margin: 0 auto; max-width: 72rem; padding: 2rem 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem; margin: 0 } p { margin: .25rem 0 } .soft { color: var(--soft); font-size: .875rem }
ul { list-style: none; padding: 0; margin: 1.5rem 0; display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)) }
li { border: 1px solid var(--line); border-radius: .5rem; overflow: hidden }
li a { display: block; color: inherit; text-decoration: none; height: 100% }
li a:hover h2, li a:focus-visible h2 { text-decoration: underline; color: var(--accent) }
a:focus-visible { outline: 3px solid var(--accent); outline-offset: -3px }
img { display: block; width: 100%; aspect-ratio: 1; object-fit: cover } li div { padding: .5rem .75rem .75rem }
h2 { font-size: 1rem; margin: 0; overflow-wrap: anywhere } .wrong { border-style: dashed }
table { border-spacing: 0; font-size: .875rem; width: 100% } td:last-child { text-align: right; white-space: nowrap }
"""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{{ title }}</title><style>{{ style }}</style></head><body>
<h1>{{ title }}</h1><p class="soft">{{ words }}</p>
<ul>
{% for entry in entries %}<li{% if not entry.file %} class="wrong"{% endif %}>
{%- if entry.file %}<a href="{{ entry.file | urlencode }}">{% endif %}
{%- if entry.thumbnail %}<img src="{{ entry.thumbnail }}" alt="{{ entry.name }}" loading="lazy">{% endif %}
<div><h2>{{ entry.name }}</h2>
{% if entry.error %}<p class="soft">{{ entry.error }}</p>{% endif %}
{% if entry.top %}<table>{% for label, share in entry.top %}<tr><td>{{ label }}</td><td>{{ share }}</td></tr>{% endfor %}</table>{% endif %}
</div>{% if entry.file %}</a>{% endif %}</li>
{% endfor %}</ul>
</body></html>
"""  # noqa: E501


@dataclass(frozen=True)
class Entry:
    """One picture: the file name of its page, relative to the index, or its error."""

    name: str
    file: str = ""
    thumbnail: str = ""  # a data: address
    top: tuple[tuple[str, str], ...] = ()
    error: str = ""


def index(title: str, words: str, entries: Sequence[Entry]) -> str:
    """Return the index as HTML, with names and labels escaped."""
    from jinja2 import Environment
    from markupsafe import Markup

    template = Environment(autoescape=True, trim_blocks=True).from_string(PAGE)
    return template.render(title=title, words=words, entries=entries, style=Markup(STYLE))


def thumbnail(shown: Any, side: int = 320) -> str:
    """Encode a uint8 picture (y, x, rgb) as a small JPEG in a data: URL."""
    from PIL import Image

    picture = Image.fromarray(shown)
    picture.thumbnail((side, side))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{b64encode(stream.getvalue()).decode()}"


def percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share < 0.0995 else f"{100 * share:.0f} %"

"""What mkdocs does besides for the documentation: a page for each interface of the gallery.

docs/gallery.md is the one source of the gallery's words and reads well by itself. Each of its sections names its spec
in a link; here it becomes a page with the spec's text and the live page in a frame, and the gallery becomes cards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
SPECS, DOCS = ROOT / "specs", ROOT / "docs"
SECTION = re.compile(r"^## (.+)\n\n\[`specs/\w+\.bbi`\]\(\.\./specs/(\w+)\.bbi\)(.*)\n\n((?:(?!^## ).*\n?)*)", re.M)
ANCHORED = re.compile(r'^<a id="([\w-]+)"></a>\n\n(#+ .+)$', re.M)
LOCAL = re.compile(r"\]\((?=[\w/-]+\.(?:md|svg|webp|png))([\w/-]+)")
PIPES = re.compile(r"(`+)([^`\n]*\\\|.*?)\1")  # code with an escaped pipe, as GitHub wants it in tables
NAMED = re.compile(r"^```bbi ([\w.]+)$", re.M)


@dataclass(frozen=True)
class Entry:
    """One interface: the spec's name, a heading, where it stands in the article, and what to look for."""

    name: str
    heading: str
    figure: str
    words: str

    @property
    def text(self) -> str:
        return (SPECS / f"{self.name}.bbi").read_text(encoding="utf-8")

    @property
    def question(self) -> str:
        """The first comment of the text."""
        return next(line for line in self.text.splitlines() if line.startswith("# ")).removeprefix("# ")


def entries(gallery: str) -> list[Entry]:
    """Every section of the gallery. Raises PluginError where specs and sections are not the same."""
    found = [
        Entry(name, heading, figure.strip(" ,"), words.strip())
        for heading, name, figure, words in SECTION.findall(gallery)
    ]
    sections, specs = sorted(entry.name for entry in found), sorted(path.stem for path in SPECS.glob("*.bbi"))
    if sections != specs:
        raise PluginError(f"docs/gallery.md has the sections {sections}, and specs/ the files {specs}")
    return found


def on_config(config: Any) -> Any:
    """The interfaces stand in the navigation; a page that no benchmark has written yet does not."""
    config.extra["entries"] = entries((DOCS / "gallery.md").read_text(encoding="utf-8"))
    for section in config.nav:
        for pages in section.values():
            if pages == ["gallery.md"]:
                pages += [{entry.heading: f"interfaces/{entry.name}.md"} for entry in config.extra["entries"]]
            elif isinstance(pages, list):
                pages[:] = [page for page in pages if (DOCS / next(iter(page.values()))).exists()]
    return config


def on_files(files: Any, config: Any) -> Any:
    for entry in config.extra["entries"]:
        files.append(File.generated(config, f"interfaces/{entry.name}.md", content=interface(entry)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    if page.file.src_uri == "gallery.md":
        return cards(markdown, config.extra["entries"])
    lines = [PIPES.sub(code, line) if line.startswith("|") else line for line in markdown.split("\n")]
    return NAMED.sub(r'```bbi title="\1"', ANCHORED.sub(r"\2 {#\1}", "\n".join(lines)))


def code(match: re.Match[str]) -> str:
    """A span of code in a table as HTML in which nothing means anything to Markdown, which would show the escapes."""
    said = match[2].strip().replace("\\|", "|")
    return f"<code>{''.join(c if c.isalnum() or c == ' ' else f'&#{ord(c)};' for c in said)}</code>"


def interface(entry: Entry) -> str:
    """The page of one interface: its question, its text, what to look for, and the page that the text makes."""
    live = f"../gallery/{entry.name}.html"
    words = LOCAL.sub(r"](../\1", entry.words)  # they were written one folder above
    return f"""---
hide: [toc]
---

# {entry.heading}

<p class="question">{escape(entry.question)}</p>

```bbi title="{entry.name}.bbi"
{entry.text.rstrip()}
```

{words}

<p class="figure">{escape(entry.figure.capitalize())}.</p>

<div class="live">
<p><a href="{live}" target="_blank">Open this page alone</a>. <code>bbi run specs/{entry.name}.bbi</code> made it.</p>
<iframe class="live" src="{live}" title="{escape(entry.heading)}" loading="lazy"></iframe>
</div>
"""


def cards(markdown: str, found: list[Entry]) -> str:
    """The gallery with a card in place of each section: a picture where there is one, the heading and the question."""
    return markdown[: SECTION.search(markdown).start()] + f'<div class="cards">{"".join(map(card, found))}</div>\n'


def card(entry: Entry) -> str:
    image = f"images/gallery-{entry.name}.webp"
    picture = f'<img src="{image}" alt="" loading="lazy">' if (DOCS / image).exists() else ""
    href = f"interfaces/{entry.name}.html"
    return (
        f'<a href="{href}">{picture}<strong>{escape(entry.heading)}</strong><span>{escape(entry.question)}</span></a>'
    )

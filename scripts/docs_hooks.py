"""Hooks of mkdocs: a page for each interface of the gallery.

docs/gallery.md is the only source of the gallery's words and can be read by itself. Each section names its spec in a
link and begins with a sentence on its use. Here it becomes a page with the live page in a frame and the spec's text
below, and the gallery becomes cards.
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
    """One interface: the spec's name, a heading, its place in the article, its use, and what to look for."""

    name: str
    heading: str
    figure: str
    use: str
    words: str

    @property
    def text(self) -> str:
        return (SPECS / f"{self.name}.bbi").read_text(encoding="utf-8")

    @property
    def question(self) -> str:
        """The first comment of the text."""
        return next(line for line in self.text.splitlines() if line.startswith("# ")).removeprefix("# ")


def entries(gallery: str) -> list[Entry]:
    """Return every section of the gallery. Raises PluginError if the sections do not match the specs."""
    read = []
    for heading, name, figure, text in SECTION.findall(gallery):
        use, _, words = text.strip().partition("\n\n")
        if not use.startswith("Use it ") or "\n" in use:
            raise PluginError(f"docs/gallery.md: the section of {name} begins with a sentence `Use it ...` on one line")
        read.append(Entry(name, heading, figure.strip(" ,"), use, words))
    sections, specs = sorted(entry.name for entry in read), sorted(path.stem for path in SPECS.glob("*.bbi"))
    if sections != specs:
        raise PluginError(f"docs/gallery.md has the sections {sections}, and specs/ the files {specs}")
    return read


def on_config(config: Any) -> Any:
    """Add the interfaces to the navigation; remove pages that no benchmark has written yet."""
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
        page.meta["hide"] = ["toc"]
        return cards(markdown, config.extra["entries"])
    lines = [PIPES.sub(code, line) if line.startswith("|") else line for line in markdown.split("\n")]
    return NAMED.sub(r'```bbi title="\1"', ANCHORED.sub(r"\2 {#\1}", "\n".join(lines)))


def code(match: re.Match[str]) -> str:
    """Format code in a table as HTML without Markdown characters; Markdown would show the escapes."""
    said = match[2].strip().replace("\\|", "|")
    return f"<code>{''.join(c if c.isalnum() or c == ' ' else f'&#{ord(c)};' for c in said)}</code>"


def interface(entry: Entry) -> str:
    """Return the page of one interface: its question and use, the live page, what to look for, and the text."""
    live = f"../gallery/{entry.name}.html"
    words = LOCAL.sub(r"](../\1", entry.words)  # written for the folder above
    figure = entry.figure[:1].upper() + entry.figure[1:]
    return f"""---
hide: [navigation, toc]
---

<p class="back"><a href="../gallery.html">Gallery</a></p>

# {entry.heading}

<p class="question">{escape(entry.question)}</p>

<p class="use">{escape(entry.use)}</p>

<div class="live">
<iframe class="live" src="{live}" title="{escape(entry.heading)}"></iframe>
<p><a href="{live}" target="_blank">Open this page alone</a> ({escape(figure)}.)</p>
</div>

<div class="read" markdown>

## What to look for

{words}

## The text

`bbi run {entry.name}.bbi` makes the page above; `bbi examples {entry.name} -o {entry.name}.bbi` writes this file.

```bbi title="{entry.name}.bbi"
{entry.text.rstrip()}
```

</div>
"""


def cards(markdown: str, sections: list[Entry]) -> str:
    """Return the gallery with a card for each section: a picture if there is one, the heading and the question; and
    where they all lie in the space of interfaces."""
    space = (
        '<p><a href="gallery/space.html">Where these pages lie in the space of interfaces, and what is empty</a></p>'
    )
    every = f'<div class="cards">{"".join(map(card, sections))}</div>\n'
    return f"{markdown[: SECTION.search(markdown).start()]}{space}\n\n{every}"


def card(entry: Entry) -> str:
    image = f"images/gallery-{entry.name}.webp"
    picture = f'<img src="{image}" alt="" loading="lazy">' if (DOCS / image).exists() else ""
    href = f"interfaces/{entry.name}.html"
    return (
        f'<a href="{href}">{picture}<strong>{escape(entry.heading)}</strong><span>{escape(entry.question)}</span></a>'
    )

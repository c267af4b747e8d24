"""The documentation site: every spec is in the gallery, no link is broken, and no other host is requested.

Only the text and one live page with tiny icons are built here; `make docs` builds them all.
"""

from __future__ import annotations

import functools
import http.server
import re
import runpy
import subprocess
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
SPECS = sorted((ROOT / "specs").glob("*.bbi"))
LIVE = "spatial_and_channel"
TINY = ["--set", "featvis.size=16", "--set", "featvis.steps=2"]

pytest.importorskip("material", reason="without the docs extra")
DOCS = runpy.run_path(str(ROOT / "scripts" / "docs.py"))


class Page(HTMLParser):
    """What a page of the site refers to, and what can be referred to in it."""

    def __init__(self, path: Path):
        super().__init__()
        self.links: list[str] = []  # followed by a reader
        self.loaded: list[str] = []  # fetched by the browser
        self.anchors: set[str] = set()
        self.words = ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag == "link" and values.get("rel") in ("stylesheet", "icon", "preload", "preconnect"):
            self.loaded.append(values["href"])
        elif "src" in values:
            self.loaded.append(values["src"])

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "site"
    DOCS["text"](folder)
    DOCS["live"](folder, LIVE, TINY)
    DOCS["space"](folder)
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    written = [path for path in site.rglob("*.html") if path.parent.name != "gallery"]
    return {path.relative_to(site).as_posix(): Page(path) for path in written}


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_every_spec_is_in_the_gallery(spec: Path, pages: dict[str, Page]) -> None:
    text, name = spec.read_text("utf-8"), f"interfaces/{spec.stem}.html"
    question = next(line for line in text.splitlines() if line.startswith("# ")).removeprefix("# ")
    assert question in pages["gallery.html"].words
    assert pages["gallery.html"].links.count(name) >= 2, "a card and the navigation"
    own = pages[name]
    assert text.rstrip() in own.words and f"../gallery/{spec.stem}.html" in {*own.loaded} & {*own.links}
    before, _, after = own.words.partition("Open this page alone")
    assert re.search(r"^Use it [^\n]+\.$", before, re.M), "one sentence on its use, above the live page"
    looked_for, _, text_below = after.partition("The text")
    assert text.rstrip() in text_below, "the live page first, the text below it"
    assert len(re.findall(r"[\w)][.!?](?=\s)", looked_for)) >= 3, "what to look for, in two or three sentences"


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_every_spec_is_in_the_readme(spec: Path) -> None:
    assert f"](specs/{spec.name})" in (ROOT / "README.md").read_text("utf-8")


def test_every_link_and_picture_is_there(site: Path, pages: dict[str, Page]) -> None:
    lost, checked = set(), 0
    for name, page in pages.items():
        base = site if name == "404.html" else (site / name).parent
        for link in [*page.links, *page.loaded]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            to = (base / unquote(parts.path)).resolve() if parts.path else site / name
            checked += 1
            if name == "404.html" and parts.path.startswith("/"):
                to = site / unquote(parts.path).lstrip("/")
            if not to.is_file():
                lost.add(to.relative_to(site).as_posix())
            elif parts.fragment and to.suffix == ".html":
                anchors = pages[to.relative_to(site).as_posix()].anchors
                assert unquote(parts.fragment) in anchors, f"{name}: {link}"
    assert checked > 1000
    assert lost == {f"gallery/{path.stem}.html" for path in SPECS if path.stem != LIVE}, "live pages alone are not here"


def test_the_gallery_shows_where_its_pages_lie(site: Path, pages: dict[str, Page]) -> None:
    space = Page(site / "gallery" / "space.html")
    assert "gallery/space.html" in pages["gallery.html"].links
    assert "Which channels, and where?" in space.words, "the title of a page is its name"
    assert f'data-file="{LIVE}.html"' in (site / "gallery" / "space.html").read_text("utf-8"), "as far as they are made"


def test_nothing_comes_from_outside(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        assert page.loaded and not [link for link in page.loaded if urlsplit(link).netloc], name


def test_no_path_of_this_machine(site: Path) -> None:
    for path in site.rglob("*"):
        if path.suffix in (".html", ".js", ".json", ".css", ".xml", ".svg"):
            text = path.read_text("utf-8")
            assert not [folder for folder in (ROOT, site, Path.home()) if f"{folder}/" in text], path.name


def test_markdown_is_understood(pages: dict[str, Page]) -> None:
    """What GitHub reads, mkdocs reads too: pipes in tables, fences with a file's name, lists after a line."""
    for name, page in pages.items():
        if name.startswith("assets/bbi/"):
            continue  # a live page, which no Markdown became
        lost = re.findall(r"\\\||```|^\|.*\|$|^- .*|\{[#.:].*\}", page.words, re.M)
        assert not lost, (name, lost[:3])


def test_texts_have_colours(site: Path) -> None:
    html = (site / "interfaces" / f"{LIVE}.html").read_text("utf-8")
    assert '<span class="nf">attribute</span>' in html and '<span class="k">interface</span>' in html


def test_a_page_that_fails_stops_the_site(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        DOCS["live"](tmp_path, "no_such_spec", TINY)


@pytest.mark.browser
@pytest.mark.parametrize("over", ["file", "http"])
def test_in_a_browser(over: str, site: Path, served: str, chromium) -> None:
    """A reader on a phone in the dark: the live page works, search finds, and no request leaves the site."""
    base = site.as_uri() if over == "file" else served
    tab = chromium.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
    complaints: list[str] = []
    inside = (base, "data:", "blob:", "about:")
    tab.on("request", lambda request: None if request.url.startswith(inside) else complaints.append(request.url))
    tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        tab.goto(f"{base}/interfaces/{LIVE}.html")
        tab.locator("iframe.live").scroll_into_view_if_needed()
        live = tab.frame_locator("iframe.live")
        live.locator("#element-icons .chart svg").first.wait_for()
        assert live.locator("#theme").inner_text() == "light", "dark as the system is"
        copy = tab.locator(".read pre button, .read .highlight nav button").first
        copy.wait_for()
        assert "Copy" in (copy.get_attribute("title") or "")
        copy.click()
        tab.locator(".md-dialog", has_text="Copied to clipboard").wait_for()
        if over == "http":  # between files, a frame has another origin than its page
            height = tab.locator("iframe.live").bounding_box()["height"]
            assert abs(height - live.locator("body").evaluate("node => node.offsetHeight")) < 40
            tab.locator(".md-header__option label:not([hidden])").first.click()
            live.locator("#theme", has_text="dark").wait_for()
        for page in ("index", "gallery", "language", f"interfaces/{LIVE}", "reference/operations"):
            tab.goto(f"{base}/{page}.html")
            assert tab.evaluate("document.documentElement.scrollWidth") <= 390, page
        tab.set_viewport_size({"width": 1280, "height": 900})
        tab.locator("input.md-search__input").click()
        tab.keyboard.type("factorize")
        tab.locator(".md-search-result__link").first.wait_for()
        assert "factorize" in tab.locator(".md-search-result__list").inner_text()
    finally:
        tab.close()
    assert not complaints

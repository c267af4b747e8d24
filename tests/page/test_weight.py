"""What a page weighs. Pictures are those of real pages: icons of 96 pixels, a photograph of 224."""

from __future__ import annotations

import views

from bbilang.registry import registry
from bbilang.runtime.page import html
from bbilang.runtime.page import javascript as bundle
from bbilang.runtime.page.packing import packed, unpacked
from bbilang.runtime.page.script import script
from bbilang.runtime.recall import pages
from bbilang.runtime.view.model import View


def weight(view: View) -> int:
    return len(html.render(view, registry().styles).encode())


def test_pages_of_bars_and_icons():
    """The teaser's limit is 1 MB: as large as it is here, all of them are under that of bars and icons alone."""
    for view in (views.teaser(), views.survey(), views.atlas(), views.hostile()):
        assert weight(view) <= 400_000


def test_the_script_alone():
    assert len(script(vega=False).encode()) < 100_000
    assert len(bundle.packed()) < 450_000 < len(bundle.javascript()) / 1.9


def test_what_is_packed_comes_back():
    text = "\u2028 é \U0001f408 </script>" * 1000
    assert unpacked(packed(text)) == text and packed(text) == packed(text) and len(packed(text)) < 1000


def test_data_is_compressed_where_that_saves_much():
    small, large = (html.render(view, registry().styles) for view in (views.atlas(), views.dictionary(35)))
    assert 'data-packed="gzip"' not in small and 'data-packed="gzip"' in large
    assert html.data_of(large)["keys"] == html.data_of(small)["keys"]
    assert len(html.data_of(large)["elements"][1]["frames"][0]) == 35 * 35 + 1


def test_a_kept_page_has_vega_only_where_it_was(monkeypatch, tmp_path):
    """The libraries are left out of the record, and put back byte by byte."""
    from bbilang.runtime.cache.disk import Cache

    cache = Cache(tmp_path)
    ours = html.render(views.teaser(), registry().styles).encode()
    monkeypatch.setattr(html, "beyond", lambda specification: "everything")
    vegas = html.render(views.teaser(), registry().styles).encode()
    for key, text in (("a" * 64, ours), ("b" * 64, vegas)):
        pages.keep(cache, key, pages.StoredPage(text, "1 forward", 0, (), (), ""))
        body, _ = cache.get(key)
        assert len(body) < len(ours) + 5_000
        assert pages.recall(cache, key).html == text

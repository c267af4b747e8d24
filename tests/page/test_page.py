"""The page as bytes: the same each time, its source comes back, nothing in it escapes its place."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import views

from bbilang.registry import registry
from bbilang.runtime.page import javascript as bundle
from bbilang.runtime.page.html import data_of, extract, render, with_code
from bbilang.runtime.view.states import start_choices, start_states


def test_the_same_view_gives_the_same_bytes():
    assert render(views.teaser(), registry().styles) == render(views.teaser(), registry().styles)


def test_size():
    assert len(render(views.teaser(), registry().styles).encode()) < 4e6


@pytest.mark.parametrize(
    "source",
    [
        "",
        views.SOURCE,
        "</script><script>alert(1)</script>",
        "a\r\nb\rc\n",
        "&lt; &amp;lt; &#13; <!-- -->",
        views.HOSTILE,
    ],
)
def test_the_source_comes_back(source, tmp_path):
    html = render(replace(views.teaser(), source=source), registry().styles)
    assert extract(html) == source
    (tmp_path / "page.html").write_bytes(html.encode())
    assert extract((tmp_path / "page.html").read_text(encoding="utf-8")) == source


def test_a_file_without_source():
    with pytest.raises(ValueError, match=r"carries no \.bbi source"):
        extract("<html><script>1</script></html>")


def test_nothing_leaves_its_place():
    html = render(views.hostile(), registry().styles)
    assert html.count("</script>") == 3  # source, data, page script
    assert "<img" not in re.sub(r"<script type=\"module\">.*?</script>", "", html, flags=re.DOTALL)
    data = re.search(r'<script type="application/json" id="bbi-data">(.*?)</script>', html, re.DOTALL)[1]
    assert "\u2028" not in data
    assert data_of(html) == json.loads(data)
    assert data_of(html)["selections"][0]["atoms"][0][1] == views.HOSTILE
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    assert "unsafe-eval" not in policy and policy.startswith("default-src &#39;none&#39;")


def test_addresses_of_others_are_not_in_the_page():
    html = render(views.teaser(), registry().styles)
    head = html[: html.index('<script type="module">')]
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", head)


def test_start_states_follow_start_of():
    view = views.teaser()
    assert start_states(view) == {"photo": 0, "where": 0, "blocks": 1}
    moved = replace(view, selections=(replace(view.selections[0], start=1), *view.selections[1:]))
    first = moved.interfaces[0].elements[1].panels[0].frames[4].atoms[0]
    assert start_choices(moved)["hover-1"] == first
    assert start_choices(view, {"hover-1": 7})["hover-1"] == 7


def test_the_bundle_is_kept_and_damage_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setenv("BBI_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("vl_convert.javascript_bundle", lambda snippet: f"const end = '</script>'; {snippet}")
    bundle.javascript.cache_clear()
    text = bundle.javascript()
    assert "</script" not in text
    bundle.javascript.cache_clear()
    assert bundle.javascript() == text
    file = next(tmp_path.glob("vega-*.js"))
    file.write_text(file.read_text()[:-10])
    bundle.javascript.cache_clear()
    assert bundle.javascript() == text
    bundle.javascript.cache_clear()


def test_random_weights_and_drafts_are_said_out_loud():
    html = render(views.hostile(), registry().styles)
    assert "The weights are random." in html and "Draft." in html
    assert "The weights are random." not in render(views.teaser(), registry().styles)


def test_words_between_backticks_are_code_and_nothing_else_is_markup():
    html = with_code("`gradient`: <b>0.4</b> of `<script>` & a lone ` stays")
    assert html == ("<code>gradient</code>: &lt;b&gt;0.4&lt;/b&gt; of <code>&lt;script&gt;</code> &amp; a lone ` stays")

"""A style from outside of the package gets what built-in ones have: legend, colours, menu, hover, export."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest
import tiny

from bbilang.registry import registry
from bbilang.runtime.page.export import export
from bbilang.runtime.page.html import data_of, render
from bbilang.runtime.vega.specification import picture_uris
from bbilang.runtime.vega.standalone import specification
from bbilang.runtime.view.states import elements

CLASSES = "e = output[top(3)] | present(strip)"
CHANNELS = "e = c.channel | attribute(output) | top(4) | present(strip)"


@pytest.fixture(autouse=True)
def plugin(monkeypatch, tmp_path):
    """The styles of a file that lies in no package."""
    source = Path(__file__).with_name("strip_style.py").read_text("utf-8")
    (tmp_path / "outside.py").write_text(source, "utf-8")
    spec = importlib.util.spec_from_file_location("outside", tmp_path / "outside.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "outside", module)
    spec.loader.exec_module(module)
    for style in module.STYLES:
        monkeypatch.setitem(registry().styles, style.name, style)


def page(text: str):
    """(view, HTML, the page's data)"""
    view = tiny.view_of(tiny.run(text))
    html = render(view, registry().styles)
    return view, html, data_of(html)


def test_legend_title_words_and_width():
    view, html, _ = page(CHANNELS)
    element = next(elements(view))
    assert (element.title, element.alt) == ("A strip", "A strip of 4 squares.")
    assert element.legend.notes[-1] == "squares are read from left to right"
    low, high = element.legend.domain
    assert low == -high, "zero is in the middle, though all four may have one sign"
    assert "--weight:333" in html and "Squares are read from left to right." in html


def test_colours_in_the_legend_and_in_pictures():
    view, html, _ = page(CHANNELS)
    assert re.search(r'class="gradient full signed" style="background:linear-gradient\(90deg,#2166ac', html)
    picture = json.dumps(specification(view, picture_uris(view), registry().styles))
    assert '"url": "data:image/png;base64,' in picture, "the strip of colours below the chart"


def test_hover_and_menu():
    view, html, data = page(CLASSES)
    kinds = {selection.id: selection.kind for selection in view.selections}
    assert sorted(kinds[name] for name in next(elements(view)).selects) == ["click", "hover"]
    assert "Point at, click or tap a class" in html
    menu = re.search(r"<select[^>]*>(.*?)</select>", html, re.DOTALL)
    assert menu and menu[1].count("<option") == 1 + 3
    assert data["elements"][0]["selects"]


def test_positions_fade_groups_and_are_enlarged():
    text = "photo = input | present(image)\nwhere = c.spatial | activation | present(tint, over=photo)"
    view, _, data = page(text)
    photo, where = data["elements"]
    assert where["fades"] and where["grid"] and not photo["fades"] and not photo["grid"]
    assert photo["targets"][0]["shape"] == [8, 8], "its positions can be pointed at on the photo"
    live = specification(view, picture_uris(view), registry().styles)
    spot = next(param for param in live["params"] if param["name"] == "spot_where")
    assert "expr" in spot


@pytest.mark.parametrize("format", ["html", "json", "csv", "svg", "png", "pdf"])
def test_export(format, tmp_path):
    view, _, _ = page(CHANNELS)
    path = export(view, tmp_path / f"page.{format}", format, registry().styles)
    assert path.stat().st_size > 100
    if format == "csv":
        assert path.read_text("utf-8-sig").count("\n") == 1 + 4


@pytest.mark.browser
def test_pointing_in_a_browser(chromium, tmp_path):
    view, html, _ = page(CHANNELS)
    (tmp_path / "page.html").write_text(html, "utf-8")
    tab = chromium.new_page()
    troubles: list[str] = []
    tab.on("pageerror", lambda error: troubles.append(str(error)))
    tab.goto((tmp_path / "page.html").as_uri())
    tab.wait_for_selector("html[data-ready]")
    tab.locator("[data-chart='e'] [class*=front_hit_] path").nth(1).hover()
    chosen = next(elements(view)).panels[0].frames[0].atoms[1]
    assert next(elements(view)).atoms[chosen].label in tab.locator("#status").inner_text()
    tab.close()
    assert troubles == []

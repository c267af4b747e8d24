"""`bbi space`: where pages lie in the grid of layers and atoms, and what fills its empty cells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bbilang.cli.app import main
from bbilang.cli.space.grid import grid
from bbilang.cli.space.page import html
from bbilang.grammar.source import Source
from bbilang.pipeline import Pipeline, Request

HEAD = 'input "sample:chelsea"\n'
ICONS = "block5c.expand.channel | attribute(output) | top(8) | present(featvis)"
MAPS = "block5c.expand.spatial | attribute(block6a.expand) | present(heatmap, over=photo)"
TEXTS = {
    "icons.bbi": f'interface "Channels <b>" {{\n    {ICONS}\n}}\n',
    "maps.bbi": f"photo = input | present(image)\n{MAPS}\n",
}


def programs():
    return [Pipeline(Request(Source(HEAD + text))).program for text in TEXTS.values()]


@pytest.fixture(scope="module")
def made():
    return grid(programs(), ("Channels <b>", "maps"))


def cells(made):
    return {(layer, cell.atom): cell for layer, row in made.rows for cell in row}


def test_elements_lie_in_the_cells_of_their_atoms(made):
    filled = {place: [point.style for point in cell.points] for place, cell in cells(made).items() if cell.points}
    assert filled == {
        ("block5c.expand", "channel"): ["featvis"],
        ("block5c.expand", "spatial"): ["heatmap"],
        ("input", "pixel"): ["image"],
    }
    (icons,) = cells(made)["block5c.expand", "channel"].points
    (maps,) = cells(made)["block5c.expand", "spatial"].points
    assert icons.links == ("output",) and maps.links == ("block6a.expand",)
    assert made.filled == 3


def test_what_fills_an_empty_cell_is_right(made):
    texts = {place: cell.text for place, cell in cells(made).items() if cell.text}
    assert len(texts) == made.empty > 50
    for place in (("head", "channel"), ("block3a", "spatial"), ("block1a", "neuron"), ("block6a", "whole")):
        program, diagnostics = Pipeline(Request(Source(HEAD + texts[place]))).checked
        assert program is not None and diagnostics == (), texts[place]
    assert ("input", "neuron") not in texts, "a picture has pixels"


def test_the_page_says_what_a_click_asks(made, chromium):
    page = chromium.new_page()
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.set_content(html([made]))
    page.get_by_role("button", name="Channels <b>: Channels of block5c.expand").click()
    page.wait_for_function("document.getElementById('said').textContent.includes('the 8 highest')")
    assert "Connected with output" in page.text_content("#said")
    page.get_by_role("button", name="head.channel is empty").click()
    page.wait_for_function("document.getElementById('text').textContent.startsWith('head.channel | ')")
    key = page.locator("ul.pages button").nth(1)
    key.click()
    page.wait_for_function("document.querySelectorAll('.point.faded').length === 1")
    assert key.get_attribute("aria-pressed") == "true"
    assert page.locator("b").count() == 0, "a title is text"
    page.keyboard.press("Tab")
    assert failures == []
    page.close()


def test_the_command_writes_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, text in TEXTS.items():
        Path(name).write_text(HEAD + text)
    assert main(["space", ".", "-o", "space.html"]) == 0
    assert capsys.readouterr().out.startswith("space.html  2 pages in 3 cells, ")
    assert "Content-Security-Policy" in Path("space.html").read_text("utf-8")
    Path("other.bbi").write_text(f"model inceptionv1\n{HEAD}mixed4d.channel | top(8) | present(bars)\n")
    assert main(["space", ".", "--json"]) == 0
    models = json.loads(capsys.readouterr().out)
    assert [len(model["pages"]) for model in models] == [2, 1], "each model has a grid"

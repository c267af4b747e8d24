"""`bbi space` and `present(space)`: where pages lie in the grid of layers and atoms, and what fills its empty cells."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bbilang.cli.app import main
from bbilang.cli.space.page import html
from bbilang.compiler.check.statements.places import OPERATION, parameters_of, placed_program, type_of
from bbilang.compiler.complete.grid import from_plain, grids, plain
from bbilang.compiler.ir.program import Node
from bbilang.grammar.source import Source
from bbilang.pipeline import Pipeline, Request
from bbilang.registry import registry
from bbilang.runtime.page.space import COLOURS

HEAD = 'input "sample:chelsea"\n'
ICONS = "block5c.expand.channel | attribute(output) | top(8) | present(featvis)"
MAPS = "block5c.expand.spatial | attribute(block6a.expand) | present(heatmap, over=photo)"
TEXTS = {
    "icons.bbi": f'interface "Channels <b>" {{\n    {ICONS}\n}}\n',
    "maps.bbi": f"photo = input | present(image)\n{MAPS}\n",
}


@pytest.fixture(scope="module")
def made():
    """The grid of the two texts."""
    programs = {name: Pipeline(Request(Source(HEAD + text))).program for name, text in TEXTS.items()}
    parameters = parameters_of([placed_program(program, name, registry()) for name, program in programs.items()])
    node = Node(OPERATION, (), tuple(sorted(parameters.items())), type_of(parameters, ""))
    (only,) = grids(node, registry())
    return only


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
    page.wait_for_function("document.querySelector('.said').textContent.includes('the 8 highest')")
    assert "Connected with output" in page.text_content(".said")
    page.get_by_role("button", name="head.channel is empty").click()
    page.wait_for_function("document.querySelector('.text').textContent.startsWith('head.channel | ')")
    key = page.locator(".pages button").nth(1)
    key.click()
    page.wait_for_function("document.querySelectorAll('.point.faded').length === 1")
    assert key.get_attribute("aria-pressed") == "true"
    assert page.locator("b").count() == 0, "a title is text"
    page.keyboard.press("Tab")
    assert failures == []
    page.close()


def open_page(made, chromium, **options):
    page = chromium.new_page(**options)
    page.set_content(html([made]))
    return page


def test_pointing_shows_and_a_click_keeps(made, chromium):
    page = open_page(made, chromium)
    point, empty = page.locator(".point").first, page.get_by_role("button", name="head.channel is empty")
    point.hover()
    assert page.text_content(".place") == "maps: photo" and page.locator(".copied-text").is_hidden()
    page.mouse.move(1, 1)
    assert page.text_content(".place") == "Choose a point or an empty cell", "nothing was kept"
    empty.click()
    point.hover()
    page.mouse.move(1, 1)
    assert page.text_content(".place") == "head.channel: empty", "what was clicked stays"
    assert empty.get_attribute("aria-pressed") == "true"
    empty.click()
    assert empty.get_attribute("aria-pressed") == "false"
    page.close()


def test_arrow_keys_move_through_the_grid(made, chromium):
    page = open_page(made, chromium)
    assert page.locator("table button[tabindex='0']").count() == 1, "one stop of the tabulator"
    page.get_by_role("button", name="block3a.spatial is empty").focus()
    places = []
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
        places.append(page.evaluate("document.activeElement.dataset.place"))
    below = made.rows[[layer for layer, _ in made.rows].index("block3a") + 1][0]
    assert places == ["block3a.channel", f"{below}.channel", f"{below}.spatial", "block3a.spatial"]
    page.keyboard.press("Enter")
    assert page.text_content(".place") == "block3a.spatial: empty"
    page.keyboard.press("ArrowRight")
    pressed = page.locator("[aria-pressed=true]")
    assert pressed.get_attribute("data-place") == "block3a.channel", "the mark goes along"
    assert page.text_content(".place") == "block3a.channel: empty"
    page.keyboard.press("Escape")
    assert page.text_content(".place") == "Choose a point or an empty cell"
    page.close()


def test_the_text_of_an_empty_cell_is_copied(made, chromium):
    page = open_page(made, chromium)
    page.evaluate("document.execCommand = name => { window.took = name + ': ' + getSelection(); return true }")
    page.get_by_role("button", name="head.channel is empty").click()
    page.get_by_role("button", name="copy the text").click()
    page.wait_for_function("document.querySelector('.copied').textContent === 'copied'")
    assert page.evaluate("window.took") == f"copy: {page.text_content('.text')}"
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_wider_than_the_screen(made, chromium, scheme):
    page = open_page(made, chromium, viewport={"width": 390, "height": 844}, color_scheme=scheme, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="head.channel is empty").tap()
    assert page.text_content(".place") == "head.channel: empty"
    box = page.locator("aside").bounding_box()
    assert box["y"] + box["height"] <= 844 + 1, "what it says is on the screen"
    colours = page.evaluate("[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]")
    light = [sum(map(int, colour[4:-1].split(","))) > 384 for colour in colours]
    assert light == ([True, False] if scheme == "dark" else [False, True])
    page.close()


def contrast(one, other):
    """Return the contrast of two colours as the browser says them, `rgb(1, 2, 3)`, by the formula of WCAG 2."""
    lights = []
    for colour in (one, other):
        parts = [int(part) / 255 for part in colour[4:-1].split(",")]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        lights.append(0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)
    return max(lights) / min(lights)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_points_of_every_colour_stand_out(made, chromium, scheme):
    """WCAG 2: 4.5 for a letter on its point, 3 for the point (or its edge) on the page."""
    page = open_page(made, chromium, color_scheme=scheme)
    for colour in COLOURS:
        letter, point, edge, ground = page.evaluate(
            """colour => {
              const point = document.querySelector(".point"), own = getComputedStyle(point)
              point.style.setProperty("--own", colour)
              const edge = own.borderTopWidth === "0px" ? own.backgroundColor : own.borderTopColor
              return [own.color, own.backgroundColor, edge, getComputedStyle(document.body).backgroundColor]
            }""",
            colour,
        )
        assert contrast(letter, point) >= 4.5, colour
        edges = [each for each in (point, edge) if each.startswith("rgb(")]
        assert max(contrast(each, ground) for each in edges) >= 3, colour
    page.close()


def test_the_letter_of_a_page_with_a_long_name_stays_round(made, chromium):
    long = replace(made, pages=("Which of these channels matter, and what feeds them, and where? " * 2, "maps"))
    page = open_page(long, chromium, viewport={"width": 390, "height": 844})
    boxes = [key.bounding_box() for key in page.locator(".key").all()]
    assert [box["width"] for box in boxes] == pytest.approx([box["height"] for box in boxes])
    page.close()


def test_grids_survive_as_plain_tuples(made):
    assert from_plain(plain([made])) == (made,)


def test_points_have_links_to_pages_beside_the_grid(chromium, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in TEXTS.items():
        Path(name).write_text(HEAD + text)
    Path("maps.html").write_text("<title>made</title>")
    assert main(["space", ".", "-o", "space.html"]) == 0
    page = chromium.new_page()
    page.goto((tmp_path / "space.html").as_uri())
    page.locator(".point[data-page='maps']").first.click()
    page.get_by_role("link", name="open the page").click()
    page.wait_for_function("document.title === 'made'")
    page.go_back()
    page.locator(".point[data-page='Channels <b>']").first.click()
    assert page.locator(".open").is_hidden(), "no page of it lies here"
    page.close()


def test_what_cannot_be_placed_is_said(tmp_path, monkeypatch, capsys):
    """The mistakes of beginners: no text, a file that is not there, a text with a hole."""
    monkeypatch.chdir(tmp_path)
    Path("open.bbi").write_text(f"{HEAD}block5c.expand.? | present(?)\n")
    for files, words in (([], "no text to place"), (["absent.bbi"], "absent.bbi"), (["open.bbi"], "bbi complete")):
        assert main(["space", *files]) != 0
        said = capsys.readouterr().err
        assert words in said and "Traceback" not in said
    assert not Path("space.html").exists()


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

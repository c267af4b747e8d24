"""`present(space)`: the grid of where pages lie, as an element of a page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import bbilang
from bbilang.cli.app import main
from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.source import Source
from bbilang.pipeline import Pipeline, Request

HEAD = 'input "sample:chelsea"\n'
BARS = "icons = block5c.expand.channel | attribute(output) | top(8) | present(bars)\n"
OTHER = 'interface "Maps <i>" {\n    block5c.expand.spatial | attribute(output) | present(heatmap)\n}\n'
OWN_NETWORK = 'second = "2".channel | attribute(output) | present(bars)\nmap = present(space)\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a text, and one that places itself and its neighbour."""
    made = tmp_path_factory.mktemp("space")
    (made / "maps.bbi").write_text(HEAD + OTHER)
    (made / "page.bbi").write_text(f'{HEAD}{BARS}map = present(space, pages="*.bbi")\nlayout row(map, icons)\n')
    return made


@pytest.fixture(scope="module")
def page(folder):
    return bbilang.run(Source((folder / "page.bbi").read_text(), str(folder / "page.bbi")))


def test_other_texts_and_this_one_are_placed(page):
    (grid,) = next(e for e in page.view.interfaces[0].elements if e.id == "map").grids
    assert grid.pages == ("Maps <i>", "this page"), "its own text is placed once"
    shown = {(cell.layer, cell.atom): [point.page for point in cell.points] for _, row in grid.rows for cell in row
             if cell.points}  # fmt: skip
    assert shown == {("block5c.expand", "spatial"): [0], ("block5c.expand", "channel"): [1]}


def test_its_numbers_count_elements(page):
    data = page.data("map")
    layers, atoms = data.labels["place"][1], list(data.labels["measure"][1])
    row = data.values[list(layers).index("block5c.expand")]
    assert row[atoms.index("channel")] == 1 and row[atoms.index("spatial")] == 1 and row[atoms.index("neuron")] == 0
    assert np.isnan(data.values[list(layers).index("input")][atoms.index("neuron")]), "a picture has no neurons"


def test_every_text_of_an_empty_cell_is_right(page):
    (grid,) = next(e for e in page.view.interfaces[0].elements if e.id == "map").grids
    texts = [cell.text for _, row in grid.rows for cell in row if cell.text]
    assert len(texts) > 50
    for text in texts[::7]:
        program, diagnostics = Pipeline(Request(Source(HEAD + text))).checked
        assert program is not None and diagnostics == (), text


def test_it_recalls_the_grid_and_follows_the_other_text(tmp_path):
    """What the cache has is what a run computes, and another text beside it makes another page."""
    other = tmp_path / "other.bbi"
    text = Source('present(space, pages="other.bbi")\n', str(tmp_path / "page.bbi"))

    def cells():
        made = bbilang.run(text, cache=tmp_path / "cache")
        (grid,) = made.view.interfaces[0].elements[0].grids
        return {(cell.layer, cell.atom) for _, row in grid.rows for cell in row if cell.points}

    other.write_text(HEAD + OTHER)
    assert cells() == cells() == {("block5c.expand", "spatial")}
    other.write_text(HEAD + BARS)
    assert cells() == {("block5c.expand", "channel")}


def test_a_network_of_the_callers_own_has_texts_without_a_model():
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 5, 3), torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(), torch.nn.Linear(5, 2),
    )  # fmt: skip
    image = torch.rand(3, 12, 12)
    page = bbilang.run(OWN_NETWORK, model=network, input=image, cache=False)
    (grid,) = next(e for e in page.view.interfaces[0].elements if e.id == "map").grids
    (text,) = [cell.text for _, row in grid.rows for cell in row if (cell.layer, cell.atom) == ("0", "channel")]
    assert text.startswith('"0".channel | ')
    bbilang.check(bbilang.parse(text), model=network, input=image)


@pytest.mark.parametrize(
    "text, code, words",
    [
        ("present(space)", "E301", "nothing to place"),
        ("head.channel | present(space)", "E304", "no numbers"),
        ("present(bars)", "E234", "needs a field before it"),
        ('present(space, pages="absent.bbi")', "E242", "no text"),
        ("present(space, pages=absent)", "E213", "double quotes"),
        ('present(space, pages="wrong.bbi")', "E243", 'wrong.bbi" has an error at 2:6'),
        ('present(space, pages="open.bbi")', "E243", "has holes"),
        ('present(space, pages="../*.bbi")', "E242", "outside"),
        ('present(space, pages="/etc/passwd")', "E242", "outside"),
    ],
)
def test_what_cannot_be_placed_is_said(tmp_path, text, code, words):
    (tmp_path / "wrong.bbi").write_text(f"{HEAD}head.chanel | present(bars)\n")
    (tmp_path / "open.bbi").write_text(f"{HEAD}head.channel | present(?)\n")
    source = Source(text, str(tmp_path / "page.bbi"))
    with pytest.raises(BbiError) as caught:
        bbilang.check(bbilang.parse(source), input="sample:chelsea", root=tmp_path)
    first = caught.value.to_json()[0]
    assert first["code"] == code and words in first["message"] and first["span"]["line"] == 1


def test_texts_that_place_each_other_end(tmp_path):
    for name, other in (("one", "two"), ("two", "one")):
        (tmp_path / f"{name}.bbi").write_text(f'{HEAD}{BARS}present(space, pages="{other}.bbi")\n')
    path = tmp_path / "one.bbi"
    program = bbilang.check(bbilang.parse(Source(path.read_text(), str(path))))
    (places,) = [e.node.inputs[0] for e in program.elements if e.node["style"] == "space"]
    assert places["pages"] == ("two", "this page")


def test_a_text_that_only_places_others_is_in_no_cell(tmp_path):
    (tmp_path / "map.bbi").write_text('present(space, pages="page.bbi")\n')
    text = f'{HEAD}{BARS}present(space, pages="*.bbi")\n'
    (tmp_path / "page.bbi").write_text(text)
    program = bbilang.check(bbilang.parse(Source(text, str(tmp_path / "page.bbi"))))
    (places,) = [e.node.inputs[0] for e in program.elements if e.node["style"] == "space"]
    assert places["pages"] == ("this page",)


def test_the_gallery_is_placed_from_anywhere():
    program = bbilang.check(bbilang.parse('present(space, pages="sample:gallery")'))
    (places,) = [e.node.inputs[0] for e in program.elements]
    assert len(places["pages"]) == len(list((Path(bbilang.__file__).parent / "specs").glob("*.bbi"))) - 1


def test_a_typed_program_with_it_survives_as_json(folder):
    path = folder / "page.bbi"
    program = bbilang.check(bbilang.parse(Source(path.read_text(), str(path))))
    assert bbilang.program_from_json(bbilang.program_to_json(program)) == program


def opened(page, chromium, **options):
    tab = chromium.new_page(**options)
    failures: list[str] = []
    tab.on("pageerror", lambda error: failures.append(str(error)))
    tab.set_content(page.html())
    tab.wait_for_selector("#element-icons svg")
    return tab, failures


def test_in_a_page_it_is_clicked_and_reached_by_keys(page, chromium):
    tab, failures = opened(page, chromium)
    tab.get_by_role("button", name="Maps <i>: Positions of block5c.expand").click()
    assert tab.text_content(".place") == "Maps <i>: element-1" and tab.locator(".places i").count() == 0
    assert "Connected with output" in tab.text_content(".said")
    tab.keyboard.press("ArrowRight")
    assert tab.text_content(".place") == "this page: icons"
    assert tab.locator(".places td [aria-pressed=true]").get_attribute("data-page") == "this page"
    tab.keyboard.press("ArrowUp")
    assert tab.text_content(".text").startswith("block5b.channel | ")
    tab.keyboard.press("Escape")
    assert tab.text_content(".place") == "Choose a point or an empty cell"
    assert failures == []
    tab.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_what_it_says_stays_in_view(page, chromium, scheme):
    tab, failures = opened(page, chromium, viewport={"width": 390, "height": 844}, color_scheme=scheme, has_touch=True)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    tab.get_by_role("button", name="block3a.spatial is empty").tap()
    assert tab.text_content(".place") == "block3a.spatial: empty"
    box = tab.locator(".places aside").bounding_box()
    assert box["y"] + box["height"] <= 844 + 1
    ground = tab.evaluate("getComputedStyle(document.querySelector('.places aside')).backgroundColor")
    assert (sum(map(int, ground[4:-1].split(","))) > 384) == (scheme == "light")
    assert failures == []
    tab.close()


def test_other_formats_have_the_counts(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert main(["run", "page.bbi", "-o", "numbers.csv"]) == 0
    assert "block5c.expand" in Path("numbers.csv").read_text()
    assert main(["run", "page.bbi", "-o", "page.svg"]) == 0
    assert "<svg" in Path("page.svg").read_text()
    capsys.readouterr()

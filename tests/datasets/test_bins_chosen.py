"""A bin of an atlas that a reader chooses is a part of the dataset, as what a lasso encloses is."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
from saved_tables import column

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.models.preprocess import Preprocess
from bbilang.runtime.view.states import elements

HEAD = """
set featvis(size=16, steps=1)
dataset shapes = "sample:shapes" | sample(24)
map = b.spatial | across(shapes) | project(pca, 2, positions=4) | present(atlas, bins=4, least=2)
"""
TEXT = (
    HEAD
    + """
mine = click(map, title="mine")
mean = b.channel | across(shapes) | at(mine) | mean(example) | present(bars)
best = b.channel | across(shapes) | at(mine) | mean(example) | top(2) | present(bars)
subsets = b.channel | across([shapes, mine]) | mean(example) | present(matrix)
bins = b.channel[1] | across(shapes) | at(mine) | present(histogram)
row = shapes | at(mine) | present(image)
icon = b.channel | across(shapes) | project(pca, 2, along=channel) | at(mine) | present(featvis, bins=3)
moving = b.channel | across(shapes) | at(hover(map)) | mean(example) | present(bars)
"""
)


@pytest.fixture(scope="module")
def network():
    return bbilang.adapt(tiny.build(), (32, 32), labels=tiny.LABELS, preprocess=Preprocess(32, (32, 32)))


@pytest.fixture(scope="module")
def made(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bins")
    (folder / "page.bbi").write_text(TEXT + "every = b.channel | across(shapes) | present(matrix)\n")
    page = bbilang.run(folder / "page.bbi", model=network)
    return page, page.save(folder / "page.html")


def examples_of(page, cell: int) -> np.ndarray:
    """Return the numbers of the examples in a bin, as the atlas has them: the twin of what the page computes."""
    tables = {name: array.data for name, array in page.results.fields["map"].tables.items()}
    start, count = int(tables["start"][cell]), int(tables["count"][cell])
    return np.unique(tables["example"][tables["member"][start : start + count]])


def test_the_page_holds_of_which_example_each_vector_is(made):
    page = made[0]
    own = {element.id: element for element in elements(page.view)}
    follows = own["mean"].follows
    assert follows.map == "map" and follows.by == "mine" and follows.count == 24
    assert {name: count for name, _, count in follows.sections}["of"] == 24 * 4
    chosen = {selection.id: selection for selection in page.view.selections}
    assert chosen["mine"].kind == "click" and chosen["mine"].resets and chosen["mine"].start is None
    assert chosen["mine"].atoms == own["map"].atoms and "mine" in own["map"].selects
    assert chosen[own["moving"].follows.by].kind == "hover"
    assert "click a bin of" in own["mean"].panels[0].frames[0].remark
    assert "point at a bin of" in own["moving"].panels[0].frames[0].remark


@pytest.mark.parametrize(("line", "code", "words"), [
    ("b.channel | across(shapes) | at(lasso(map)) | mean(example) | present(bars)", "E306", "click"),
    ("b.channel | across(shapes) | at(pick(map)) | mean(example) | present(bars)", "E306", "`hover` and `click`"),
    ("b.channel | across(shapes) | at(click(map)) | present(scatter)", "E304", ""),
    ('dataset others = "sample:marks"\nb.channel | across(others) | at(click(map)) | mean(example) | present(bars)',
     "E309", "same `dataset`"),
    ("b.channel | across(shapes) | at(click(map)) | ablate(zero) | effect(output) | present(bars)", "E265", ""),
])  # fmt: skip
def test_what_a_bin_cannot_choose_is_refused(network, line, code, words):
    with pytest.raises(BbiError) as raised:
        bbilang.check(f"{HEAD}{line}\n", model=network)
    first = raised.value.diagnostics[0]
    assert first.code.startswith(code) and words in f"{first.message} {first.help}"


@pytest.fixture
def tab(chromium, made):
    complaints: list[str] = []
    context = chromium.new_context(viewport={"width": 1200, "height": 1600}, accept_downloads=True, has_touch=True)
    tab = context.new_page()
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    tab.goto(made[1].as_uri())
    tab.wait_for_selector("html[data-ready]")
    yield tab
    context.close()
    assert not complaints


def remark(tab, element: str) -> str:
    return tab.locator(f"[data-remark={element}]").text_content()


@pytest.mark.browser
def test_what_follows_a_bin_has_the_numbers_of_its_examples(tab, made):
    """By keyboard, mouse and touch; and all examples again when the bin is let go."""
    page = made[0]
    tables, every = page.results.fields["map"].tables, page.results.fields["every"]
    numbers = every.values.ordered(("example", "channel")).data
    order = every.coords["example"].data
    sides, zooms, slots = (tables[name].data.tolist() for name in ("side", "zoom", "slot"))
    shown = [cell for cell in range(len(zooms)) if zooms[cell] == 1]  # the zoom that the page begins with
    chart = tab.locator('[data-chart="map"]')

    def middle(cell: int) -> tuple[float, float]:
        box = tab.locator('[data-chart="map"] svg').bounding_box()
        row, place = divmod(slots[cell], sides[1])
        return box["x"] + (place + 0.5) / sides[1] * box["width"], box["y"] + (row + 0.5) / sides[1] * box["height"]

    def holds(element: str, cell: int) -> None:
        own = examples_of(page, cell)
        words = f"{len(own)} of 24 examples {'has' if len(own) == 1 else 'have'} a position in the bin"
        tab.wait_for_function(
            "([element, words]) => document.querySelector(`[data-remark=${element}]`).textContent.includes(words)",
            arg=[element, words],
        )
        found, expected = column(tab, element), numbers[np.isin(order, own)].mean(0)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)

    before = column(tab, "mean")
    chart.scroll_into_view_if_needed()
    chart.focus()
    tab.keyboard.press("ArrowRight")
    holds("moving", shown[0])
    assert "all 24 examples" in remark(tab, "mean"), "pointing does not click"
    chart.focus()
    tab.keyboard.press("Enter")
    holds("mean", shown[0])
    pictures = tab.locator('[data-chart="row"] image').evaluate_all(
        "(all) => all.filter((it) => it.getAttribute('href').startsWith('data:image/webp')).length"
    )
    assert pictures == len(examples_of(page, shown[0]))
    assert "icon of the nearest bin" in remark(tab, "icon") and "in the bin" in remark(tab, "bins")
    assert "mine" in tab.url, "the address says which"
    chart.focus()
    tab.keyboard.press("Escape")
    tab.wait_for_function("() => document.querySelector('[data-remark=mean]').textContent.includes('all 24 examples')")
    np.testing.assert_allclose(column(tab, "mean"), before)

    chart.scroll_into_view_if_needed()
    tab.mouse.click(*middle(shown[-1]))
    holds("mean", shown[-1])
    chart.scroll_into_view_if_needed()
    tab.touchscreen.tap(*middle(shown[1]))
    holds("mean", shown[1])
    chart.scroll_into_view_if_needed()
    tab.mouse.click(*middle(shown[1]))  # again: lets go
    tab.wait_for_function("() => document.querySelector('[data-remark=mean]').textContent.includes('all 24 examples')")

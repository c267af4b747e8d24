"""Readers choose among positions of examples, among pictures in a row, and in a menu: each stands for its example."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
from saved_tables import column

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.models.preprocess import Preprocess

TEXT = """
dataset shapes = "sample:shapes" | sample(20)
map = b.spatial | across(shapes) | project(pca, 2, positions=5) | present(scatter)
row = shapes | present(image)
mine = lasso(map, title="mine")
mean = b.channel | across(shapes) | at(mine) | mean(example) | present(bars)
some = shapes | at(mine) | present(image)
one = b.channel | across(shapes) | at(hover(map)) | present(bars)
same = b.channel | across(shapes) | at(hover(row)) | present(bars)
menu = b.channel | across(shapes) | at(pick(shapes)) | present(bars)
values = b.spatial | across(shapes) | at(hover(map)) | present(number)
"""
CHART = 'document.querySelector("[data-chart=map]").points'


@pytest.fixture(scope="module")
def network():
    return bbilang.adapt(tiny.build(), (32, 32), labels=tiny.LABELS, preprocess=Preprocess(32, (32, 32)))


@pytest.fixture(scope="module")
def made(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("positions")
    (folder / "page.bbi").write_text(TEXT)
    page = bbilang.run(folder / "page.bbi", model=network)
    return page, page.save(folder / "page.html")


@pytest.fixture(scope="module")
def numbers(network, tmp_path_factory) -> np.ndarray:
    """(example, channel), of a page that draws every one of them."""
    folder = tmp_path_factory.mktemp("numbers")
    (folder / "page.bbi").write_text(
        'dataset shapes = "sample:shapes" | sample(20)\nb.channel | across(shapes) | present(matrix)'
    )
    field = bbilang.run(folder / "page.bbi", model=network).results.fields["element-1"]
    return field.values.ordered(("example", "channel")).data.astype(np.float64)


def test_each_position_has_the_numbers_of_its_example(made, numbers):
    page = made[0]
    fields, selections = page.results.fields, page.results.selections
    examples = np.unique(fields["row"].coords["example"].data)
    (state,) = (name for name in fields["one"].values.dims if name != "channel")
    assert len(selections[state].coords["example"].data) == 20 * 5
    for element in ("one", "same", "menu"):
        values = fields[element].values
        (own,) = (name for name in values.dims if name != "channel")
        chosen = np.searchsorted(examples, selections[own].coords["example"].data)
        np.testing.assert_allclose(values.ordered((own, "channel")).data, numbers[chosen], rtol=1e-5)
    vectors = fields["values"].values.data.ravel()
    assert len(vectors) == 20 * 5 and len(np.unique(vectors)) > 20, "of the positions themselves"


@pytest.fixture
def tab(chromium, made):
    complaints: list[str] = []
    context = chromium.new_context(viewport={"width": 1200, "height": 1600}, accept_downloads=True)
    tab = context.new_page()
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    tab.goto(made[1].as_uri())
    tab.wait_for_selector("html[data-ready]")
    yield tab
    context.close()
    assert not complaints


@pytest.mark.browser
def test_a_lasso_around_positions_encloses_the_examples_that_have_one_there(tab, numbers, made):
    of = made[0].results.fields["map"].coords["example"].data
    examples = np.unique(of)
    for ring in ([0, 0, 20_000, 0, 20_000, 65_535, 0, 65_535], [40_000, 0, 65_535, 0, 65_535, 30_000, 40_000, 30_000]):
        tab.evaluate(f"ring => {CHART}.choose({{polygon: ring}})", ring)
        mask = np.array(tab.evaluate(f"() => [...{CHART}.set.mask()]"), bool)
        inside = np.isin(examples, of[mask])
        assert 0 < inside.sum() < 20
        words = f"{inside.sum()} of 20 examples have a position in the lasso"
        tab.wait_for_function(
            "words => document.querySelector('[data-remark=mean]').textContent.includes(words)", arg=words
        )
        np.testing.assert_allclose(column(tab, "mean"), numbers[inside].mean(0), rtol=1e-3, atol=1e-6)
        shown = tab.locator('[data-chart="some"] image').evaluate_all(
            "(all) => all.filter((it) => it.getAttribute('href').startsWith('data:image/webp')).length"
        )
        assert shown == inside.sum()


@pytest.mark.browser
def test_pointing_at_a_picture_in_a_row_chooses_it(tab, numbers):
    """The bars are those of the picture: their lengths are in proportion to its numbers."""
    for example in (7, 3):
        before = tab.locator('[data-chart="same"]').text_content()
        picture = tab.locator('[data-chart="row"] image').nth(example)
        picture.scroll_into_view_if_needed()
        picture.hover(force=True)  # the marks that listen lie over it
        tab.wait_for_function("words => document.querySelector('[data-chart=same]').textContent !== words", arg=before)
        shown = tab.locator('[data-chart="same"]').text_content().replace(",", "")
        order = [f"{value:.0f}" for value in numbers[example] if value >= 100]
        assert order and all(words in shown for words in order)


def test_a_menu_of_examples_tells_equal_labels_apart(made):
    (selection,) = (it for it in made[0].view.selections if it.kind == "pick")
    assert len({atom.label for atom in selection.atoms}) == 20 == len(selection.atoms)


def test_the_bins_of_an_atlas_are_no_atoms_of_a_menu(network):
    text = (
        'dataset shapes = "sample:shapes" | sample(20)\n'
        "map = b.spatial | across(shapes) | project(pca, 2) | present(atlas, bins=4)\n"
        "shapes | at(pick(map)) | present(image)"
    )
    with pytest.raises(BbiError) as refused:
        bbilang.check(text, model=network)
    (first,) = refused.value.diagnostics
    assert first.code == "E306" and "shows bins" in first.message and "`click` choose a bin" in (first.help or "")

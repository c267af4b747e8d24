"""The interfaces in which a reader points at a position: numbers and pictures follow."""

from __future__ import annotations

import re

import numpy as np
import pytest
from closeness import close_to
from smaller_specs import SMALLER

import bbilang

pytestmark = pytest.mark.browser


def test_semantic_dictionary(read, shown):
    """Pointing at the photo: the four strongest neurons of the cell, by the layer's own activations."""
    reader = read("semantic_dictionary")
    words = reader.data("words")
    start = 6 * 14 + 4
    shown(reader.numbers("words"), words.values[start])
    before = reader.pictures("words")
    reader.point_at_cell("photo", 0, 12, (14, 14))
    assert "row 0, column 12" in reader.words("words")
    shown(reader.numbers("words"), words.values[12])
    assert all(f"channel {c}" in reader.texts("words") for c in words.coords["channel"][1][12])
    assert reader.pictures("words") != before
    norms = bbilang.run("block6a.expand.spatial | activation | present(heatmap)", input="sample:chelsea")
    whole = norms.data("element-1").values.astype(float).ravel() ** 2
    held = 100 * (words.values.astype(float) ** 2).sum(-1) / whole
    assert f"hold {held[12]:.0f} % of the squared norm" in reader.words("words")
    reader.tab.locator("#element-photo .chart").focus()
    reader.tab.keyboard.press("ArrowDown")
    reader.rest()
    assert "row 1, column 12" in reader.words("words")
    reader.tab.locator("button.ref", has_text="nose").hover()  # words of the caption jump to places
    reader.rest()
    assert "row 11, column 9" in reader.words("words")
    assert f"hold {held[11 * 14 + 9]:.0f} % of the squared norm" in reader.words("words")
    shown(reader.numbers("words"), words.values[11 * 14 + 9])


def test_activation_vector(read, shown):
    """One position in all bases: the vector's norm, its components, its groups, its neurons."""
    reader = read("activation_vector")
    reader.point_at_cell("photo", 11, 9, (14, 14))
    cell = 11 * 14 + 9
    for element in ("vector", "in_components", "in_groups", "in_neurons"):
        assert "row 11, column 9" in reader.words(element)
        shown(reader.numbers(element), reader.data(element).values[cell])
    left = {e: re.search(r"leave out (\d+) %", reader.words(e))[1] for e in ("in_components", "in_groups")}
    assert "component 2" in reader.texts("in_components") and "group 2" in reader.texts("in_groups")
    icons = {element: reader.pictures(element) for element in ("vector", "in_neurons")}
    reader.point_at_cell("photo", 2, 6, (14, 14))
    assert all(reader.pictures(element) != before for element, before in icons.items())
    assert all(f"leave out {share} %" not in reader.words(element) for element, share in left.items())
    field = reader.compiled.page.results.fields["vector"].values.data.ravel()
    strongest = np.sort(reader.data("in_neurons").values, axis=1)
    assert (np.sqrt((strongest**2).sum(1)) <= field * (1 + 1e-5)).all()


def test_activation_grids(read, shown):
    """The cell at the same position in every grid is enlarged, and the areas are the norms."""
    reader = read("activation_grids")
    grids = reader.data("grids")
    assert grids.values.shape == (3, 14, 14) and np.isfinite(grids.values[2]).sum() == 49
    before = reader.pictures("grids")
    reader.point_at_cell("grids", 3, 2, (14, 14))
    lenses = set(reader.pictures("grids")) - set(before)
    assert len(lenses) == 3  # one for each layer
    reader.point_at_cell("grids", 5, 5, (7, 7), picture=2)
    others = set(reader.pictures("grids")) - set(before)
    assert len(others) == 3 and others.isdisjoint(lenses)
    reader.tab.locator("button.ref", has_text="nose").hover()
    reader.rest()
    assert set(reader.pictures("grids")) - set(before) not in (lenses, others)
    frame = reader.compiled.page.view.interfaces[0].elements[1].panels[0].frames[0]
    norms = grids.values[0].ravel()
    close_to(frame.sizes, norms / norms.max(), digits=3)


def test_spatial_attribution(read, shown):
    """Fewer classes for the map of all of them, so that the test is short: the passes are asserted on the whole spec
    elsewhere. Pointing at a cell: its classes, and a map over every layer; pointing at a class: another."""
    reader = read("spatial_attribution", *SMALLER["spatial_attribution"])
    here, influence = reader.data("here"), reader.data("influenced")
    assert reader.numbers("here") == []
    assert "Point at a position in “The photo, as three layers see it”." in reader.words("here")
    before = reader.pictures("grids")
    reader.point_at_cell("grids", 3, 2, (7, 7), picture=1)
    cell = next(
        i for i, index in enumerate(zip(*(here.coords[c][1].tolist() for c in ("layer", "y", "x")), strict=True))
        if index == (1, 3, 2)
    )  # fmt: skip
    assert "block7a.expand, row 3, column 2" in reader.words("here")
    shown(reader.numbers("here"), here.values[cell])
    pointed = reader.pictures("grids")
    assert len(set(pointed) - set(before)) >= 2  # the map over the other layer, and the enlarged cells
    assert np.isnan(influence.values[cell, 1]).all() and np.nanmax(np.abs(influence.values[cell, 0])) <= 1
    close_to(np.nanmax(np.abs(influence.values[:, 0][here.coords["layer"][1] == 1])), 1, digits=4)
    reader.tab.keyboard.press("Escape")
    reader.away()
    assert "ow much each position contributes to the selected one" in reader.words("grids")
    still = reader.pictures("grids")
    names = reader.data("classes").labels["class"][1].ravel().tolist()
    reader.point_at_words("classes", names[1])
    assert names[1] in reader.words("grids") and reader.pictures("grids") != still
    shown(reader.numbers("classes"), reader.data("classes").values)
    reader.away()
    tab = read("spatial_attribution", *SMALLER["spatial_attribution"], width=390, color_scheme="dark").tab
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390


def test_pointing_moves_nothing_below_the_answer(read):
    """The sentence above the photo has another length at every position: the photo stays where it is."""
    reader = read("activation_vector", width=700)
    chart = reader.tab.locator("#element-photo .chart")
    places = []
    for row, column in ((2, 6), (11, 9), (0, 0), (6, 13)):
        reader.point_at_cell("photo", row, column, (14, 14))
        places.append(chart.evaluate("node => node.getBoundingClientRect().top + scrollY"))
        assert f"row {row}, column {column}" in reader.words("vector")
    assert max(places) - min(places) < 1

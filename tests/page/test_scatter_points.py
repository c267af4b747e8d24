"""`scatter` of many atoms and of examples is drawn as a point set; of few atoms as marks."""

from __future__ import annotations

import numpy as np
import pytest
from planted import Planting

from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.registry import registry
from bbilang.runtime.charts.points import drawn
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.page.html import data_of, render
from bbilang.runtime.vega.specification import picture_uris
from bbilang.runtime.vega.standalone import specification
from bbilang.runtime.view.hues import PALETTE
from bbilang.runtime.view.long_table import long_table
from bbilang.runtime.view.model import View
from bbilang.runtime.view.points.unpack import sections_of


def field_of(pairs: np.ndarray, steps: tuple[str, ...] = ("pca, 2 components",), positions: bool = False) -> Field:
    """Pairs over (example, [y, x,] component)."""
    count = pairs.shape[0]
    inner = (Axis("y", pairs.shape[1]), Axis("x", pairs.shape[2])) if positions else ()
    axes = (Axis("example", count), *inner, Axis("component", 2))
    type = FieldType("activation", "spatial" if positions else "example", ("late",), axes, steps=steps)
    names = [axis.name for axis in axes]
    coords = {name: Named((name,), np.arange(axis.size)) for name, axis in zip(names, axes, strict=True)}
    columns = {
        "file": Named(("example",), np.array([f"{i}.jpg" for i in range(count)], object)),
        "label": Named(("example",), np.array([("cat", "dog", "")[i % 3] for i in range(count)], object)),
        "loss": Named(("example",), np.arange(count) / 7.0),
    }
    return Field(type, Named(tuple(names), pairs.astype(np.float32)), coords, columns=columns)


def planted(field: Field, **given: object) -> View:
    plant = Planting()
    plant.present("map", "scatter", field, title="A map", **given)
    return plant.view("Points")


@pytest.fixture(scope="module")
def pairs() -> np.ndarray:
    return np.random.default_rng(5).normal(0, [3, 1], (300, 2))


def test_examples_have_columns_titles_and_atoms(pairs):
    element = planted(field_of(pairs)).interfaces[0].elements[0]
    points = element.points
    assert points.count == 300 and [c.name for c in points.columns] == ["label", "loss"] and points.colour == "label"
    assert points.axes == ("component 0", "component 1") and points.ticks
    found = sections_of(points)
    assert bytes(found["titles"]).decode().split("\n")[:2] == ["0.jpg", "1.jpg"]
    low, high = points.ranges[0]
    np.testing.assert_allclose(low + found["x"] / 65535 * (high - low), pairs[:, 0], atol=(high - low) / 60000)
    assert len(element.atoms) == 300 and len({atom.key for atom in element.atoms}) == 300


def test_a_map_whose_axes_mean_nothing_has_none(pairs):
    points = planted(field_of(pairs, ("umap, 2 components",))).interfaces[0].elements[0].points
    assert points.axes == () and not points.ticks


def test_examples_without_a_place_are_left_out_and_no_atoms_are_shifted(pairs):
    broken = pairs.copy()
    broken[7, 1] = np.nan
    element = planted(field_of(broken)).interfaces[0].elements[0]
    assert element.points.count == 299 and element.atoms == ()
    assert element.points.notes[0] == "1 point has no position and is left out"


def test_positions_of_examples():
    pairs = np.random.default_rng(6).normal(0, 1, (9, 4, 5, 2))
    element = planted(field_of(pairs, positions=True)).interfaces[0].elements[0]
    found, points = sections_of(element.points), element.points
    assert points.count == 180 and [c.name for c in points.columns] == ["label", "loss", "y", "x"]
    assert found["column3"].tolist() == [0, 1, 2, 3, 4] * 36 and found["column2"][:25].tolist() == [
        i // 5 % 4 for i in range(25)
    ]
    assert bytes(found["titles"]).decode().split("\n")[20] == "1.jpg"


def test_few_atoms_stay_marks_and_many_do_not():
    for count in (500, 2500):
        axes = (Axis("channel", count), Axis("component", 2))
        type = FieldType("activation", "channel", ("late",), axes)
        values = np.random.default_rng(0).normal(0, 1, (count, 2)).astype(np.float32)
        coords = {"channel": Named(("channel",), np.arange(count)), "component": Named(("component",), np.arange(2))}
        element = planted(Field(type, Named(("channel", "component"), values), coords)).interfaces[0].elements[0]
        assert (element.points is None) == (count == 500) and len(element.atoms) == count
    assert element.atoms[3].label == "channel 3" and any(s == "pointed" for s in element.selects)


def test_a_table_has_every_number(pairs):
    plant = Planting()
    plant.present("map", "scatter", field_of(pairs), title="A map")
    made = plant.view("Points")
    assert len(long_table(made).splitlines()) == 1, "of a page's points the script makes the table"
    element = made.interfaces[0].elements[0]
    assert element.panels[0].frames[0].values == ()


def test_the_picture_without_a_script(pairs):
    made = planted(field_of(pairs))
    pixels, labels = drawn(made.interfaces[0].elements[0].points)
    colours = {tuple(int(PALETTE[i][k : k + 2], 16) for k in (1, 3, 5)) for i in range(2)}
    assert [words for words, _ in labels] == ["cat", "dog", "none"]
    present = {tuple(row) for row in np.unique(pixels.reshape(-1, 3), axis=0).tolist()}
    assert colours < present and len(present) == 4
    text = str(specification(made, picture_uris(made), registry().styles))
    assert "component 0 (to the right)" in text and "data:image/png;base64" in text
    assert data_of(render(made, registry().styles))["specs"] == {}


@pytest.mark.browser
def test_a_page_of_examples(show, pairs):
    made = planted(field_of(pairs))

    def examples() -> View:
        return made

    page = show(examples)
    assert page.locator(".points-status").inner_text() == "300 points."
    page.locator("[data-chart=map]").focus()
    page.keyboard.press("ArrowRight")
    assert ".jpg" in page.locator(".tip strong").inner_text()
    assert page.evaluate("document.querySelector('[data-chart=map]').points.ringed.length") == 1

"""`matrix` of channels by labels: whatever the order of the axes, atoms are rows and labels columns."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from planted import Planting

from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.runtime.fields.field import Field, Named


@pytest.mark.parametrize("name", ["label", "subset", "width"])
@pytest.mark.parametrize("first", [True, False])
def test_labels_are_columns(name, first):
    labels, numbers = Axis(name, 2), np.arange(6.0, dtype=np.float32).reshape(2, 3)
    axes = (labels, Axis("channel", 3)) if first else (Axis("channel", 3), labels)
    values = Named(tuple(axis.name for axis in axes), numbers if first else numbers.T)
    coords = {"channel": Named(("channel",), np.array([4, 9, 2]))}
    names = {name: Named((name,), np.array(["cats", "dogs"], object))}
    plant = Planting()
    plant.present("m", "matrix", Field(FieldType("activation", "channel", ("late",), axes), values, coords, names))
    element = plant.view("Matrix").interfaces[0].elements[0]
    frame = element.panels[0].frames[0]
    assert frame.series == ("cats", "dogs") and frame.values == ((0.0, 3.0), (1.0, 4.0), (2.0, 5.0))
    assert [element.atoms[atom].label for atom in frame.atoms] == ["channel 4", "channel 9", "channel 2"]


def wide(style: str, rows: int, columns: tuple[str, ...]):
    axes = (Axis("channel", rows), Axis("label", len(columns)))
    numbers = np.arange(float(rows * len(columns)), dtype=np.float32).reshape(rows, -1)
    coords = {"channel": Named(("channel",), np.arange(rows))}
    names = {"label": Named(("label",), np.array(columns, object))}
    plant = Planting()
    values = Named(("channel", "label"), numbers)
    plant.present("m", style, Field(FieldType("activation", "channel", ("late",), axes), values, coords, names))
    return plant.view("Wide")


SEGMENTS = (
    "circle", "square", "triangle", "cross", "star", "ring", "plain", "striped", "dotted", "checked", "speckled",
    "red", "green", "blue", "yellow", "purple", "grey",
)  # fmt: skip
BOXES = """all => all.filter(it => it.textContent).map(it => {
    const box = it.getBoundingClientRect(); return [it.textContent, box.left, box.top, box.right, box.bottom]; })"""


def seventeen_columns():
    return wide("matrix", 3, SEGMENTS)


def table_of_six():
    return wide("table", 2, ("wrong", "from", "to", "the rest", "examples", "p"))


def boxes(page) -> list[tuple]:
    found = [tuple(it) for it in page.eval_on_selector_all("[data-chart=m] svg text", BOXES)]
    return [box for box in found if box[3] > box[1]]


@pytest.mark.browser
def test_names_of_narrow_columns_do_not_run_into_each_other(show):
    names = sorted((it for it in boxes(show(seventeen_columns, width=375)) if it[0] in SEGMENTS), key=lambda it: it[1])
    assert [name[0] for name in names] == list(SEGMENTS)
    for left, right in pairwise(names):
        assert (left[1] + left[3]) / 2 + 12 < (right[1] + right[3]) / 2, (left, right)  # their middles, in pixels
        assert left[3] - left[1] < 20 and (len(left[0]) < 5 or left[4] - left[2] > 25), left  # they stand upright
    broad = boxes(show(seventeen_columns, width=1280))
    assert all(right - left > bottom - top for name, left, top, right, bottom in broad if name in SEGMENTS)


@pytest.mark.browser
def test_a_table_on_a_phone_has_its_names_above_its_numbers(show):
    page = show(table_of_six, width=375)
    found, room = boxes(page), page.locator("[data-chart=m]").bounding_box()
    for name, left, top, right, bottom in found:
        assert left >= room["x"] - 1 and right <= room["x"] + room["width"] + 1, name
        assert not [it for it in found if it[0] != name and it[1] < right - 1 and left < it[3] - 1
                    and it[2] < bottom - 2 and top < it[4] - 2], name  # fmt: skip
    tops = {name: top for name, _, top, _, _ in found}
    assert tops["channel 0"] < tops["3.00"] < tops["channel 1"]
    beside = {name: top for name, _, top, _, _ in boxes(show(table_of_six, width=1280))}
    assert beside["channel 0"] == pytest.approx(beside["3.00"], abs=2)

"""`matrix`: two axes as rows and columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import ColourScale, Drawn, Fail, Style
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.view.drawing import Drawing, rounded
from bbilang.runtime.view.model import Element, Frame, Panel

if TYPE_CHECKING:
    from bbilang.runtime.vega.marks import Chart
    from bbilang.runtime.vega.theme import Theme


class Matrix(Style):
    """Numbers as coloured cells: atoms by classes, groups by classes, channels by channels; or pairs `top` kept, whose
    other cells stay empty. One scale for the whole element, symmetric about zero where values are signed."""

    name = "matrix"
    spends = "two axes, or one of pairs"
    takes = ("class",)
    zero_centred = True
    example = "block5c.expand.channel | attribute(output[top(5)]) | top(12) | present(matrix)"

    def spend(self, field: FieldType) -> Drawn:
        rows, columns = two_axes(field, self.name)
        return Drawn((rows.name, columns.name) if columns else (rows.name,), rows, columns)

    def marks(self, field: Node, drawn: Drawn) -> tuple[int, int]:
        count, numbers = super().marks(field, drawn)
        pairs = drawn.series is None  # each may have a row and a column of its own
        return (count * count, numbers * numbers) if pairs else (count, numbers)

    def panels(self, drawing: Drawing) -> tuple[Panel, ...]:
        axis = drawing.drawn.slots
        if drawing.drawn.series is None:
            return _pairs(drawing)
        atoms, values = drawing.slot_atoms(axis), drawing.values(axis)
        panels = []
        for facet in drawing.facets():
            frames = []
            for state in drawing.each_state():
                at = drawing.place(state, facet)
                frames.append(
                    Frame(
                        tuple(int(a) for a in atoms[at]),
                        (),
                        tuple(tuple(map(rounded, row)) for row in values[at]),
                        drawing.series(at),
                        colours=drawing.colours(at, axis),
                        series_atoms=drawing.series_atoms(at),
                    )
                )
            panels.append(drawing.panel(frames, facet))
        return tuple(panels)

    def colour_scale(self, element: Element, over: bool) -> ColourScale:
        return "full"

    def chart(self, element: Element, theme: Theme) -> Chart:
        from bbilang.runtime.charts.matrix import chart

        return chart(element, theme)


def two_axes(field: FieldType, style: str):
    """(rows, columns): classes are columns; columns are None for one axis of pairs. Raises `Fail` for any other."""
    axes = [axis for axis in field.axes if axis.name != "input"]
    if len(axes) == 1 and len(axes[0].components) == 2 and any(c.startswith("to.") for c in axes[0].components):
        return axes[0], None
    if len(axes) != 2:
        raise Fail(
            "E304",
            f"`{style}` draws two axes, and this field has {len(axes)}: {', '.join(a.name for a in axes) or 'none'}",
            "as in `attribute(output[top(5)]) | top(12)`: atoms by classes",
        )
    rows, columns = axes
    return (columns, rows) if rows.name == "class" and columns.name != "class" else (rows, columns)


def _pairs(drawing: Drawing) -> tuple[Panel, ...]:
    """Pairs as cells of the matrix of all atoms that occur in them, rows and columns in order of appearance."""
    axis = drawing.drawn.slots
    values = drawing.values(axis)[..., 0]
    coordinates = drawing.coordinates(axis)
    first, second = (coordinates[c] for c in axis.components)
    names = [c.split(".", 1)[1] for c in axis.components]
    layers = drawing.field.type.layers
    panels = []
    for facet in drawing.facets():
        frames = []
        for state in drawing.each_state():
            at = drawing.place(state, facet)
            here = [i for i, value in enumerate(values[at]) if value == value]
            rows = list(dict.fromkeys(int(first[at][i]) for i in here))
            columns = list(dict.fromkeys(int(second[at][i]) for i in here))
            cells = np.full((len(rows), len(columns)), np.nan)
            row_of, column_of = ({atom: place for place, atom in enumerate(ends)} for ends in (rows, columns))
            for i in here:
                cells[row_of[int(first[at][i])], column_of[int(second[at][i])]] = values[at][i]
            ends = [drawing.atom({names[1]: c}, layers[-1]) for c in columns]
            frames.append(
                Frame(
                    tuple(drawing.atom({names[0]: r}, layers[0]) for r in rows),
                    (),
                    tuple(tuple(map(rounded, row)) for row in cells),
                    tuple(drawing.atoms[a].label for a in ends),
                    series_atoms=tuple(ends),
                )
            )
        panels.append(drawing.panel(frames, facet))
    return tuple(panels)


STYLES = (Matrix(),)

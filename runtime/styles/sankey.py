"""`sankey`: groups of layers in columns, links by attribution."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import Drawn, Fail, Style
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.fields.field import Field, Linked, Named
from bbilang.runtime.view import groups as grouping
from bbilang.runtime.view.drawing import Drawing, rounded
from bbilang.runtime.view.model import Element, Frame, Panel

if TYPE_CHECKING:
    from bbilang.runtime.vega.marks import Chart
    from bbilang.runtime.vega.theme import Theme


class Sankey(Style):
    """Columns of atoms with links between neighbours: width by magnitude, colour by sign. A node is as high as its
    links need. Clicking a node leaves what flows through it: the links before it are scaled by the share of their end
    that goes on to it, those after it by the share of their start that comes from it."""

    name = "sankey"
    spends = "a linked list of fields"
    selects_marks = True
    follows_links = True
    example = (
        "late  = block5c.expand | factorize(nmf, 6)\n"
        "early = block4c.expand | factorize(nmf, 8, compatible=late)\n"
        "[early, late, output[top(5)]] | link() | present(sankey)"
    )

    def spend(self, field: FieldType) -> Drawn:
        if field.atom != "list":
            raise Fail(
                "E304",
                "`sankey` draws a linked list of fields",
                "as in `[early, late, output[top(5)]] | link() | present(sankey)`",
            )
        return Drawn(tuple(axis.name for axis in field.axes if axis.name != "input"))

    def marks(self, field: Node, drawn: Drawn) -> tuple[int, int]:
        """Links; and what each node leaves of each link when it is clicked."""
        while field.op != "link" and field.inputs:
            field = field.inputs[0]
        columns = [_atoms(node) for node in field.inputs[0].inputs] if field.inputs else []
        links = sum(a * b for a, b in pairwise(columns))
        return links, links * sum(columns)

    def panels(self, drawing: Drawing) -> tuple[Panel, ...]:
        field = drawing.field
        assert isinstance(field, Linked)
        panels = []
        for facet in drawing.facets():
            frames = [self._frame(drawing, field, drawing.place(s, facet)) for s in drawing.each_state()]
            panels.append(drawing.panel(frames, facet))
        return tuple(panels)

    def _frame(self, drawing: Drawing, field: Linked, at: tuple[int, ...]) -> Frame:
        atoms: list[int] = []
        numbers: list[tuple[float | None]] = []
        colours: list[str] = []
        columns: list[int] = []
        place: list[dict[int, int]] = []  # of each column: position in the field -> slot
        for column, node in enumerate(field.nodes):
            values = np.atleast_1d(_here(drawing, node.values, at))  # one class has no axis
            present = [i for i, value in enumerate(values) if value == value]
            place.append({})
            for i in present:
                place[-1][i] = len(atoms)
                atom, colour = _atom(drawing, node, i, at, len(present))
                atoms.append(atom)
                colours.append(colour)
                numbers.append((rounded(float(values[i])),))
                columns.append(column)
        links = []
        for column, pair in enumerate(field.pairs):
            values = _here(drawing, pair.values, at)
            if values.ndim == 1:  # to one atom or class
                values = values[:, None]
            for i, j in np.argwhere(np.isfinite(values)).tolist():
                if i in place[column] and j in place[column + 1] and values[i, j] != 0:
                    links.append((place[column][i], place[column + 1][j], rounded(float(values[i, j]))))
        return Frame(
            tuple(atoms), (), tuple(numbers), colours=tuple(colours), links=tuple(links), columns=tuple(columns)
        )

    def options(self, drawing: Drawing) -> dict[str, object]:
        nodes = drawing.field.nodes if isinstance(drawing.field, Linked) else ()
        return {"columns": tuple("classes" if n.type.atom == "class" else n.type.layers[0] for n in nodes)}

    def notes(self, drawing: Drawing) -> tuple[str, ...]:
        return ("width: magnitude, on one scale for each pair of columns; red raises the later one, blue lowers it",)

    def chart(self, element: Element, theme: Theme) -> Chart:
        from bbilang.runtime.charts.sankey import chart

        return chart(element, theme)


def _atoms(column: Node) -> int:
    return math.prod(axis.size for axis in column.type.axes if axis.name != "input")


def _here(drawing: Drawing, array: Named, at: tuple[int, ...]) -> np.ndarray:
    """One state's numbers over the array's own axes."""
    index: dict[str, int] = dict(
        zip([axis.name for axis in (*drawing.states, *([drawing.facet] if drawing.facet else []))], at, strict=True)
    )
    data = array.data
    for place in reversed(range(len(array.dims))):
        name = array.dims[place]
        if name in index or name == "input":
            data = np.take(data, index.get(name, 0), axis=place)
    return data


def _atom(drawing: Drawing, node: Field, i: int, at: tuple[int, ...], count: int) -> tuple[int, str]:
    """A node of a column: (number of its atom, its colour)."""
    axis = "class" if node.type.atom == "class" else "group"
    coord = node.coords.get(axis)
    number = int(np.atleast_1d(_here(drawing, coord, at))[i]) if coord is not None else i
    if axis == "class":
        names = node.names.get("class")
        known = np.atleast_1d(_here(drawing, names, at)) if names is not None else None
        words = drawing.results.labels(number) if known is None else str(known[i])
        return drawing.atom({"class": number}, "output", words), ""
    layer = node.type.layers[0]
    return drawing.group_atom(node, number, layer), grouping.colours(np.array([number]), count)[0]


STYLES = (Sankey(),)

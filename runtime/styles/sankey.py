"""`sankey`: groups of layers in columns, links by attribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import Drawn, Fail, Style
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.fields.field import Field, Linked, Named
from bbilang.runtime.view import groups as grouping
from bbilang.runtime.view.drawing import Drawing, Index, rounded
from bbilang.runtime.view.model import Element, Frame, Panel

if TYPE_CHECKING:
    from bbilang.runtime.vega.marks import Chart
    from bbilang.runtime.vega.theme import Theme

UNLINKED = ("list", "weights")  # contents of lists as a text writes them: nothing leads from one to the next


class Sankey(Style):
    """Columns of atoms with links between neighbouring columns. The width of a link is its magnitude; at each node,
    positive links are above a line and negative ones below it, and their net is drawn in black and printed. Links of
    the same unit share one scale. Clicking a node keeps only the flow through it: links before it are scaled by the
    share of their end that continues to the node, links after it by the share of their start that comes from the node,
    and the printed numbers are those of its links."""

    name = "sankey"
    encoding = "length"
    drawn_as = "a flow diagram"
    spends = "a linked list of fields"
    draws_lists = selects_marks = True
    follows_links = True
    example = (
        "late  = block6a.expand | factorize(nmf, 6)\n"
        "early = block4c.expand | factorize(nmf, 8, compatible=late)\n"
        "[early, late, output[top(5)]] | link() | present(sankey)"
    )

    def spend(self, field: FieldType) -> Drawn:
        if field.atom != "list" or field.content in UNLINKED:
            kept = field.content in ("weights", "weight")
            linked = "`[weights(a, b), weights(b, c)[to=3]] | circuit(3)`" if kept else "`[early, late] | link()`"
            raise Fail("E304", "`sankey` draws a linked list of fields", f"as in {linked}")
        return Drawn(tuple(axis.name for axis in field.axes if axis.name != "input"))

    def marks(self, field: Node, drawn: Drawn) -> tuple[int, int]:
        """Count the links, and what each node leaves of each link when it is clicked."""
        columns: Sequence[int] = ()
        while len(field.inputs) == 1:
            columns = field.get("columns") or columns
            (field,) = field.inputs
        columns = columns or [_atoms(node) for node in field.inputs]
        links = sum(a * b for a, b in pairwise(columns))
        return links, links * sum(columns)

    def panels(self, drawing: Drawing) -> tuple[Panel, ...]:
        field = drawing.field
        assert isinstance(field, Linked)
        return drawing.panels(lambda index: self._frame(drawing, field, index))

    def _frame(self, drawing: Drawing, field: Linked, index: Index) -> Frame:
        atoms: list[int] = []
        numbers: list[tuple[float | None]] = []
        colours: list[str] = []
        columns: list[int] = []
        slots: list[dict[int, int]] = []  # of each column: position in the field -> slot
        for column, node in enumerate(field.nodes):
            values = np.atleast_1d(_here(drawing, node.values, index))  # one class has no axis
            present = [i for i, value in enumerate(values) if value == value]
            slots.append({})
            for i in present:
                slots[-1][i] = len(atoms)
                atom, colour = _atom(drawing, node, i, index, len(present))
                atoms.append(atom)
                colours.append(colour)
                numbers.append((rounded(float(values[i])),))
                columns.append(column)
        links = []
        for column, pair in enumerate(field.pairs):
            values = _here(drawing, pair.values, index)
            if values.ndim == 1:  # to one atom or class
                values = values[:, None]
            for i, j in np.argwhere(np.isfinite(values)).tolist():
                value = rounded(float(values[i, j]))
                if i in slots[column] and j in slots[column + 1] and value:
                    links.append((slots[column][i], slots[column + 1][j], value))
        return Frame(
            tuple(atoms),
            (),
            tuple(numbers),
            colours=tuple(colours),
            links=tuple(links),
            columns=tuple(columns),
        )

    def options(self, drawing: Drawing) -> dict[str, object]:
        nodes = drawing.field.nodes if isinstance(drawing.field, Linked) else ()
        names = tuple("classes" if n.type.atom == "class" else n.type.layers[0] for n in nodes)
        kept = tuple(map(_unit, drawing.field.pairs, nodes[1:])) if isinstance(drawing.field, Linked) else ()
        units = tuple(dict.fromkeys(kept))  # what has one unit has one scale
        scored = bool(nodes) and nodes[-1].type.content == "score"
        return {
            "scored": scored,
            "columns": names,
            "scales": tuple(map(units.index, kept)),
            "units": ("per unit",) * len(units) if drawing.field.type.content == "weight" else units,
        }

    def quantity(self, drawing: Drawing) -> str:
        """Say what the width of a band of weights is."""
        if drawing.field.type.content != "weight":
            return ""
        return "the width of a band is the size of the weight from the channel at its left to the one at its right"

    def notes(self, drawing: Drawing) -> tuple[str, ...]:
        if drawing.field.type.content == "weight":
            return _notes_of_weights(drawing.field.type.signed)
        nodes = drawing.field.nodes if isinstance(drawing.field, Linked) else ()
        notes = [
            "the wider a link, the larger its number",
            "red raises what comes later and lies above the line of a node, blue lowers it and lies below",
            "in ink and as a number the net: what a node gets, in the first column what it gives",
        ]
        if isinstance(drawing.field, Linked) and len(set(map(_unit, drawing.field.pairs, nodes[1:]))) > 1:
            notes.append("links to groups and links to classes have different units, so each has a scale of its own")
        if nodes and nodes[-1].type.content == "score":
            notes.append("what is missing from a class's score does not pass through these groups")
        return tuple(notes)

    def chart(self, element: Element, theme: Theme) -> Chart:
        from bbilang.runtime.charts.sankey import chart

        return chart(element, theme)


def _notes_of_weights(signed: bool) -> tuple[str, ...]:
    """Say what a width, a colour and a number are, and which channels are left out."""
    width = "a weight is what one unit of the channel at its left"
    colours = "red is a positive weight and lies above the line of a channel, blue a negative one and lies below"
    return (
        f"{width} adds to the channel at its right; each pair of layers has a scale of its own",
        *([colours] if signed else []),
        "in ink and as a number the sum of the weights drawn into a channel, in the first column out of it",
        "channels that are not drawn have weights too; the nonlinearity of a layer in the middle is not in them",
    )


def _unit(pair: Field, later: Field) -> str:
    """Return the unit of links to a column."""
    if pair.type.content == "weight":
        return pair.type.unit
    return later.type.unit or "of the score" if later.type.content == "score" else "of group score"


def _atoms(column: Node) -> int:
    return math.prod(axis.size for axis in column.type.axes if axis.name != "input")


def _here(drawing: Drawing, array: Named, index: Index) -> np.ndarray:
    """Return one state's numbers over the array's own axes."""
    apart = [axis.name for axis in (*drawing.states, *([drawing.facet] if drawing.facet else []))]
    chosen: dict[str, int] = dict(zip(apart, index, strict=True))
    data = array.data
    for number, name in reversed(list(enumerate(array.dims))):
        if name in chosen or name == "input":
            data = np.take(data, chosen.get(name, 0), axis=number)
    return data


def _atom(drawing: Drawing, node: Field, i: int, index: Index, count: int) -> tuple[int, str]:
    """Return a node of a column: (number of its atom, its colour)."""
    axis = node.type.atom
    coord = node.coords.get(axis)
    number = int(np.atleast_1d(_here(drawing, coord, index))[i]) if coord is not None else i
    if axis == "class":
        names = node.names.get("class")
        known = np.atleast_1d(_here(drawing, names, index)) if names is not None else None
        words = drawing.results.labels(number) if known is None else str(known[i])
        return drawing.atom({"class": number}, "output", words), ""
    layer = node.type.layers[0]
    if axis != "group":
        return drawing.atom({axis: number}, layer), ""
    (colour,) = drawing.group_colours(np.array([number]), count, grouping.member(drawing.node, layer))
    return drawing.group_atom(node, number, layer), colour


STYLES = (Sankey(),)

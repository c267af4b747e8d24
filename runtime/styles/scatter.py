"""`scatter`: atoms as points in the plane."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.check.present import one_atom_axis
from bbilang.compiler.contract import Activations, Demand, Drawn, Fail, IconsOf, Parameter, Run, Style
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import VECTORS, FieldType
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.view.drawing import Drawing, Index, rounded
from bbilang.runtime.view.icon_tiles import icon_picture
from bbilang.runtime.view.model import Answer, Element, Frame, Panel, PointSet
from bbilang.runtime.view.points.fields import MOST_MARKS, of_examples, of_field

if TYPE_CHECKING:
    from bbilang.runtime.featvis.icon import Objective
    from bbilang.runtime.vega.marks import Chart
    from bbilang.runtime.vega.theme import Theme
    from bbilang.runtime.view.answers.shown import Shown


class Scatter(Style):
    """Each atom as a point at its two components, or at its numbers for two classes; both axes have the same scale.
    Pointing at a point shows its name and, with `icons=true`, its icon. Examples of a dataset, and more than 2,000
    points, have more: colour and filter by a column, zoom, and a lasso that says what the chosen points share."""

    name = "scatter"
    encoding = "position"
    drawn_as = "points"
    spends = "one axis of atoms and one of size 2 (`component` or `class`)"
    parameters = (
        Parameter("icons", "flag", "make an icon for every point, shown when the reader points at it", False),
    )
    zero_centred = True
    shows_examples = True
    selects_marks = True
    example = (
        'block6a.expand.channel | attribute([output["tabby"], output["tiger cat"]])\n'
        "    | top(50, by=magnitude) | present(scatter)"
    )

    def spend(self, field: FieldType) -> Drawn:
        pair = next((a for a in field.axes if a.name in ("component", "class", "model") and a.size == 2), None)
        if pair is None:
            raise Fail(
                "E304", "`scatter` needs an axis of size 2: two components, or two classes", "as in `project(pca, 2)`"
            )
        own = field.without(pair.name)
        example = own.axis("example")
        if example is not None and set(own.names) <= {"example", "y", "x"}:
            return Drawn((*own.names, pair.name), example, pair)
        y, x = own.axis("y"), own.axis("x")
        if field.atom == "spatial" and y is not None and x is not None and y.whole and x.whole:
            return Drawn(("y", "x", pair.name), None, pair, (y.size, x.size))
        slots = one_atom_axis(own, self.name)
        return Drawn((slots.name, pair.name), slots, pair)

    def encloses(self, node: Node) -> bool:
        if node["icons"] or node["facet"] is not None or node.type.states:
            return False
        slots = self.spend(node.type).slots
        return slots is not None and slots.components[0] == "example"

    def marks(self, field: Node, drawn: Drawn) -> tuple[int, int]:
        points = drawn.slots.size if drawn.slots is not None else math.prod(drawn.cells or ())
        layered = points > MOST_MARKS or "example" in drawn.spent
        return (0, 0) if layered and not field.type.states else (points, 2 * points)

    def demands(self, node: Node) -> tuple[Demand, ...]:
        if not node["icons"]:
            return ()
        vectors = node.type.atom in VECTORS
        return (IconsOf(), *((Activations(node.type.layers),) if vectors else ()))

    def objectives(self, node: Node, field: Field, run: Run) -> tuple[Named, list[Objective]]:
        from bbilang.runtime.featvis.element_objectives import objectives

        return objectives(node, field, run)

    def points(self, drawing: Drawing) -> PointSet | None:
        return None if drawing.node.get("icons") else of_field(drawing, of_examples(drawing))

    def panels(self, drawing: Drawing) -> tuple[Panel, ...]:
        if len(drawing.drawn.spent) > 2 and drawing.drawn.cells is None:
            return drawing.panels(lambda index: _of_positions(drawing, index))
        axis, pair = drawing.drawn.slots, drawing.drawn.series
        assert pair is not None
        axes = [axis] if axis else [drawing.axis("y"), drawing.axis("x")]
        values = drawing.grid(drawing.field.values, *axes, pair)
        with_icons = drawing.node.get("icons")
        icons = drawing.grid(drawing.results.icon_sets[drawing.element.id].index, *axes) if with_icons else None
        atoms = drawing.slot_atoms(axis) if axis else None

        def frame(index: Index) -> Frame:
            numbers = values[index] if axis else drawing.inside(values[index], index)
            y, x = numbers.shape[0], numbers.shape[1]
            own = tuple(atoms[index].tolist()) if atoms is not None else drawing.cells(index, (y, x))
            shown: list[int] = []
            if icons is not None:
                shown = icons[index][tuple(slice(size) for size in numbers.shape[:-1])].ravel().tolist()
            pairs = zip(shown, own, strict=False)
            return Frame(
                own,
                tuple(icon_picture(drawing, icon) if atom >= 0 else -1 for icon, atom in pairs),
                tuple(tuple(map(rounded, point)) for point in numbers.reshape(-1, 2)),
                drawing.series(index),
                colours=drawing.colours(index, axis) if axis else (),
            )

        return drawing.panels(frame)

    def title(self, drawing: Drawing) -> str:
        layers = drawing.field.type.layers
        example = drawing.field.type.axis("example")
        if example is None or len(layers) != 1:
            return ""
        return f"{'Positions' if 'y' in example.components else 'Examples'} by {layers[0]}"

    def answer(self, shown: Shown) -> Answer | None:
        from bbilang.runtime.view.answers.ranked import of_scatter

        return of_scatter(shown)

    def chart(self, element: Element, theme: Theme) -> Chart:
        if element.points is not None:
            from bbilang.runtime.charts.points import chart as points_chart

            return points_chart(element, theme)
        from bbilang.runtime.charts.scatter import chart

        return chart(element, theme)


def _of_positions(drawing: Drawing, index: Index) -> Frame:
    """Return the numbers at the positions of examples, for a table: notes say which is which."""
    pair = drawing.drawn.series
    assert pair is not None
    axes = [axis for axis in drawing.field.type.axes if axis.name in drawing.drawn.spent and axis != pair]
    values = drawing.grid(drawing.field.values, *axes, pair)[index]
    notes = [
        ", ".join(f"{axis.name} {i}" for axis, i in zip(axes, at, strict=True)) for at in np.ndindex(values.shape[:-1])
    ]
    pairs = tuple(tuple(map(rounded, point)) for point in values.reshape(-1, 2))
    return Frame(values=pairs, series=drawing.series(index), notes=tuple(notes))


STYLES = (Scatter(),)

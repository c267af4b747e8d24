"""`curve`: numbers as lines along an ordered axis."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import Drawn, Fail, Style
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.fields.field import Field
from bbilang.runtime.view.drawing import Drawing, Index, rounded
from bbilang.runtime.view.model import Answer, Element, Frame, Panel

if TYPE_CHECKING:
    from bbilang.runtime.vega.marks import Chart
    from bbilang.runtime.vega.theme import Theme
    from bbilang.runtime.view.answers.shown import Shown

ORDERED = ("layer", "step", "example", "component", "token", "frame")


class Curve(Style):
    """A line along an ordered axis: layers from the input on, steps, components. Draws a line for each `class`.

    After a measure with a curve, such as `trust(deletion)`, it draws that curve."""

    name = "curve"
    encoding = "position"
    drawn_as = "a curve"
    spends = "one ordered axis: `layer`, `step`, `component` or `token`; or what `trust` measured along one"
    takes = ("class", "measure")
    example = "[block3b.expand, block4c.expand, block6a.expand].whole | activation | present(curve)"

    def spend(self, field: FieldType) -> Drawn:
        if field.curves:
            return self._measured(field)
        along = [axis for axis in field.axes if axis.name in ORDERED]
        if len(along) != 1:
            raise Fail(
                "E304",
                f"`curve` runs along one ordered axis, and this field has {len(along)}",
                f"ordered are {', '.join(ORDERED)}",
            )
        series = field.axis("measure") or field.axis("class")
        return Drawn((along[0].name, series.name if series else "class"), along[0], series)

    def _measured(self, field: FieldType) -> Drawn:
        """Spend every axis but `input` and `class`: the curve replaces the attribution's atoms. Raises `Fail` for
        several measures."""
        if len(field.curves) > 1:
            names = ", ".join(f"`{name}`" for name in field.curves)
            raise Fail("E304", f"`curve` draws one measure, and these are {names}", "give each an element of its own")
        return Drawn(tuple(axis.name for axis in field.axes if axis.name not in ("input", "class")))

    def drawn(self, field: Field) -> Field:
        if not field.type.curves:
            return field
        curve = field.curves[field.type.curves[0]]
        return replace(curve, notes=field.notes, trust=field.trust)

    def panels(self, drawing: Drawing) -> tuple[Panel, ...]:
        axis = drawing.slots
        values = drawing.values(axis)
        coordinates, layers = drawing.coordinates(axis), drawing.layer_grid(axis)
        known, names = drawing.field.type.layers, drawing.field.names.get(axis.name)

        def atom(index: Index, slot: int) -> int:
            if np.isnan(values[index][slot]).all():
                return -1
            layer = known[int(layers[index][slot])] if known else ""
            own = {c: int(numbers[index][slot]) for c, numbers in coordinates.items() if c != "layer"}
            if not own and axis.name != "layer":
                own = {axis.name: slot}
            return drawing.named_atom(own, layer, str(names.data[slot]) if names is not None else "")

        def frame(index: Index) -> Frame:
            atoms = tuple(atom(index, slot) for slot in range(values.shape[-2]))
            numbers = tuple(tuple(map(rounded, row)) for row in values[index])
            return Frame(atoms, (), numbers, drawing.series(index), series_atoms=drawing.series_atoms(index))

        return drawing.panels(frame)

    def answer(self, shown: Shown) -> Answer | None:
        from bbilang.runtime.view.answers.flows import curve

        return curve(shown)

    def chart(self, element: Element, theme: Theme) -> Chart:
        from bbilang.runtime.charts.curve import chart

        return chart(element, theme)


STYLES = (Curve(),)

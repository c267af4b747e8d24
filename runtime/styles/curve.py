"""`curve`: numbers along an ordered axis."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import Drawn, Fail, Style
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.fields.field import Field
from bbilang.runtime.view.drawing import Drawing, rounded
from bbilang.runtime.view.model import Element, Frame, Panel

if TYPE_CHECKING:
    from bbilang.runtime.vega.marks import Chart
    from bbilang.runtime.vega.theme import Theme

ORDERED = ("layer", "step", "example", "component", "token")


class Curve(Style):
    """A line along an axis that has an order: layers from the input on, steps, components. Takes `class` as lines.

    After a measure that has a curve (`trust(deletion)`) it draws that."""

    name = "curve"
    spends = "one ordered axis: `layer`, `step`, `component` or `token`; or what `trust` measured along one"
    takes = ("class", "measure")
    example = "[block3b.expand, block4c.expand, block5c.expand].whole | activation | present(curve)"

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
        """The attribution's own atoms are not drawn, but the score while they go, or what the measure runs along."""
        if len(field.curves) > 1:
            names = ", ".join(f"`{name}`" for name in field.curves)
            raise Fail("E304", f"`curve` draws one measure, and these are {names}", "give each an element of its own")
        return Drawn(tuple(axis.name for axis in field.axes if axis.name not in ("input", "class")))

    def drawn(self, field: Field) -> Field:
        if not field.type.curves:
            return field
        found = field.curves[field.type.curves[0]]
        return replace(found, notes=field.notes, trust=field.trust)

    def panels(self, drawing: Drawing) -> tuple[Panel, ...]:
        axis = drawing.drawn.slots
        values = drawing.values(axis)
        columns, layers = drawing.coordinates(axis), drawing.layer_grid(axis)
        known, named = drawing.field.type.layers, drawing.field.names.get(axis.name)
        panels = []
        for facet in drawing.facets():
            frames = []
            for state in drawing.each_state():
                at = drawing.place(state, facet)
                atoms = []
                for slot in range(values.shape[-2]):
                    layer = known[int(layers[at][slot])] if known else ""
                    here = {c: int(v[at][slot]) for c, v in columns.items() if c != "layer"}
                    if not here and axis.name != "layer":
                        here = {axis.name: slot}
                    absent = bool(np.isnan(values[at][slot]).all())
                    words = str(named.data[slot]) if named is not None else ""
                    atoms.append(-1 if absent else drawing.named_atom(here, layer, words))
                numbers = tuple(tuple(map(rounded, row)) for row in values[at])
                frames.append(
                    Frame(tuple(atoms), (), numbers, drawing.series(at), series_atoms=drawing.series_atoms(at))
                )
            panels.append(drawing.panel(frames, facet))
        return tuple(panels)

    def chart(self, element: Element, theme: Theme) -> Chart:
        from bbilang.runtime.charts.curve import chart

        return chart(element, theme)


STYLES = (Curve(),)

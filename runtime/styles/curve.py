"""`curve`: numbers along an ordered axis."""

from __future__ import annotations

import numpy as np

from bbilang.compiler.op import Drawn, Fail, Style
from bbilang.compiler.types import FieldType
from bbilang.runtime.drawing import Drawing, rounded
from bbilang.runtime.viewmodel import Frame, Panel

ORDERED = ("layer", "step", "example", "component", "token")


class Curve(Style):
    """A line along an axis that has an order: layers from the input on, steps, components. Takes `class` as lines."""

    name = "curve"
    spends = "one ordered axis: `layer`, `step`, `component` or `token`"
    takes = ("class",)
    example = "[block3b.expand, block4c.expand, block5c.expand].whole | activation | present(curve)"

    def spend(self, field: FieldType) -> Drawn:
        along = [axis for axis in field.axes if axis.name in ORDERED]
        if len(along) != 1:
            raise Fail(
                "E304",
                f"`curve` runs along one ordered axis, and this field has {len(along)}",
                f"ordered are {', '.join(ORDERED)}",
            )
        series = field.axis("class")
        return Drawn((along[0].name, "class"), along[0], series)

    def panels(self, drawing: Drawing) -> tuple[Panel, ...]:
        axis = drawing.drawn.slots
        values = drawing.values(axis)
        columns, layers = drawing.coordinates(axis), drawing.layer_grid(axis)
        known = drawing.field.type.layers
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
                    atoms.append(-1 if absent else drawing.named_atom(here, layer))
                numbers = tuple(tuple(map(rounded, row)) for row in values[at])
                frames.append(
                    Frame(tuple(atoms), (), numbers, drawing.series(at), series_atoms=drawing.series_atoms(at))
                )
            panels.append(drawing.panel(frames, facet))
        return tuple(panels)


STYLES = (Curve(),)

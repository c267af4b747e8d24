"""`curve`: numbers along an ordered axis."""

from __future__ import annotations

from bbilang.compiler.op import Drawn, Fail, Style
from bbilang.compiler.types import FieldType

ORDERED = ("layer", "step", "example", "component", "token")


class Curve(Style):
    """A line along an axis that has an order: layers from the input on, steps, components. Takes `class` as lines."""

    name = "curve"
    available = False
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


STYLES = (Curve(),)

"""`matrix`: two axes as rows and columns."""

from __future__ import annotations

from bbilang.compiler.op import Drawn, Fail, Style
from bbilang.compiler.types import FieldType


class Matrix(Style):
    """Numbers as coloured cells: atoms by classes, groups by classes, channels by channels; or pairs `top` kept."""

    name = "matrix"
    available = False
    spends = "two axes, or one of pairs"
    example = "block5c.expand.channel | attribute(output[top(5)]) | top(12) | present(matrix)"

    def spend(self, field: FieldType) -> Drawn:
        axes = [axis for axis in field.axes if axis.name != "input"]
        if len(axes) == 1 and len(axes[0].components) == 2:
            return Drawn((axes[0].name,), axes[0])
        if len(axes) != 2:
            raise Fail(
                "E304",
                f"`matrix` draws two axes, and this field has {len(axes)}: {', '.join(a.name for a in axes) or 'none'}",
            )
        return Drawn((axes[0].name, axes[1].name), axes[0], axes[1])


STYLES = (Matrix(),)

"""`table`: numbers as numbers."""

from __future__ import annotations

from bbilang.compiler.op import Drawn, Fail, Style
from bbilang.compiler.types import FieldType


class Table(Style):
    """One axis as rows; a second, where there is one, as columns."""

    name = "table"
    available = False
    spends = "one axis or two"
    example = "block5c.expand.channel | attribute(output[top(5)]) | top(12) | present(table)"

    def spend(self, field: FieldType) -> Drawn:
        axes = [axis for axis in field.axes if axis.name != "input"]
        if not 1 <= len(axes) <= 2:
            raise Fail("E304", f"`table` has rows and columns, and this field has {len(axes)} axes")
        return Drawn(tuple(axis.name for axis in axes), axes[0], axes[1] if len(axes) == 2 else None)


STYLES = (Table(),)

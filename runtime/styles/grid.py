"""`grid`: an icon at every position."""

from __future__ import annotations

from bbilang.compiler.op import Drawn, Fail, Style
from bbilang.compiler.types import FieldType


class Grid(Style):
    """One icon a position, for the vector there; with `size=norm` a cell's area shows the vector's magnitude."""

    name = "grid"
    available = False
    spends = "`y` and `x`"
    carries = True
    example = "[block4c.expand, block5c.expand].spatial | activation | present(grid, size=norm, facet=layer)"

    def spend(self, field: FieldType) -> Drawn:
        y, x = field.axis("y"), field.axis("x")
        if y is None or x is None or field.atom not in ("spatial", "neuron"):
            raise Fail("E304", "`grid` draws an icon at every position, and this field has no `y` and `x` left",
                       "start from `.spatial` atoms")  # fmt: skip
        return Drawn(("y", "x"), cells=(y.size, x.size))


STYLES = (Grid(),)

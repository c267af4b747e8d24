"""`sankey`: groups of layers in columns, links by attribution."""

from __future__ import annotations

from bbilang.compiler.op import Drawn, Fail, Style
from bbilang.compiler.types import FieldType


class Sankey(Style):
    """Columns of atoms with links between neighbours: width by magnitude, colour by sign."""

    name = "sankey"
    available = False
    spends = "a linked list of fields"
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
        return Drawn(tuple(axis.name for axis in field.axes))


STYLES = (Sankey(),)

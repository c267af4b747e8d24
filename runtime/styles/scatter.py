"""`scatter`: atoms as points."""

from __future__ import annotations

from bbilang.compiler.op import Drawn, Fail, Style
from bbilang.compiler.present import one_atom_axis
from bbilang.compiler.types import FieldType


class Scatter(Style):
    """Each atom a point at its two components, or at its numbers for two classes."""

    name = "scatter"
    available = False
    spends = "one axis of atoms and one of size 2 (`component` or `class`)"
    example = (
        'block5c.expand.channel | attribute([output["tabby"], output["tiger cat"]])\n'
        "    | top(50, by=magnitude) | present(scatter)"
    )

    def spend(self, field: FieldType) -> Drawn:
        pair = next((a for a in field.axes if a.name in ("component", "class", "model") and a.size == 2), None)
        if pair is None:
            raise Fail(
                "E304", "`scatter` needs an axis of size 2: two components, or two classes", "as in `project(pca, 2)`"
            )
        slots = one_atom_axis(field, self.name)
        return Drawn((slots.name, pair.name), slots, pair)


STYLES = (Scatter(),)

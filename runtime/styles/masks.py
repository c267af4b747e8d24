"""`masks`: a hue for each group, over the photo."""

from __future__ import annotations

from bbilang.compiler.op import Drawn, Fail, Style
from bbilang.compiler.types import FieldType


class Masks(Style):
    """Where each group is: every position tinted by the value-weighted circular mean of the groups' hues."""

    name = "masks"
    available = False
    spends = "`group`, `y` and `x`"
    overlays = True
    carries = True
    example = (
        "photo  = input | present(image)\n"
        "groups = block5c.expand | factorize(nmf, 6)\n"
        "groups.spatial | present(masks, over=photo)"
    )

    def spend(self, field: FieldType) -> Drawn:
        y, x, group = (field.axis(name) for name in ("y", "x", "group"))
        if y is None or x is None or group is None:
            raise Fail(
                "E304", "`masks` draws groups over positions", "as in `groups.spatial | present(masks, over=photo)`"
            )
        return Drawn(("group", "y", "x"), slots=group, cells=(y.size, x.size))


STYLES = (Masks(),)

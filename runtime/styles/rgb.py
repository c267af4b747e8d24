"""`rgb`: three components as red, green and blue."""

from __future__ import annotations

from bbilang.compiler.op import Drawn, Fail, Style
from bbilang.compiler.types import FieldType


class Rgb(Style):
    """Up to three components over positions as one picture, alone or `over=` another element."""

    name = "rgb"
    available = False
    spends = "`y`, `x` and `component` of at most 3"
    overlays = True
    carries = True
    example = "photo = input | present(image)\nblock5c.expand.spatial | project(pca, 3) | present(rgb, over=photo)"

    def spend(self, field: FieldType) -> Drawn:
        y, x, component = (field.axis(name) for name in ("y", "x", "component"))
        if y is None or x is None or component is None:
            raise Fail(
                "E304", "`rgb` draws components over positions", "as in `.spatial | project(pca, 3) | present(rgb)`"
            )
        if component.size > 3:
            raise Fail("E304", f"`rgb` has three colours, and this field {component.size} components", "project to 3")
        return Drawn(("y", "x", "component"), cells=(y.size, x.size))


STYLES = (Rgb(),)

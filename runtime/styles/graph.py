"""`graph`: the model as a picture."""

from __future__ import annotations

from bbilang.compiler.op import Drawn, Fail, Style
from bbilang.compiler.types import FieldType


class Graph(Style):
    """The layers as boxes in forward order, their numbers as colour."""

    name = "graph"
    available = False
    spends = "`layer`"
    example = "[block1a..block7a].whole | activation | present(graph)"

    def spend(self, field: FieldType) -> Drawn:
        layer = field.axis("layer")
        if layer is None:
            raise Fail(
                "E304", "`graph` draws layers, and this field has no axis `layer`", "as in `[block1a..block7a].whole`"
            )
        return Drawn(("layer",), layer)


STYLES = (Graph(),)

"""`atlas`: many examples at once, binned on the plane."""

from __future__ import annotations

from bbilang.compiler.contract import Drawn, Fail, Parameter, Style
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType


class Atlas(Style):
    """An icon for the mean activation of each bin of a two-dimensional map of a dataset's activations (Carter 2019)."""

    name = "atlas"
    available = False
    spends = "`example`, the positions and two components"
    parameters = (Parameter("bins", "integer", "bins along each side", 20, minimum=2, maximum=200),)
    example = (
        'dataset photos = "sample:shapes"\n'
        "block6a.expand.spatial | across(photos) | project(umap, 2) | present(atlas, bins=20)"
    )

    def spend(self, field: FieldType) -> Drawn:
        component, example = field.axis("component"), field.axis("example")
        if component is None or component.size != 2 or example is None:
            raise Fail(
                "E304",
                "`atlas` maps a dataset to the plane",
                "as in `across(photos) | project(umap, 2) | present(atlas)`",
            )
        return Drawn(("example", "y", "x", "component"), example, component)

    def marks(self, field: Node, drawn: Drawn) -> tuple[int, int]:
        return 0, 0  # as many as bins, however many examples


STYLES = (Atlas(),)

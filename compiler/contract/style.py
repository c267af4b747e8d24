"""The contract of a style: which axes of a field it draws, with how many marks, and how."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from bbilang.compiler.contract.demands import Demand
from bbilang.compiler.contract.parameters import Parameter
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.grammar.frozen import frozen


@frozen
class Drawn:
    """What a style makes of a field's axes: one axis along the slots, one as series, the rest are facets or states."""

    spent: tuple[str, ...]
    slots: Axis | None = None
    series: Axis | None = None
    cells: tuple[int, int] | None = None  # (y, x) of a map


class Style:
    """One way to draw a field. ``takes`` may be spent besides, when they are there."""

    name: ClassVar[str] = ""
    spends: ClassVar[str] = ""  # in words, for messages: "one axis of atoms"
    takes: ClassVar[tuple[str, ...]] = ()
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    overlays: ClassVar[bool] = False  # may be drawn `over=` another element
    carries: ClassVar[bool] = False  # other elements may be drawn into it
    coloured: ClassVar[bool] = False  # `color=` says what the colour of its bars shows
    available: ClassVar[bool] = True
    example: ClassVar[str] = ""

    def spend(self, field: FieldType) -> Drawn:
        """Which axes are drawn. Raises `Fail` where the field cannot be drawn like this."""
        raise NotImplementedError

    def marks(self, field: Node, drawn: Drawn) -> tuple[int, int]:
        """(the most marks that a panel shows at once, the numbers that the page carries for them in each state): what
        bounds an element's size. A map is one picture, whatever its cells."""
        if drawn.cells is not None:
            return 0, 0
        sizes = [axis.size for axis in (drawn.slots, drawn.series) if axis is not None]
        return math.prod(sizes), math.prod(sizes)

    def demands(self, node: Node) -> tuple[Demand, ...]:
        return ()

    def objectives(self, node: Node, field: Any, run: Any) -> tuple[Any, list[Any]]:
        """For styles that demand icons: what each atom's icon maximizes, as numbers into a list of objectives."""
        raise NotImplementedError

    def drawn(self, field: Any) -> Any:
        """What of a field is drawn: itself, or what it carries along."""
        return field

    def panels(self, drawing: Any) -> tuple[Any, ...]:
        """Plain panels for the view model, from numbers (runtime/view/drawing.py)."""
        raise NotImplementedError

    def notes(self, drawing: Any) -> tuple[str, ...]:
        """What the legend says of this way to draw, besides quantity, unit and scale."""
        return ()

    def options(self, drawing: Any) -> dict[str, object]:
        """What the chart is told besides the panels."""
        return {}

    def chart(self, element: Any, theme: Any) -> Any:
        """The element as an Altair chart or a Vega-Lite specification, from the view model. The built-in styles have
        theirs in runtime/charts, so that nothing but drawing imports Altair."""
        raise NotImplementedError

"""The style `dots` for bbilang: a dot plot (Cleveland 1985). Importing it loads no Altair."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbilang.compiler.contract import Drawn, Style
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.styles.bars import row_of, row_panels
from bbilang.runtime.view.drawing import Drawing
from bbilang.runtime.view.model import Element, Panel

if TYPE_CHECKING:
    from bbilang.runtime.vega.marks import Chart
    from bbilang.runtime.vega.theme import Theme


class Dots(Style):
    """A dot per atom at its value; several classes are dots of different colours on the same line."""

    name = "dots"
    spends = "one axis of atoms, or `class`"
    takes = ("class",)
    selects_marks = True  # pointing at a dot marks its atom in every element
    example = "head.channel | attribute(output[top(3)]) | top(8) | present(dots)"

    def spend(self, field: FieldType) -> Drawn:
        """One axis of atoms along the slots, `class` as series. Raises `Fail` for any other axes."""
        return row_of(field, self.name)

    def panels(self, drawing: Drawing) -> tuple[Panel, ...]:
        """Atoms in slots, with a value per series."""
        return row_panels(drawing)

    def notes(self, drawing: Drawing) -> tuple[str, ...]:
        """What the legend says, besides quantity, unit and scale."""
        return ("the line is zero",)

    def chart(self, element: Element, theme: Theme) -> Chart:
        from bbilang_dots.drawing import DotChart  # Altair is imported here and not above

        return DotChart(element, theme).chart()


STYLES = (Dots(),)

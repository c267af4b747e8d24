"""`swatches`: numbers as the opacity of coloured squares."""

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


def swatch_notes(drawing: Drawing) -> tuple[str, ...]:
    """Explain in the legend how to read swatches."""
    signed = "a filled swatch speaks for its class, a minus against it; " if drawing.field.type.signed else ""
    net = "; the net has the colour of the class that it favours" if is_pair(drawing) else ""
    return (f"{signed}the more opaque a swatch, the larger its number{net}",)


def is_pair(drawing: Drawing) -> bool:
    """Return whether two classes are compared, so that their net is drawn."""
    return drawing.series_axis is not None and drawing.series_axis.size == 2


class Swatches(Style):
    """A row of squares for each class, as in the article's teaser. The opacity of a square is its magnitude relative to
    the largest; a minus in the class's colour is evidence against the class."""

    name = "swatches"
    drawn_as = "swatches of colour"
    spends = "one axis of atoms, or `class`"
    takes = ("class",)
    example = (
        'block6a.expand.channel | attribute([output["tabby"], output["tiger cat"]])\n'
        "    | both(3, by=difference) | present(swatches)"
    )

    def spend(self, field: FieldType) -> Drawn:
        return row_of(field, self.name)

    def panels(self, drawing: Drawing) -> tuple[Panel, ...]:
        return row_panels(drawing)

    def notes(self, drawing: Drawing) -> tuple[str, ...]:
        return swatch_notes(drawing)

    def chart(self, element: Element, theme: Theme) -> Chart:
        from bbilang.runtime.charts.swatches import chart

        return chart(element, theme)


STYLES = (Swatches(),)

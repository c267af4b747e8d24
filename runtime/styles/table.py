"""`table`: a table of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbilang.compiler.contract import Drawn, Fail, Redraw, Style
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.fields.findings import Findings
from bbilang.runtime.fields.statements import Statements
from bbilang.runtime.styles.bars import row_panels
from bbilang.runtime.styles.matrix import two_axes
from bbilang.runtime.view.drawing import Drawing
from bbilang.runtime.view.model import Answer, Element, Panel, Verdict

if TYPE_CHECKING:
    from bbilang.runtime.vega.marks import Chart
    from bbilang.runtime.vega.theme import Theme
    from bbilang.runtime.view.answers.shown import Shown

LONG = 620  # pixels: the names of findings, at most


class Table(Style):
    """Numbers in a table: one axis as rows, a second axis, if there is one, as columns. Where each row has columns of
    its own, as the classes that a token predicts, each number stands beside its class."""

    name = "table"
    encoding = "digits"
    drawn_as = "a table"
    spends = "one axis or two"
    takes = ("class",)
    lists_claims = True
    example = "block6a.expand.channel | attribute(output[top(5)]) | top(12) | present(table)"

    def spend(self, field: FieldType) -> Drawn:
        axes = [axis for axis in field.axes if axis.name != "input"]
        if not 1 <= len(axes) <= 2:
            raise Fail("E304", f"`table` has rows and columns, and this field has {len(axes)} axes")
        if len(axes) == 1:
            return Drawn((axes[0].name,), axes[0])
        rows, columns = two_axes(field, self.name)
        assert columns is not None  # pairs have one axis
        return Drawn((rows.name, columns.name), rows, columns, named=rows.name in columns.varies)

    def redraws(self, field: FieldType) -> Redraw:
        return "" if field.axis("example") is not None else "values"

    def panels(self, drawing: Drawing) -> tuple[Panel, ...]:
        return row_panels(drawing)

    def options(self, drawing: Drawing) -> dict[str, object]:
        field = drawing.field
        if isinstance(field, Findings):
            return {"formats": list(field.formats), "names": LONG}
        return {"formats": [".1%"]} if field.type.unit == "probability" else {}

    def has_legend(self, drawing: Drawing) -> bool:
        return not isinstance(drawing.field, Statements)

    def title(self, drawing: Drawing) -> str:
        return drawing.field.title if isinstance(drawing.field, Findings) else ""

    def quantity(self, drawing: Drawing) -> str:
        return drawing.field.title if isinstance(drawing.field, Findings) else ""

    def answer(self, shown: Shown) -> Answer | None:
        from bbilang.runtime.view.answers.pieces import sentence

        field = shown.drawing.field
        return sentence(field.finding) if isinstance(field, Findings) else None

    def verdicts(self, drawing: Drawing) -> tuple[Verdict, ...]:
        field = drawing.field
        return tuple(Verdict(*line) for line in field.lines()) if isinstance(field, Statements) else ()

    def chart(self, element: Element, theme: Theme) -> Chart:
        from bbilang.runtime.charts.table import chart

        return chart(element, theme)


STYLES = (Table(),)

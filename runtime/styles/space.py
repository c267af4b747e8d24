"""`space`: where pages lie among the layers and kinds of atoms of their networks, and what would fill the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbilang.compiler.complete.grid import Grid
from bbilang.compiler.contract import Drawn, Fail, Parameter, Style
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.fields.places import Places
from bbilang.runtime.styles.bars import row_panels
from bbilang.runtime.view.drawing import Drawing
from bbilang.runtime.view.model import Answer, Element, Panel

if TYPE_CHECKING:
    from bbilang.runtime.vega.marks import Chart
    from bbilang.runtime.vega.theme import Theme
    from bbilang.runtime.view.answers.shown import Shown

PAGES = Parameter("pages", "pages", "other texts to place: names, folders, patterns; `sample:gallery`", ())


class Space(Style):
    """The grid of the article: layers as rows, kinds of atoms as columns, every element of this text and of `pages` as
    a point in the colour of its page. An empty cell offers a text that fills it. It starts with `present`; other
    formats than a page have how many elements lie in each cell."""

    name = "space"
    drawn_as = "the space of interfaces"
    spends = "the places of pages"
    parameters = (PAGES,)
    places_pages = True
    example = "block5c.expand.channel | attribute(output) | top(8) | present(bars)\npresent(space)"

    def spend(self, field: FieldType) -> Drawn:
        rows, columns = field.axis("place"), field.axis("measure")
        if rows is None or columns is None:
            help = 'write it as a line of its own: `present(space)`, `present(space, pages="specs/*.bbi")`'
            raise Fail("E304", "`space` draws where pages lie, and no numbers", help)
        return Drawn(("place", "measure"), rows, columns)

    def panels(self, drawing: Drawing) -> tuple[Panel, ...]:
        return row_panels(drawing)

    def options(self, drawing: Drawing) -> dict[str, object]:
        assert isinstance(drawing.field, Places)
        return {"formats": list(drawing.field.formats)}

    def has_legend(self, drawing: Drawing) -> bool:
        return False

    def title(self, drawing: Drawing) -> str:
        assert isinstance(drawing.field, Places)
        return drawing.field.title

    def answer(self, shown: Shown) -> Answer | None:
        from bbilang.runtime.view.answers.pieces import sentence

        assert isinstance(shown.drawing.field, Places)
        return sentence(shown.drawing.field.finding)

    def grids(self, drawing: Drawing) -> tuple[Grid, ...]:
        assert isinstance(drawing.field, Places)
        return drawing.field.grids

    def chart(self, element: Element, theme: Theme) -> Chart:
        from bbilang.runtime.charts.table import chart

        return chart(element, theme)


STYLES = (Space(),)

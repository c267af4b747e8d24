"""`image`: the input picture; or examples of a dataset, in a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbilang.compiler.contract import Drawn, Fail, Redraw, Style
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.styles import example_rows as examples
from bbilang.runtime.view.drawing import Drawing
from bbilang.runtime.view.model import Answer, Element, Frame, OverTime, Panel
from bbilang.runtime.view.points.following import MOST_IN_ROW

if TYPE_CHECKING:
    from bbilang.runtime.vega.marks import Chart
    from bbilang.runtime.vega.theme import Theme
    from bbilang.runtime.view.answers.shown import Shown


class ImageStyle(Style):
    """The input as the network sees it, resized and cropped. The reader can select positions of any layer in it, and
    maps can be drawn `over=` it. Of examples of a dataset, a row of small pictures with their numbers."""

    name = "image"
    drawn_as = "pictures"
    spends = "the picture's `y` and `x`"
    carries = True
    shows_input = True
    shows_examples = True
    example = "photo = input | present(image)"

    def spend(self, field: FieldType) -> Drawn:
        example = field.axis("example")
        if example is not None:  # examples of a dataset, as pictures in a row
            return Drawn(("example",), example)
        if field.content != "picture":
            raise Fail(
                "E304",
                "`image` shows pictures, and this field is numbers",
                "draw numbers over positions as a `heatmap`",
            )
        y, x = field.axis("y"), field.axis("x")
        if y is None or x is None:
            raise Fail("E304", "`image` needs `y` and `x`, and one of them is spent")
        return Drawn(("y", "x"), cells=(y.size, x.size))

    def redraws(self, field: FieldType) -> Redraw:
        return "rows" if field.axis("example") is not None else ""

    def marks(self, field: Node, drawn: Drawn) -> tuple[int, int]:
        shown, carried = super().marks(field, drawn)
        return (min(shown, MOST_IN_ROW), carried) if field.type.lasso is not None else (shown, carried)

    def panels(self, drawing: Drawing) -> tuple[Panel, ...]:
        if drawing.drawn.slots is not None:
            return examples.panels(drawing)
        pictures = drawing.results.pictures
        numbers = [drawing.input_picture(number) for number in range(len(pictures))]
        if drawing.facet:
            return tuple(Panel(p.name, (Frame(pictures=(n,)),)) for p, n in zip(pictures, numbers, strict=True))
        if drawing.states:
            return (Panel("", tuple(Frame(pictures=(n,)) for n in numbers)),)
        return (Panel("", (Frame(pictures=(numbers[0],)),)),)

    def has_legend(self, drawing: Drawing) -> bool:
        return drawing.drawn.slots is not None and examples.numbered(drawing)

    def answer(self, shown: Shown) -> Answer | None:
        from bbilang.runtime.view.answers.examples import of_rows

        return of_rows(shown) if shown.drawing.drawn.slots is not None else None

    def title(self, drawing: Drawing) -> str:
        if drawing.drawn.slots is not None:
            return examples.title(drawing)
        names = [picture.name for picture in drawing.results.pictures]
        return names[0] if len(names) == 1 else "Input"

    def alternative(self, drawing: Drawing) -> str:
        if drawing.drawn.slots is not None:
            return ""
        names = ", ".join(picture.name for picture in drawing.results.pictures)
        return f"The spectrogram of the input {names}." if _heard(drawing) else f"The input {names}."

    def options(self, drawing: Drawing) -> dict[str, object]:
        if drawing.drawn.slots is not None:
            return {"examples": True, "icon": examples.SIDE}
        return {"width": 720} if _heard(drawing) else {}

    def over_time(self, drawing: Drawing) -> OverTime | None:
        sounds = [picture.sound for picture in drawing.results.pictures if picture.sound is not None]
        return OverTime(sounds[0].seconds) if sounds and drawing.drawn.slots is None else None

    def preferred_width(self, element: Element) -> int | None:
        if "examples" in element.options:
            return None
        from bbilang.runtime.charts.maps import number_option
        from bbilang.runtime.vega.element import map_width

        return int(number_option(element, "width", map_width(element)))

    def chart(self, element: Element, theme: Theme) -> Chart:
        if "examples" in element.options:
            from bbilang.runtime.charts.featvis import chart as row

            return row(element, theme)
        from bbilang.runtime.charts.pictures import photographs

        return photographs(element, theme)


def _heard(drawing: Drawing) -> bool:
    return any(picture.sound is not None for picture in drawing.results.pictures)


STYLES = (ImageStyle(),)

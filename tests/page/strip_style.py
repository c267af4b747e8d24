"""A style as a plug-in has it: one file outside of the package, with its type rule, its numbers and its drawing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbilang.compiler.contract import ColourScale, Drawn, Style
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.styles.bars import row_of, row_panels
from bbilang.runtime.view.drawing import Drawing
from bbilang.runtime.view.model import Element, Panel

if TYPE_CHECKING:
    from bbilang.runtime.vega.marks import Chart
    from bbilang.runtime.vega.theme import Theme


class Strip(Style):
    """A row of squares in the colours of their numbers."""

    name = "strip"
    spends = "one axis of atoms, or `class`"
    zero_centred = True
    selects_marks = True
    follows_links = True
    example = "block5c.expand.channel | attribute(output) | top(8) | present(strip)"

    def spend(self, field: FieldType) -> Drawn:
        return row_of(field, self.name)

    def panels(self, drawing: Drawing) -> tuple[Panel, ...]:
        return row_panels(drawing)

    def notes(self, drawing: Drawing) -> tuple[str, ...]:
        return ("squares are read from left to right",)

    def title(self, drawing: Drawing) -> str:
        return "A strip"

    def alternative(self, drawing: Drawing) -> str:
        return f"A strip of {len(drawing.atoms)} squares."

    def options(self, drawing: Drawing) -> dict[str, object]:
        return {"side": 24}

    def colour_scale(self, element: Element, over: bool) -> ColourScale:
        return "full"

    def preferred_width(self, element: Element) -> int:
        return 333

    def chart(self, element: Element, theme: Theme) -> Chart:
        from bbilang.runtime.charts.slots import ATOM, SlotChart
        from bbilang.runtime.vega.colours import shades
        from bbilang.runtime.vega.element import is_signed, labelled
        from bbilang.runtime.vega.geometry import Geometry
        from bbilang.runtime.vega.marks import Layer, box

        class StripChart(SlotChart):
            side = element.options["side"]

            def arrange(self, geometry: Geometry) -> Geometry:
                wide, labels = self.count * self.side, labelled(self.element)
                return geometry.flow(len(self.element.panels), wide, self.side, labels)

            def squares(self) -> Layer:
                steps = list(shades(is_signed(self.element)))
                square = {
                    "atom": ATOM,
                    "value": "datum.frame.values[datum.slot][0]",
                    "left": f"{self.geometry.x} + datum.slot * {self.side}",
                    "right": f"datum.left + (isValid(datum.value) ? {self.side - 2} : 0)",
                    "top": self.geometry.y,
                    "bottom": f"datum.top + {self.side - 2}",
                    "colour": f"{steps}[round({self.share('datum.value')} * {len(steps) - 1})]",
                }
                return self.layer(self.slot_rows(), **square)

            def layers(self) -> list[Layer]:
                return [box(self.squares(), fill="colour", cornerRadius=3)]

            def selection(self) -> list[Layer]:
                return [*self.rings(self.squares()), self.hit(self.squares())]

        return StripChart(element, theme).chart()


class Tint(Style):
    """Positions as one picture; pointing at one fades groups elsewhere."""

    name = "tint"
    spends = "`y` and `x`"
    overlays = True
    selects_positions = True
    enlarges_cells = True
    fades_groups = True

    def spend(self, field: FieldType) -> Drawn:
        y, x = field.axis("y"), field.axis("x")
        assert y is not None and x is not None
        return Drawn(("y", "x"), cells=(y.size, x.size))

    def panels(self, drawing: Drawing) -> tuple[Panel, ...]:
        from bbilang.runtime.styles.heatmap import Heatmap

        return Heatmap().panels(drawing)

    def chart(self, element: Element, theme: Theme) -> Chart:
        from bbilang.runtime.charts.maps import map_chart

        return map_chart(element, theme, 0.5)


STYLES = (Strip(), Tint())

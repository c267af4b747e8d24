"""One number in large digits, with its unit beside it and its description below."""

from __future__ import annotations

import json

import altair as alt

from bbilang.runtime.charts.slots import ATOM, Corners, SlotChart
from bbilang.runtime.vega.element import labelled, number_text
from bbilang.runtime.vega.geometry import Geometry, least
from bbilang.runtime.vega.marks import Layer, text
from bbilang.runtime.vega.theme import HUGE, Theme
from bbilang.runtime.view.model import Element

WIDE, DEEP, NOTE, DIGIT = 420, 40, 22, 18  # pixels: a panel; the note below; a digit of the number, at most


class NumberChart(SlotChart):
    """Its only slot is the number."""

    def arrange(self, geometry: Geometry) -> Geometry:
        panels = self.element.panels
        wide = least(200 if len(panels) > 1 else WIDE, geometry.room)
        self.noted = any(frame.notes for panel in panels for frame in panel.frames)
        self.deep = DEEP + (NOTE if self.noted else 0)
        return geometry.flow(len(panels), wide, self.deep, labelled(self.element), gutter=24)

    @property
    def slot(self) -> Corners:
        """The number of a slot as text, and the note that stands beside it."""
        number = number_text(self.element, "datum.value")
        if self.element.options.get("unit") == "probability":
            number = "format(100 * datum.value, datum.value < 0.095 ? '.1f' : '.0f') + ' %'"
        note = "datum.atom >= 0 && datum.frame.notes[datum.slot] ? datum.frame.notes[datum.slot] : ''"
        return {
            "atom": ATOM,
            "value": "datum.atom >= 0 ? datum.frame.values[datum.slot][0] : null",
            "number": f"isValid(datum.value) ? {number} : datum.atom >= 0 ? 'none' : ''",
            "context": note if self.noted else "''",
        }

    def layers(self) -> list[Layer]:
        data, x, y = self.slot_rows(), self.geometry.x, self.geometry.y
        limit = alt.ExprRef(str(self.geometry.width))
        number = {**self.slot, "left": x, "top": f"{y} + 30"}
        unit = {**number, "left": f"{x} + {DIGIT} * length(datum.number)", "words": self.unit}
        context = {**self.slot, "left": x, "top": f"{y} + 42"}
        return [
            text(self.layer(data, **number), "number", baseline="alphabetic", fontSize=HUGE, fontWeight=600),
            text(self.layer(data, **unit), "words", baseline="alphabetic", limit=limit),
            text(self.layer(data, **context), "context", limit=limit, opacity=0.8),
        ]

    @property
    def unit(self) -> str:
        """The unit as an expression; nothing where there is no number."""
        unit = str(self.element.options.get("unit", ""))
        return f"isValid(datum.value) ? {json.dumps(unit)} : ''"

    def selection(self) -> list[Layer]:
        around = {
            **self.slot,
            "left": f"{self.geometry.x} - 4",
            "right": f"datum.left + (datum.atom >= 0 ? {self.geometry.width} + 4 : 0)",
            "top": f"{self.geometry.y} - 2",
            "bottom": f"datum.top + {self.deep}",
        }
        base = self.layer(self.slot_rows(), **around)
        return [*self.rings(base, 1.5, dashed=True), self.hit(base)]


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    return NumberChart(element, theme).chart()

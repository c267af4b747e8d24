"""Counts as bars that stand side by side; the values that many examples share stand apart at either end."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.charts.slots import BAR, SlotChart
from bbilang.runtime.vega.element import labelled, rows
from bbilang.runtime.vega.geometry import Geometry, least, quantity
from bbilang.runtime.vega.marks import INK, Layer, box, text
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element

PLOT, FOOT, SIDE, APART = 180, 28, 52, 14  # pixels: the plot; numbers below and beside it; between kinds of bars
SHARED = "#b06a10"  # of bars that stand apart


class HistogramChart(SlotChart):
    """A slot is a bar: the first of zeros, the last of a ceiling, the bins between."""

    def arrange(self, geometry: Geometry) -> Geometry:
        wide = least(560 if len(self.element.panels) == 1 else 360, geometry.room)
        return geometry.flow(len(self.element.panels), wide, quantity(PLOT + FOOT), labelled(self.element), gutter=36)

    @property
    def step(self) -> str:
        return f"(({self.geometry.width} - {SIDE + 2 * APART}) / {self.count})"

    def left(self, slot: str) -> str:
        apart = f"({slot} > 0 ? {APART} : 0) + ({slot} >= {self.count - 1} ? {APART} : 0)"
        return f"{self.geometry.x} + {SIDE} + {slot} * {self.step} + {apart}"

    def height(self, value: str) -> str:
        return f"{self.geometry.y} + {PLOT} - {PLOT - 24} * ({self.share(value)})"

    def layers(self) -> list[Layer]:
        return [*self.rules(), self.bars(), *self.words()]

    def bars(self) -> Layer:
        """Draw one bar per bin, at least a pixel high where its count is above zero."""
        ends = (0, self.count - 1)
        data = [{**row, "colour": SHARED if row["slot"] in ends else BAR} for row in self.slot_rows()]
        value = "datum.frame.values[datum.slot][0]"
        where = {
            "value": f"isValid({value}) ? {value} : 0",
            "left": self.left("datum.slot"),
            "right": f"datum.left + max(1, {self.step} - 1)",
            "top": f"datum.value > 0 ? min({self.height('datum.value')}, {self.height('0')} - 1) : {self.height('0')}",
            "bottom": self.height("0"),
        }
        return box(self.layer(data, **where), fill="colour")

    def rules(self) -> list[Layer]:
        """Draw lines at no example and at the most, with their numbers."""
        x = self.geometry.x
        data = [{**row, "at": value} for value in (0.0, self.high) for row in rows(self.element)]
        top = self.height("datum.at")
        rule = {
            "left": f"{x} + {SIDE - 6}",
            "right": f"{x} + {self.geometry.width}",
            "top": f"{top} - 0.5",
            "bottom": "datum.top + 1",
        }
        tick = {"left": f"{x} + {SIDE - 10}", "top": top, "words": "format(datum.at, ',.0f')"}
        return [
            box(self.layer(data, **rule), color=INK, opacity=0.25),
            text(self.layer(data, **tick), "words", align="right", baseline="middle"),
        ]

    def words(self) -> list[Layer]:
        """Draw the ends of the bins below them, and what stands apart below that."""
        ends = self.element.options["edges"]
        assert isinstance(ends, tuple)
        below = f"{self.geometry.y} + {PLOT + 6}"
        made = []
        for slot, right, align in ((1, 0, "left"), (self.count - 1, 1, "right")):
            words = f"{ends[right]:.3g}".replace("-", "\u2212")
            data = [{**row, "words": words} for row in rows(self.element)]
            left = self.left(str(slot)) + (f" - {APART}" if right else "")
            made.append(text(self.layer(data, left=left, top=below), "words", align=align))
        for slot, align in ((0, "center"), (self.count - 1, "right")):
            value, middle = f"datum.frame.values[{slot}][0]", f"{self.step} {'/ 2' if not slot else ''}"
            where = {
                "left": f"{self.left(str(slot))} + {middle}",
                "top": f"isValid({value}) ? {self.height(value)} - 4 : 0",
                "words": f"isValid({value}) ? datum.frame.notes[{slot}] : ''",
            }
            made.append(text(self.layer(rows(self.element), **where), "words", align=align, baseline="bottom"))
        return made


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    return HistogramChart(element, theme).chart()

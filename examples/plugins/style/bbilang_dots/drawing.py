"""The drawing of `dots` in Altair. Positions are Vega expressions in pixels, so that a page can be resized."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.charts.keys import Key, series_entries
from bbilang.runtime.charts.slots import ATOM, BAR, Corners, SlotChart
from bbilang.runtime.vega.colours import series_colour
from bbilang.runtime.vega.element import Row, labelled, longest_label, number_text
from bbilang.runtime.vega.geometry import Geometry, least, quantity
from bbilang.runtime.vega.marks import Layer, box, fill_of, text, x_of, y_of

PITCH, RADIUS, GAP = 26, 6, 16  # pixels: from one atom to the next; of a dot; between the ends of `both`


class DotChart(SlotChart):
    """A slot is a line with the name of an atom and a dot per series."""

    def arrange(self, geometry: Geometry) -> Geometry:
        """Panels side by side; in each a column for names, as wide as the longest needs, and the track."""
        wide = least(560 if len(self.element.panels) == 1 else 300, geometry.room)
        geometry.named("names", least(min(longest_label(self.element) * 6.8 + 4, 210), wide * 0.4))
        self.key = Key(self.element, geometry, series_entries(self.element, range(self.lines)))
        height = quantity(self.count * PITCH + (GAP if self.element.gap else 0))
        return geometry.flow(
            len(self.element.panels), wide, height, labelled(self.element), gutter=36, top=self.key.height
        )

    @property
    def slot(self) -> Corners:
        """Expressions over a row of data: its atom, the line that it is on, the track, and the pixel of zero."""
        gap = f"(datum.slot >= {self.element.gap} ? {GAP} : 0)" if self.element.gap else "0"
        return {
            "atom": ATOM,
            "y0": f"{self.geometry.y} + (datum.slot + 0.5) * {PITCH} + {gap}",
            "track": f"{self.geometry.x} + names_{self.name} + 16",
            "long": f"{self.geometry.width} - names_{self.name} - 32",
            "zero": f"datum.track + datum.long * {-self.low / (self.high - self.low):g}",
        }

    def layers(self) -> list[Layer]:
        return [*self.key.layers(), self.zero_line(), self.dots(), self.names()]

    def zero_line(self) -> Layer:
        half = PITCH / 2
        corners = {"left": "datum.zero - 0.5", "right": "datum.zero + 0.5",
                   "top": f"datum.y0 - {half}", "bottom": f"datum.y0 + {half}"}  # fmt: skip
        return box(self.layer(self.slot_rows(), **self.slot, **corners), color="currentColor", opacity=0.45)

    def dots(self) -> Layer:
        data: list[Row] = [
            {**row, "colour": series_colour(row["line"]) if self.lines > 1 else BAR} for row in self.line_rows()
        ]
        value = "datum.frame.values[datum.slot][datum.line]"
        where = {
            "value": value,
            "left": f"datum.track + datum.long * clamp({self.share('datum.value')}, 0, 1)",
            "top": "datum.y0",
            "number": f"isValid(datum.value) ? {number_text(self.element, 'datum.value')} : ''",
        }
        size = alt.ExprRef(f"isValid(datum.value) ? {4 * RADIUS**2} : 0")
        base = self.layer(data, **self.slot, **where).mark_circle(size=size, opacity=0.9)
        return base.encode(x_of(), y_of(), fill=fill_of("colour"), tooltip="number:N")

    def names(self) -> Layer:
        where = {"left": f"{self.geometry.x} + names_{self.name}", "top": "datum.y0", "words": self.label}
        limit = alt.ExprRef(f"names_{self.name}")
        base = self.layer(self.slot_rows(), **self.slot, **where)
        return text(base, "words", align="right", baseline="middle", limit=limit, fontSize=12.5)

    def selection(self) -> list[Layer]:
        """Rings around the selected atom and the keyboard's cursor, and the area that takes the pointer."""
        half = PITCH / 2 - 1
        corners = {
            "left": f"{self.geometry.x} - 4",
            "right": f"datum.left + (datum.atom >= 0 ? {self.geometry.width} + 8 : 0)",
            "top": f"datum.y0 - {half}",
            "bottom": f"datum.y0 + {half}",
        }
        base = self.layer(self.slot_rows(), **self.slot, **corners)
        return [*self.rings(base, 1.5, dashed=True), self.hit(base)]

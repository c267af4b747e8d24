"""Lines along an ordered axis, from zero, a colour and a name for each."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.charts.keys import Key, series_entries
from bbilang.runtime.charts.slots import ATOM, BAR, Corners, SlotChart
from bbilang.runtime.vega.colours import series_colour
from bbilang.runtime.vega.element import labelled, number_format, rows
from bbilang.runtime.vega.geometry import Geometry, least, quantity
from bbilang.runtime.vega.marks import Layer, box, colour_of, text, x_of, y_of
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element

PLOT, FOOT, SIDE = 200, 84, 52  # pixels: the plot's height; names of slots below it at most; numbers beside it
LETTER, LONGEST = 5.4, 88  # pixels that a slanted name takes to its left: a letter, at most
MAX_NAMES = 14  # below the plot


class CurveChart(SlotChart):
    """Slots from left to right, a line for each series."""

    def arrange(self, geometry: Geometry) -> Geometry:
        element = self.element
        wide = least(620 if len(element.panels) == 1 else 360, geometry.room)
        firsts = {frame.atoms[0] for panel in element.panels for frame in panel.frames if frame.atoms}
        longest = max((len(element.atoms[atom].label) for atom in firsts if atom >= 0), default=0)
        self.side = max(SIDE, min(LONGEST, round(LETTER * longest)))  # the first name stands left of the plot's edge
        self.key = Key(element, geometry, series_entries(element, range(self.lines)))
        foot = min(FOOT, 24 + 4.2 * max((len(atom.label) for atom in element.atoms), default=0))
        return geometry.flow(
            len(element.panels), wide, quantity(PLOT + foot), labelled(element), gutter=36, top=self.key.height
        )

    @property
    def step(self) -> str:
        """The distance between two slots."""
        return f"({self.geometry.width} - {self.side + 24}) / {max(self.count - 1, 1)}"

    @property
    def slot(self) -> Corners:
        along = f"datum.slot * {self.step}" if self.count > 1 else f"{self.step} / 2"
        return {"atom": ATOM, "x0": f"{self.geometry.x} + {self.side} + {along}"}

    def height(self, value: str) -> str:
        return f"{self.geometry.y} + 6 + ({PLOT} - 12) * (1 - {self.share(value)})"

    def layers(self) -> list[Layer]:
        return [*self.key.layers(), *self.rules(), *self.curves(), self.names()]

    def rules(self) -> list[Layer]:
        """Draw lines at zero and at the ends of the scale, with their numbers."""
        element, x = self.element, self.geometry.x
        data = [{**row, "at": value} for value in sorted({self.low, 0.0, self.high}) for row in rows(element)]
        height = self.height("datum.at")
        rule = {
            "left": f"{x} + {self.side - 6}",
            "right": f"{x} + {self.geometry.width}",
            "top": f"{height} - 0.5",
            "bottom": "datum.top + 1",
        }
        number = f"format(datum.at, '{number_format(element)}')"
        tick = {"left": f"{x} + {self.side - 10}", "top": height, "words": number}
        return [
            box(self.layer(data, **rule), color="currentColor", opacity=0.25),
            text(self.layer(data, **tick), "words", align="right", baseline="middle"),
        ]

    def curves(self) -> list[Layer]:
        """Draw a line and its points for each series."""
        data = [{**row, "colour": series_colour(row["line"]) if self.lines > 1 else BAR} for row in self.line_rows()]
        at = {
            **self.slot,
            "value": "datum.frame.values[datum.slot][datum.line]",
            "left": "datum.x0",
            "top": self.height("datum.value"),
            "trace": "datum.panel + ' ' + datum.line",
        }
        points = self.layer(data, **at).transform_filter("isValid(datum.value)")
        colour = colour_of("colour")
        line = points.mark_line(strokeWidth=2).encode(x_of(), y_of(), colour, detail="trace:N", order="slot:Q")
        return [line, points.mark_circle(size=46, opacity=1).encode(x_of(), y_of(), colour)]

    def names(self) -> Layer:
        """Draw the slots' names below the plot, at most ``MAX_NAMES`` of them."""
        few = self.count <= MAX_NAMES
        shown = "true" if few else f"datum.slot % {-(-self.count // MAX_NAMES)} == 0"
        slot = self.slot
        where = {
            "atom": slot["atom"],
            "left": f"{slot['x0']} + 4",
            "top": f"{self.geometry.y} + {PLOT + 8}",
            "words": f"{shown} ? ({self.label}) : ''",
        }
        base = self.layer(self.slot_rows(), **where)
        limit = alt.ExprRef(f"min({FOOT * 1.3}, 400)")
        return text(base, "words", angle=320, align="right", baseline="middle", limit=limit)

    def selection(self) -> list[Layer]:
        band = {
            **self.slot,
            "left": f"datum.x0 - {self.step} / 2",
            "right": f"datum.left + (datum.atom >= 0 ? {self.step} : 0)",
            "top": self.geometry.y,
            "bottom": f"datum.top + {PLOT}",
        }
        base = self.layer(self.slot_rows(), **band)
        return [*self.rings(base, 1.5), self.hit(base)]


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    return CurveChart(element, theme).chart()

"""A table of numbers: a row for each atom, a column for each series."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.charts.slots import ATOM, Corners, SlotChart
from bbilang.runtime.vega.element import coloured, labelled, longest_label, number_format
from bbilang.runtime.vega.geometry import Geometry, Quantity, floor, least, most, quantity
from bbilang.runtime.vega.marks import CHIP, Layer, box, chips, text
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element

LINE, COLUMN, NAME = 26, 110, 20  # pixels: a line; a column at most; a name above its numbers
LEAST, MOST = 52, 90  # pixels: a column beside names, at least; what its own name may ask for


class TableChart(SlotChart):
    """A slot is a line; where columns beside the names would be too narrow, a line below its name."""

    def arrange(self, geometry: Geometry) -> Geometry:
        element = self.element
        named = any(label for panel in element.panels for frame in panel.frames for label in frame.series)
        self.head, self.aside = 24 if named else 2, CHIP if coloured(element) else 0
        limit = int(str(element.options.get("names", 230)))
        share = 0.42 if limit <= 230 else 0.5
        heads = [label for panel in element.panels for frame in panel.frames for label in frame.series]
        widest = longest_words(element) * 7.4 + 60 if longest_words(element) else 0
        needed = widest or min(max(max((len(label) for label in heads), default=0) * 7.4 + 8, LEAST), MOST)
        beside = least(min(longest_label(element) * 7.1 + 12 + self.aside, limit), geometry.room * share)
        over = f"({geometry.room} - {beside} < {needed * self.lines:g} ? 1 : 0)"
        narrow = geometry.room.value - beside.value < needed * self.lines
        self.above = geometry.named("above", Quantity(over, float(narrow)))
        names = geometry.named("names", beside * (quantity(1) - self.above))
        fit = floor((geometry.room - names) / self.lines)
        geometry.columns = geometry.named("columns", most(40, least(widest or COLUMN, fit)))
        self.pitch = geometry.named("pitch", self.above * NAME + LINE)
        wide = names + geometry.columns * self.lines
        high = self.shown * self.pitch + (self.head + 2)
        return geometry.flow(len(element.panels), wide, high, labelled(element), gutter=30)

    @property
    def slot(self) -> Corners:
        return {"atom": ATOM, "y0": f"{self.geometry.y} + {self.head} + datum.slot * {self.pitch}"}

    @property
    def rule(self) -> Corners:
        """The line above a slot."""
        return {
            **self.slot,
            "left": self.geometry.x,
            "right": f"datum.left + (datum.atom >= 0 ? {self.geometry.width} : 0)",
            "top": "datum.y0 - 0.5",
            "bottom": "datum.y0 + 0.5",
        }

    def layers(self) -> list[Layer]:
        x, lines, middle = self.geometry.x, self.slot_rows(), f"datum.y0 + {LINE / 2}"
        below = f"{middle} + {self.above} * {NAME}"
        right = f"{x} + names_{self.name} + (datum.line + 1) * {self.geometry.columns} - 4"
        number = {
            **self.slot,
            "value": "datum.frame.values[datum.slot][datum.line]",
            "own": "datum.slot < length(datum.frame.words) ? datum.frame.words[datum.slot][datum.line] + '  ' : ''",
            "words": f"isValid(datum.value) ? datum.own + {self.number_text()} : ''",
            "left": right,
            "top": below,
        }
        name = {**self.slot, "left": f"{x} + {4 + self.aside}", "top": middle, "words": self.label}
        names = alt.ExprRef(f"({self.above} ? {self.geometry.width} : names_{self.name}) - {8 + self.aside}")
        clipped = {"limit": alt.ExprRef(f"{self.geometry.columns} - 6")} if longest_words(self.element) else {}
        chip = {**self.slot, "left": f"{x} + 2", "top": f"datum.y0 + {LINE / 2 - 6}"}
        return [
            box(self.layer(lines, **self.rule), color="currentColor", opacity=0.22),
            text(self.layer(self.line_rows(), **number), "words", align="right", baseline="middle", **clipped),
            text(self.layer(lines, **name), "words", baseline="middle", limit=names),
            self.heads(right),
            *chips(self.element, lines, chip),
        ]

    def number_text(self) -> str:
        """Return an expression that prints a number: in the format of its column, where columns have their own."""
        own = self.element.options.get("formats")
        if not isinstance(own, list) or not own:
            return f"format(datum.value, '{number_format(self.element)}')"
        *first, last = own
        form = "".join(f"datum.line == {line} ? '{each}' : " for line, each in enumerate(first)) + f"'{last}'"
        return f"replace(format(datum.value, {form}), '%', '\u00a0%')"

    def heads(self, right: str) -> Layer:
        """Draw the names of the columns."""
        column = {"left": right, "top": f"{self.geometry.y} + 4", "words": "datum.frame.series[datum.line]"}
        limit = alt.ExprRef(f"{self.geometry.columns} - 8")
        base = self.layer(self.head_rows(), **column)
        return text(base, "words", align="right", fontWeight=600, limit=limit)

    def selection(self) -> list[Layer]:
        whole = {**self.rule, "top": "datum.y0", "bottom": f"datum.atom >= 0 ? datum.y0 + {self.pitch} : datum.top"}
        base = self.layer(self.slot_rows(), **whole)
        return [*self.rings(base, 2), self.hit(base)]


def longest_words(element: Element) -> int:
    """Return the letters of the longest word beside a number; 0 where numbers have none."""
    frames = (frame for panel in element.panels for frame in panel.frames)
    return max((len(word) for frame in frames for row in frame.words for word in row), default=0)


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    return TableChart(element, theme).chart()

"""Horizontal bars in the order given, with their values; several series as bars of their own colour."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from bbilang.runtime.charts.slots import ATOM, BAR, Corners, SlotChart
from bbilang.runtime.vega.colours import series_colour
from bbilang.runtime.vega.element import (
    Row,
    bar_colour,
    coloured,
    identifier,
    labelled,
    longest_label,
    number_format,
    number_text,
    series,
)
from bbilang.runtime.vega.geometry import Geometry, least, quantity
from bbilang.runtime.vega.marks import CHIP, Layer, box, chips, fading, layer, text
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element

THICK, SPACE, KEY, NUMBER = 15, 9, 19, 52  # pixels: a bar; between slots; a line of the key; a value's digits
SPREAD, CAP = 50, 3  # pixels: the digits after ±; half the height of a whisker's ends


class BarChart(SlotChart):
    """A slot holds a bar for each series that is drawn as one; the others are whiskers on the first."""

    def arrange(self, geometry: Geometry) -> Geometry:
        """Panels side by side where each can be 260 pixels wide; a column for names as wide as the longest needs."""
        element = self.element
        self.whiskers = whiskers_of(element)
        self.bars = [line for line in range(self.lines) if line not in self.whiskers]
        lines, gap = len(self.bars), 16 if element.gap else 0
        self.pitch = max(THICK * lines, 16) + SPACE
        wide = least(560 if len(element.panels) == 1 else 300, geometry.room)
        geometry.named("names", least(min(longest_label(element) * 7.1 + 4, 210), wide * 0.4))
        height = quantity(self.count * self.pitch - SPACE + gap + 4)
        keyed = (lines if lines > 1 else 0) + len(self.whiskers)
        top = KEY * keyed + 10 if keyed else 2
        return geometry.flow(len(element.panels), wide, height, labelled(element), gutter=36, top=top)

    @property
    def slot(self) -> Corners:
        gap = self.element.gap
        shift = f"(datum.slot >= {gap} ? {16 if gap else 0} : 0)"
        return {"atom": ATOM, "y0": f"{self.geometry.y} + datum.slot * {self.pitch} + {shift}"}

    @property
    def bar(self) -> Corners:
        """Where a bar's zero and its end lie on the track beside the names."""
        digits = NUMBER + (SPREAD if len(self.whiskers) == 1 else 0)
        free = (self.pitch - SPACE - THICK * len(self.bars)) / 2
        return {
            **self.slot,
            "value": "datum.frame.values[datum.slot][datum.line]",
            "number": f"isValid(datum.value) ? {self.number} : ''",
            "track": f"{self.geometry.x} + names_{self.name} + 10",
            "long": f"{self.geometry.width} - names_{self.name} - {digits + 10}",
            "zero": f"datum.track + datum.long * {-self.low / (self.high - self.low):g}",
            "end": self.on_track("datum.value"),
            "line_top": f"datum.y0 + datum.order * {THICK} + {free}",
        }

    @property
    def number(self) -> str:
        """A bar's number, and how far it may be off, as an expression."""
        number = number_text(self.element, "datum.value")
        if len(self.whiskers) != 1:
            return number
        value = f"datum.frame.values[datum.slot][{self.whiskers[0]}]"
        unsigned = number_format(self.element).lstrip("+")
        return f"{number} + (datum.line == 0 && isValid({value}) ? ' ±' + format({value}, '{unsigned}') : '')"

    def on_track(self, value: str) -> str:
        held = f"(clamp({value}, {self.low:g}, {self.high:g}) - {self.low:g}) / {self.high - self.low:g}"
        return f"datum.track + datum.long * {held}"

    def bar_rows(self) -> list[Row]:
        several = len(self.bars) > 1
        return [
            {**row, "line": line, "order": number, "own_colour": series_colour(number) if several else BAR}
            for number, line in enumerate(self.bars)
            for row in self.slot_rows()
        ]

    def layers(self) -> list[Layer]:
        element, data, bar = self.element, self.bar_rows(), self.bar
        right = f"{self.geometry.x} + {self.geometry.width}"
        length = {
            **bar,
            "colour": bar_colour(element, BAR),
            "left": "min(datum.zero, datum.end)",
            "right": "max(datum.zero, datum.end)",
            "top": "datum.line_top + 2",
            "bottom": f"isValid(datum.value) ? datum.line_top + {THICK - 2} : datum.top",
        }
        axis = {
            **bar,
            "left": "datum.zero - 0.5",
            "right": "datum.zero + 0.5",
            "top": "datum.y0 - 2",
            "bottom": f"isValid(datum.value) ? datum.y0 + {self.pitch - SPACE + 2} : datum.top",
        }
        number = {**bar, "left": right, "top": f"datum.line_top + {THICK / 2}"}
        keyed = self.bars if len(self.bars) > 1 else []
        return [
            *(key(element, keyed, self.whiskers) if keyed or self.whiskers else []),
            box(self.layer(data, **length), fill="colour", **fading(element)),
            *self.whisker_marks(),
            box(self.layer(data, **axis), color="currentColor", opacity=0.45),
            *self.chips(),
            text(self.layer(data, **number), "number", align="right", baseline="middle"),
            self.names(),
        ]

    def chips(self) -> list[Layer]:
        corner = {
            **self.slot,
            "left": f"{self.geometry.x} + names_{self.name} - 12",
            "top": f"datum.y0 + {(self.pitch - SPACE) / 2 - 6}",
        }
        return chips(self.element, self.slot_rows(), corner)

    def names(self) -> Layer:
        chip = CHIP if coloured(self.element) else 0
        where = {
            **self.slot,
            "left": f"{self.geometry.x} + names_{self.name} - {chip}",
            "top": f"datum.y0 + {(self.pitch - SPACE) / 2}",
            "words": self.label,
        }
        limit = alt.ExprRef(f"names_{self.name} - {chip}")
        base = self.layer(self.slot_rows(), **where)
        return text(base, "words", align="right", baseline="middle", limit=limit)

    def whisker_marks(self) -> list[Layer]:
        """For each whisker a line from value - it to value + it over the bar, with short ends."""
        made = []
        for number, line in enumerate(self.whiskers):
            data = [{**row, "line": 0, "order": 0} for row in self.slot_rows()]
            shift = (number - (len(self.whiskers) - 1) / 2) * 4
            reach = {
                **self.bar,
                "off": f"datum.frame.values[datum.slot][{line}]",
                "there": "isValid(datum.value) && isValid(datum.off)",
                "from": self.on_track("datum.value - datum.off"),
                "to": self.on_track("datum.value + datum.off"),
                "middle": f"datum.line_top + {THICK / 2 + shift}",
            }
            for start, stop, half in (("from", "to", 0.75), ("from", "from", CAP), ("to", "to", CAP)):
                stroke = {
                    "left": f"datum.{start} - 0.75",
                    "right": f"datum.there ? datum.{stop} + 0.75 : datum.left",
                    "top": f"datum.middle - {half}",
                    "bottom": f"datum.there ? datum.middle + {half} : datum.top",
                }
                made.append(box(self.layer(data, **reach, **stroke), color="currentColor"))
        return made

    def selection(self) -> list[Layer]:
        whole = {
            **self.slot,
            "left": f"{self.geometry.x} - 4",
            "right": f"datum.left + (datum.atom >= 0 ? {self.geometry.width} + 8 : 0)",
            "top": f"datum.y0 - {SPACE / 2}",
            "bottom": f"datum.y0 + {self.pitch - SPACE / 2}",
        }
        base = self.layer(self.slot_rows(), **whole)
        return [*self.rings(base, 1.5, dashed=True), self.hit(base)]


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    return BarChart(element, theme).chart()


def whiskers_of(element: Element) -> list[int]:
    """The series that are drawn as error bars on the first: how far it may be off."""
    lines = element.options.get("whiskers", [])
    return [int(line) for line in lines] if isinstance(lines, list) else []


def key(element: Element, lines: Sequence[int] | None = None, whiskers: Sequence[int] = ()) -> list[Layer]:
    """Which colour is which series, and what whiskers are: in the chart, since it changes with what is picked."""
    lines = range(series(element)) if lines is None else lines
    base = {"panel": 0, "own": 0}
    data: list[Row] = [{**base, "line": line, "order": i, "colour": series_colour(i)} for i, line in enumerate(lines)]
    thin: list[Row] = [{**base, "line": line, "order": len(lines) + i} for i, line in enumerate(whiskers)]
    middle = f"datum.order * {KEY} + 8"
    square = {"left": "0", "top": f"datum.order * {KEY} + 3", "right": "10", "bottom": f"datum.order * {KEY} + 13"}
    name = {"left": "17", "top": f"datum.order * {KEY} + 2", "words": "datum.frame.series[datum.line]"}
    limit = alt.ExprRef(f"total_{identifier(element.id)} - 17")
    made = [box(layer(element, data, **square), fill="colour")] if data else []
    for left, right, half in ((0, 12, 0.75), (0, 1.5, CAP), (10.5, 12, CAP)) if thin else ():
        stroke = {"left": f"{left}", "right": f"{right}", "top": f"{middle} - {half}", "bottom": f"{middle} + {half}"}
        made.append(box(layer(element, thin, **stroke), color="currentColor"))
    return [*made, text(layer(element, [*data, *thin], **name), "words", limit=limit)]

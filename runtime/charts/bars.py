"""Horizontal bars in the order given, with their values; several series as bars of their own colour."""

from __future__ import annotations

import json

import altair as alt

from bbilang.runtime.charts.keys import CAP, Entry, Key, series_entries
from bbilang.runtime.charts.slots import ATOM, BAR, Corners, SlotChart
from bbilang.runtime.vega.colours import series_colour
from bbilang.runtime.vega.element import (
    Row,
    bar_colour,
    coloured,
    labelled,
    longest_label,
    number_format,
    number_text,
)
from bbilang.runtime.vega.geometry import Geometry, Quantity, least, quantity
from bbilang.runtime.vega.marks import CHIP, Layer, box, chips, fading, text
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element

THICK, SPACE, NUMBER, SPREAD = 15, 9, 52, 50  # pixels: a bar; between slots; a value's digits; the digits after ±
BAND = "#c2a468"  # what random atoms do
NAME, NARROW = 18, 480  # pixels: a name above its bars; the width under which long names stand there


class BarChart(SlotChart):
    """A slot holds a bar for each series that is drawn as one; the others are whiskers on the first."""

    def arrange(self, geometry: Geometry) -> Geometry:
        """Put panels side by side where each can be 260 pixels wide, with a column for names as wide as the longest
        needs."""
        element = self.element
        self.whiskers = whiskers_of(element)
        self.band = band_of(element)
        self.bars = [line for line in range(self.lines) if line not in (*self.whiskers, *self.band)]
        gap = 16 if element.gap else 0
        self.thick = max(THICK * len(self.bars), 16)  # the bars of a slot together
        wide = least(560 if len(element.panels) == 1 else 300, geometry.room)
        names = longest_label(element) * 7.1 + 4 + (CHIP if coloured(element) else 0)
        narrow = geometry.room.value < NARROW and names > 0.34 * wide.value
        over = f"({geometry.room} < {NARROW} && {names:g} > 0.34 * {wide} ? 1 : 0)"
        self.above = geometry.named("above", Quantity(over, float(narrow)))
        geometry.named("names", least(min(names, 210), wide * 0.4) * (quantity(1) - self.above))
        self.pitch = geometry.named("pitch", self.above * NAME + (self.thick + SPACE))
        height = self.pitch * self.shown + (gap + 4 - SPACE)
        self.key = Key(element, geometry, [*series_entries(element, self.bars, self.whiskers), *self.band_entry()])
        return geometry.flow(len(element.panels), wide, height, labelled(element), gutter=36, top=self.key.height)

    @property
    def slot(self) -> Corners:
        """Where the row of a slot begins, in pixels."""
        gap = self.element.gap
        shift = f"(datum.slot >= {gap} ? {16 if gap else 0} : 0)"
        return {
            "atom": ATOM,
            "slot_top": f"{self.geometry.y} + datum.slot * {self.pitch} + {shift}",
            "y0": f"datum.slot_top + {self.above} * {NAME}",
        }

    @property
    def bar(self) -> Corners:
        """Where a bar's zero and its end lie on the track beside the names."""
        digits = NUMBER + (SPREAD if len(self.whiskers) == 1 else 0)
        free = (self.thick - THICK * len(self.bars)) / 2
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
        """Return one row of data per slot and series, each with the colour of its series."""
        several = len(self.bars) > 1
        return [
            {**row, "line": line, "order": number, "own_colour": series_colour(number) if several else BAR}
            for number, line in enumerate(self.bars)
            for row in self.slot_rows()
        ]

    def first_rows(self) -> list[Row]:
        """Return one row of data per slot, for its first bar."""
        return [{**row, "line": self.bars[0], "order": 0} for row in self.slot_rows()]

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
            "top": f"datum.slot_top - {SPACE / 2}",
            "bottom": f"isValid(datum.value) ? datum.slot_top + {self.pitch} - {SPACE / 2} : datum.top",
        }
        number = {**bar, "left": right, "top": f"datum.line_top + {THICK / 2}"}
        return [
            *self.key.layers(),
            *self.band_marks(),
            box(self.layer(data, **length), fill="colour", **fading(element)),
            *self.whisker_marks(),
            box(self.layer(self.first_rows(), **axis), color="currentColor", opacity=0.7),
            *self.chips(),
            text(self.layer(data, **number), "number", align="right", baseline="middle"),
            *self.names(),
        ]

    def band_entry(self) -> list[Entry]:
        """Return the key of the band."""
        words = str(self.element.options.get("band_words", ""))
        return [Entry(json.dumps(words), len(words), (BAND,))] if self.band else []

    def band_marks(self) -> list[Layer]:
        """Draw what random atoms do as a band behind each bar, from the lowest to the highest."""
        if not self.band:
            return []
        low, high = (f"datum.frame.values[datum.slot][{line}]" for line in self.band)
        band = {
            **self.bar,
            "there": f"isValid({low}) && isValid({high})",
            "left": f"{self.on_track(low)} - 1",
            "right": f"datum.there ? {self.on_track(high)} + 1 : datum.left",
            "top": "datum.y0 - 2",
            "bottom": f"datum.there ? datum.y0 + {self.thick + 2} : datum.top",
        }
        return [box(self.layer(self.first_rows(), **band), color=BAND, opacity=0.55)]

    def chips(self) -> list[Layer]:
        """Draw the colour of each atom in front of its name, where atoms have colours."""
        corner = {
            **self.slot,
            "left": f"{self.geometry.x} + ({self.above} ? 0 : names_{self.name} - 12)",
            "top": f"{self.name_middle} - 6",
        }
        return chips(self.element, self.slot_rows(), corner)

    def names(self) -> list[Layer]:
        """Draw the names of the atoms: beside the bars, or above them where the panel is narrow."""
        chip = CHIP if coloured(self.element) else 0
        beside = {
            **self.slot,
            "left": f"{self.geometry.x} + names_{self.name} - {chip}",
            "top": self.name_middle,
            "words": f"{self.above} ? '' : {self.label}",
        }
        over = {**beside, "left": f"{self.geometry.x} + {chip}", "words": f"{self.above} ? {self.label} : ''"}
        limits = (alt.ExprRef(f"names_{self.name} - {chip}"), alt.ExprRef(f"{self.geometry.width} - {chip}"))
        return [
            text(self.layer(self.slot_rows(), **where), "words", align=align, baseline="middle", limit=limit)
            for where, align, limit in zip((beside, over), ("right", "left"), limits, strict=True)
        ]

    @property
    def name_middle(self) -> str:
        """Where the middle of a slot's name is: beside its bars, or above them."""
        return f"({self.above} ? datum.slot_top + {NAME / 2 - 1} : datum.y0 + {self.thick / 2})"

    def whisker_marks(self) -> list[Layer]:
        """Draw each whisker as a line from value − w to value + w over the bar, with short ends."""
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
            "top": f"datum.slot_top - {SPACE / 2}",
            "bottom": f"datum.slot_top + {self.pitch} - {SPACE / 2}",
        }
        base = self.layer(self.slot_rows(), **whole)
        return [*self.rings(base, 1.5, dashed=True), self.hit(base)]


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    return BarChart(element, theme).chart()


def band_of(element: Element) -> list[int]:
    """Return the two series that are the ends of a band; none where there is no band."""
    lines = element.options.get("band", [])
    return [int(line) for line in lines] if isinstance(lines, list) else []


def whiskers_of(element: Element) -> list[int]:
    """Return the series that are drawn as error bars on the first one."""
    lines = element.options.get("whiskers", [])
    return [int(line) for line in lines] if isinstance(lines, list) else []

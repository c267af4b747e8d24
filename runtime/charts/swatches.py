"""Rows of swatches, a row per class: the stronger the evidence, the more opaque; for two classes their net too.

Evidence against a class is a minus in its colour, so that a colour always stands for its class. Icons show the same
lines as bars around zero."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import altair as alt

from bbilang.runtime.charts.keys import Entry, series_entry
from bbilang.runtime.charts.slots import ATOM, Corners, SlotChart
from bbilang.runtime.vega.colours import series_colour
from bbilang.runtime.vega.element import Row, domain, labelled, number_text, rows, series
from bbilang.runtime.vega.geometry import Geometry, balanced, ceil, floor, least, quantity
from bbilang.runtime.vega.marks import Layer, box, text
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element

CELL, LINE, HEAD, BELOW = 76, 22, 20, 18  # pixels: a column; a row; the columns' names; under a block
NET_WORDS = "'net: ' + datum.frame.series[0] + ' \u2212 ' + datum.frame.series[1]"  # an expression


def swatch_lines(element: Element) -> int:
    """Return a line for each class; for two classes also their net, which comes first."""
    classes = series(element)
    return classes + (classes == 2)


def swatch_rows(element: Element, count: int) -> list[Row]:
    """Return one row of data per line and slot, with the colour of its class."""
    net = series(element) == 2
    return [
        {**row, "line": line, "own_colour": series_colour(line - net)}
        for line in range(swatch_lines(element))
        for row in rows(element, count)
    ]


def amounts(element: Element) -> dict[str, str]:
    """Return the fields of a swatch at (slot, line): ``value``, the ``number`` in digits, ``colour``, and ``share``,
    its opacity: the magnitude as a share of the largest. The net is the first class minus the second, in the colour of
    the class that it speaks for; its swatch is opaque, since the colour says which."""
    low, high = domain(element)
    value, colour = "datum.v[datum.line]", "datum.own_colour"
    if series(element) == 2:
        net = "isValid(datum.v[0]) && isValid(datum.v[1]) ? datum.v[0] - datum.v[1] : null"
        value = f"datum.line > 0 ? datum.v[datum.line - 1] : {net}"
        winner = f"datum.v[0] >= datum.v[1] ? '{series_colour(0)}' : '{series_colour(1)}'"
        colour = f"datum.line == 0 ? ({winner}) : datum.own_colour"
    return {
        "v": "datum.frame.values[datum.slot]",
        "value": value,
        "colour": colour,
        "share": f"isValid(datum.value) ? min(1, abs(datum.value) / {max(-low, high):g}) : 0",
        "against": f"{'datum.line > 0 && ' if series(element) == 2 else ''}datum.value < 0",
        "number": f"isValid(datum.value) ? {number_text(element, 'datum.value')} : ''",
    }


def line_name(element: Element) -> str:
    """Return the name of a line, as an expression."""
    if series(element) != 2:
        return "datum.frame.series[datum.line]"
    return f"datum.line > 0 ? datum.frame.series[datum.line - 1] : {NET_WORDS}"


def entries(element: Element) -> list[Entry]:
    """Return the key's entries of the lines, in order; the net has the colours of both classes."""
    each = [series_entry(element, line, (series_colour(line),)) for line in range(series(element))]
    if len(each) != 2:
        return each
    both = (series_colour(0), series_colour(1))
    return [Entry(NET_WORDS, sum(entry.letters for entry in each) + 8, both), *each]


def net_ends(element: Element) -> tuple[float, float]:
    """Return the ends of a scale that includes the nets, symmetric if it has both signs."""
    low, high = domain(element)
    frames = (frame for panel in element.panels for frame in panel.frames)
    pairs = (slot for frame in frames for slot in frame.values if len(slot) == 2)
    nets = [a - b for a, b in pairs if a is not None and b is not None and a == a and b == b]
    low, high = min([low, *nets]), max([high, *nets])
    return (low, high) if low == 0 else (-max(-low, high), max(-low, high))


def squares(made: Callable[..., Layer], at: Mapping[str, str], side: int, top: str) -> list[Layer]:
    """Draw a swatch at (x0, top): filled in its class's colour if the value speaks for the class, a minus in that
    colour if it speaks against it. ``made`` makes a layer from calculated fields."""
    corner = {"left": "datum.x0", "right": f"datum.x0 + {side}"}
    frame = {"top": top, "bottom": f"isValid(datum.value) ? datum.top + {side} : datum.top"}
    inner = f"datum.against ? {round(side * 0.36)} : 0"
    fill = {"inset": inner, "top": f"{top} + datum.inset",
            "bottom": f"isValid(datum.value) ? {top} + {side} - datum.inset : datum.top"}  # fmt: skip
    seen = alt.ExprRef("isValid(datum.value) ? 0.5 : 0")  # near zero the frame is all that is seen
    return [
        box(made(**at, **corner, **fill), fill="colour", fillOpacity=alt.ExprRef("datum.share")),
        box(made(**at, **corner, **frame), stroke="currentColor", strokeOpacity=seen, fillOpacity=0),
    ]


class SwatchChart(SlotChart):
    """A slot is a column of swatches; columns that do not fit begin another block below."""

    def arrange(self, geometry: Geometry) -> Geometry:
        """Arrange a column for the rows' names, then as many columns as fit."""
        element = self.element
        self.lines = swatch_lines(element)
        self.block = LINE * self.lines + HEAD + BELOW
        labels = [label for panel in element.panels for frame in panel.frames for label in frame.series]
        longest = max((len(label) for label in labels), default=8)
        longest = 2 * longest + 8 if series(element) == 2 else longest
        names = geometry.named("names", least(min(longest * 7.1 + 14, 230), geometry.room * 0.36))
        geometry.columns = geometry.named("columns", balanced(self.count, floor((geometry.room - names) / CELL)))
        blocks = geometry.named("blocks", ceil(quantity(self.count) / geometry.columns))
        height = blocks * self.block - BELOW
        wide = names + geometry.columns * CELL
        return geometry.flow(len(element.panels), wide, height, labelled(element), gutter=28)

    @property
    def slot(self) -> Corners:
        """Where the block of a slot begins, in pixels."""
        columns = self.geometry.columns
        return {
            "atom": ATOM,
            "x0": f"{self.geometry.x} + names_{self.name} + datum.slot % {columns} * {CELL}",
            "y0": f"{self.geometry.y} + floor(datum.slot / {columns}) * {self.block}",
        }

    def layers(self) -> list[Layer]:
        slot, data = self.slot, swatch_rows(self.element, self.count)
        cell = {**slot, **amounts(self.element), "line_top": f"datum.y0 + {HEAD} + datum.line * {LINE}"}
        number = {**cell, "left": f"datum.x0 + {CELL - 18}", "top": "datum.line_top + 10"}
        head = {**slot, "left": "datum.x0", "top": "datum.y0", "words": self.label}
        return [
            *squares(partial(self.layer, data), cell, 16, "datum.line_top + 2"),
            text(self.layer(data, **number), "number", align="right", baseline="middle"),
            text(self.layer(self.slot_rows(), **head), "words", limit=CELL - 6, opacity=0.8),
            self.names(),
        ]

    def names(self) -> Layer:
        """Draw the names of the lines, beside each block."""
        data: list[Row] = [
            {"panel": panel, "own": panel, "line": line, "block": block}
            for panel in range(len(self.element.panels))
            for line in range(self.lines)
            for block in range(self.count)
        ]
        name = {
            "left": self.geometry.x,
            "top": f"{self.geometry.y} + datum.block * {self.block} + {HEAD} + datum.line * {LINE} + 10",
            "words": f"datum.block < blocks_{self.name} ? ({line_name(self.element)}) : ''",
        }
        limit = alt.ExprRef(f"names_{self.name} - 12")
        return text(self.layer(data, **name), "words", baseline="middle", limit=limit)

    def selection(self) -> list[Layer]:
        whole = {
            **self.slot,
            "left": "datum.x0 - 5",
            "right": f"datum.left + (datum.atom >= 0 ? {CELL - 8} : 0)",
            "top": "datum.y0 - 4",
            "bottom": f"datum.y0 + {LINE * self.lines + HEAD + 2}",
        }
        base = self.layer(self.slot_rows(), **whole)
        return [*self.rings(base, 1.5, dashed=True), self.hit(base)]


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    return SwatchChart(element, theme).chart()

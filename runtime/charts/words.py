"""The words of a text, each on the colour of its number: what a heatmap of tokens looks like."""

from __future__ import annotations

import json

import altair as alt

from bbilang.runtime.charts.level_colours import LevelColours
from bbilang.runtime.charts.slots import ATOM, Corners, SlotChart
from bbilang.runtime.vega.colours import stops
from bbilang.runtime.vega.element import Row, is_signed, labelled, rows, slots
from bbilang.runtime.vega.geometry import Geometry, Quantity, floor, least, most
from bbilang.runtime.vega.marks import Layer, box, colour_of, text
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element

LETTER, PAD, LINE, GAP = 7.6, 8, 30, 3  # pixels: a letter, at most; around a word; from line to line; between words
WIDTHS = tuple(range(240, 745, 24))  # of a panel, in pixels, for which lines are broken ahead


class WordChart(SlotChart):
    """A slot is a word; lines are broken as in running text."""

    def arrange(self, geometry: Geometry) -> Geometry:
        self.lengths = word_lengths(self.element)
        self.breaks = [break_lines(self.lengths, width) for width in WIDTHS]
        width = most(WIDTHS[0], least(WIDTHS[-1], geometry.room))
        self.step = geometry.named("step", floor((width - WIDTHS[0]) / (WIDTHS[1] - WIDTHS[0])))
        heights = [(broken[-1][0] + 1) * LINE if broken else LINE for broken in self.breaks]
        height = Quantity(f"{json.dumps(heights)}[{self.step}]", heights[int(self.step.value)])
        return geometry.flow(len(self.element.panels), width, height, labelled(self.element), gutter=30)

    def word_rows(self) -> list[Row]:
        """Return one row of data per word, with its line and left edge for each possible line break."""
        return [
            {**row, "breaks": [broken[row["slot"]] for broken in self.breaks], "long": self.lengths[row["slot"]]}
            for row in rows(self.element, len(self.lengths))
        ]

    def layers(self) -> list[Layer]:
        signed, geometry = is_signed(self.element), self.geometry
        colours = LevelColours(stops(signed), self.share("datum.value"))
        data, line, x = self.word_rows(), f"datum.breaks[{self.step}][0] * {LINE}", f"datum.breaks[{self.step}][1]"
        slot: Corners = {
            "atom": ATOM,
            "value": "datum.frame.values[datum.slot][0]",
            "there": "datum.atom >= 0 && isValid(datum.value)",
            "left": f"{geometry.x} + {x}",
            "top": f"{geometry.y} + {line} + 2",
            "right": "datum.left + (datum.there ? datum.long : 0)",
            "bottom": f"datum.top + (datum.there ? {LINE - 4} : 0)",
            "colour": f"datum.there ? {colours.colour} : 'transparent'",
        }
        word = {
            **slot,
            "words": self.label,
            "ink": f"datum.there ? {colours.ink} : 'transparent'",
            "left": f"{geometry.x} + {x} + datum.long / 2",
            "top": f"{geometry.y} + {line} + {LINE / 2}",
        }
        words = text(self.layer(data, **word), "words", align="center", baseline="middle")
        self.words = self.layer(data, **slot)
        return [  # words and what lies under them turn dark with the page (page.css)
            box(self.words, fill="colour", cornerRadius=3).properties(name=f"scale_words_{self.name}"),
            words.encode(color=colour_of("ink")).properties(name=f"letters_{self.name}"),
        ]

    def selection(self) -> list[Layer]:
        return [*self.rings(self.words, 2, dashed=True), self.hit(self.words)]


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    return WordChart(element, theme).chart()


def word_lengths(element: Element) -> list[float]:
    """Return the width in pixels of each slot's longest word over all states."""
    lengths = [0.0] * slots(element)
    for panel in element.panels:
        for frame in panel.frames:
            for slot, atom in enumerate(frame.atoms):
                letters = len(element.atoms[atom].label) if atom >= 0 else 0
                lengths[slot] = max(lengths[slot], letters * LETTER + PAD)
    return [round(length, 1) for length in lengths]


def break_lines(lengths: list[float], width: int) -> list[tuple[int, float]]:
    """Return (line, x) of each word, as text breaks into lines of this width."""
    line, x, broken = 0, 0.0, []
    for length in lengths:
        if x and x + length > width:
            line, x = line + 1, 0.0
        broken.append((line, round(x, 1)))
        x += length + GAP
    return broken

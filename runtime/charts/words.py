"""The words of a text, each on the colour of its number, and arcs from the word pointed at to others."""

from __future__ import annotations

import json
from unicodedata import bidirectional, combining, east_asian_width

import altair as alt

from bbilang.runtime.charts.level_colours import LevelColours
from bbilang.runtime.charts.slots import ATOM, Corners, SlotChart
from bbilang.runtime.vega.colours import stops
from bbilang.runtime.vega.element import Row, is_signed, labelled, rows, slots
from bbilang.runtime.vega.geometry import Geometry, Listing, Quantity, floor, least, most
from bbilang.runtime.vega.marks import Layer, MarkProperty, box, colour_of, text, x_of, y_of
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element

LETTER, PAD, LINE = 7.6, 8, 30  # pixels: a letter, at most; around a word; from line to line
GAP, SPACE, JOINED = 3, 8, 1  # pixels between words; between words and pieces where pieces of a word are joined
WIDTHS = tuple(range(240, 745, 24))  # of a panel, in pixels, for which lines are broken ahead


class WordChart(SlotChart):
    """A slot is a word; lines are broken as in running text, from the right where the text is written so."""

    line, above = LINE, 0  # pixels: from line to line; above the words of one

    def arrange(self, geometry: Geometry) -> Geometry:
        self.lengths = word_lengths(self.element)
        gaps = word_gaps(self.element, len(self.lengths))
        self.breaks = [break_lines(self.lengths, width, gaps) for width in WIDTHS]
        width = most(WIDTHS[0], least(WIDTHS[-1], geometry.room))
        self.step = geometry.named("step", floor((width - WIDTHS[0]) / (WIDTHS[1] - WIDTHS[0])))
        heights = [(broken[-1][0] + 1) * self.line if broken else self.line for broken in self.breaks]
        self.from_right = written_from_right(self.element)
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
        data, line = self.word_rows(), f"datum.breaks[{self.step}][0] * {self.line} + {self.above}"
        x = self.edge(f"datum.breaks[{self.step}][1]", "datum.long")
        slot: Corners = {
            "atom": ATOM,
            "value": self.value,
            "there": f"datum.atom >= 0 && {self.present}",
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

    value, present = "datum.frame.values[datum.slot][0]", "isValid(datum.value)"

    def edge(self, x: str, long: str) -> str:
        """Return the left edge of a word that begins ``x`` pixels after the start of its line."""
        return f"({self.geometry.width} - {x} - {long})" if self.from_right else x

    def selection(self) -> list[Layer]:
        return [*self.rings(self.words, 2, dashed=True), self.hit(self.words)]


class ArcChart(WordChart):
    """Words with room above for arcs: those of the word pointed at; without one, each word's widest."""

    line, above = 82, 40
    present = "datum.slot < length(datum.frame.values)"

    @property
    def value(self) -> str:  # type: ignore[override]  # a constant of words without arcs
        return f"{self.focus} >= 0 && {self.present} ? datum.frame.values[{self.focus}][datum.slot] : 0"

    def arrange(self, geometry: Geometry) -> Geometry:
        geometry = super().arrange(geometry)
        name, focus, step = geometry.name, "-1", int(self.step.value)
        for k in reversed(range(len(self.element.selects))):
            chosen = f"selected_{name}[{k}]"
            focus = f"({chosen} >= 0 ? indexof(frames_{name}[0][state_{name}].atoms, {chosen}) : {focus})"
        self.focus = geometry.named("focus", Quantity(focus, -1.0))
        places = [
            [[line, x, long] for (line, x), long in zip(broken, self.lengths, strict=True)] for broken in self.breaks
        ]
        listing = Listing(f"{json.dumps(places)}[{self.step}]", places[step] if places[step] else [[0.0, 0.0, 0.0]])
        self.places = geometry.listed("places", listing)
        return geometry

    def layers(self) -> list[Layer]:
        return [self.widest(), self.looks(), *super().layers(), self.shares()]

    def looks(self) -> Layer:
        """Draw the arcs of the word pointed at to all words."""
        arc = {"share": self.value, "start": f"{self.places}[max({self.focus}, 0)]"}
        return self.arcs(self.slot_rows(), {**arc, "end": f"{self.places}[datum.slot]"}, 1)

    def widest(self) -> Layer:
        """Draw the arc of each word's largest share, where none is pointed at."""
        data: list[Row] = []
        for row in self.slot_rows():
            frames = self.element.panels[int(str(row["panel"]))].frames
            shares = (
                frame.values[int(str(row["slot"]))] if row["slot"] < len(frame.values) else () for frame in frames
            )
            data.append({**row, "to": [_largest(each) for each in shares] + [-1]})  # the last frame draws nothing
        arc = {
            "target": f"datum.to[state_{self.name}]",
            "share": f"{self.focus} >= 0 || datum.target < 0 ? 0 : datum.frame.values[datum.slot][datum.target]",
            "start": f"{self.places}[datum.slot]",
            "end": f"{self.places}[max(datum.target, 0)]",
        }
        return self.arcs(data, arc, 0.6)

    def arcs(self, data: list[Row], arc: Corners, opacity: float) -> Layer:
        """Return a layer of arcs, four points each, from the word at ``start`` to that at ``end``: [line, x, width]."""
        bends: list[Row] = [{**row, "bend": bend} for row in data for bend in range(4)]

        def middle(place: str) -> str:
            return f"{self.geometry.x} + {self.edge(f'{place}[1]', f'{place}[2]')} + {place}[2] / 2"

        def top(place: str) -> str:
            return f"{self.geometry.y} + {place}[0] * {self.line} + {self.above}"

        point = {
            **arc,
            "x1": middle("datum.start"),
            "x2": middle("datum.end"),
            "y1": top("datum.start"),
            "y2": top("datum.end"),
            "far": "datum.x2 - datum.x1",
            "rise": f"datum.y1 == datum.y2 ? min({self.above - 6}, 14 + abs(datum.far) * 0.12) * 1.3 : {self.above}",
            "loop": "datum.start == datum.end || (abs(datum.far) < 1 && datum.y1 == datum.y2) ? 9 : 0",
            "left": "datum.bend == 0 ? datum.x1 - datum.loop / 2 : datum.bend == 3 ? datum.x2 + datum.loop / 2 : "
            "datum.bend == 1 ? datum.x1 + datum.far * 0.15 - datum.loop : datum.x1 + datum.far * 0.85 + datum.loop",
            "top": "(datum.bend < 2 ? datum.y1 : datum.y2) - (datum.bend == 1 || datum.bend == 2 ? datum.rise : 0)",
            "seen": "isValid(datum.share) && datum.share >= 0.01",
            "trace": "datum.panel + ' ' + datum.slot",
        }
        mark: dict[str, MarkProperty] = {
            "strokeWidth": alt.ExprRef("datum.seen ? 0.8 + 5 * datum.share : 0"),
            "strokeOpacity": alt.ExprRef(f"datum.seen ? {opacity:g} * (0.35 + 0.6 * datum.share) : 0"),
            "stroke": "currentColor",
        }
        line = self.layer(bends, **point).mark_line(interpolate="bundle", tension=1, strokeCap="round", **mark)
        return line.encode(x_of(), y_of(), detail="trace:N", order="bend:Q")

    def shares(self) -> Layer:
        """Write below each word its share of the attention of the word pointed at."""
        place = f"{self.places}[datum.slot]"
        where = {
            "share": self.value,
            "words": "isValid(datum.share) && datum.share >= 0.01 ? format(datum.share, '.0%') : ''",
            "left": f"{self.geometry.x} + {self.edge(f'{place}[1]', f'{place}[2]')} + {place}[2] / 2",
            "top": f"{self.geometry.y} + {place}[0] * {self.line} + {self.above + LINE + 5}",
        }
        return text(self.layer(self.slot_rows(), **where), "words", align="center", baseline="middle", fontSize=11)


def _largest(row: tuple[float | None, ...]) -> int:
    """Return the position of the largest number; -1 where there is none."""
    known = [(value, -slot) for slot, value in enumerate(row) if value is not None and value > 0]
    return -max(known)[1] if known else -1


def arcs(element: Element, theme: Theme) -> alt.LayerChart:
    return ArcChart(element, theme).chart()


def written_from_right(element: Element) -> bool:
    """Return whether most letters of the text are of a script that is written from right to left."""
    kinds = [bidirectional(letter) for atom in element.atoms for letter in atom.label]
    return sum(kind in ("R", "AL") for kind in kinds) > sum(kind == "L" for kind in kinds)


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    return WordChart(element, theme).chart()


def word_lengths(element: Element) -> list[float]:
    """Return the width in pixels of each slot's longest word over all states."""
    lengths = [0.0] * slots(element)
    for panel in element.panels:
        for frame in panel.frames:
            for slot, atom in enumerate(frame.atoms):
                letters = width_in_letters(element.atoms[atom].label) if atom >= 0 else 0
                lengths[slot] = max(lengths[slot], letters * LETTER + PAD)
    return [round(length, 1) for length in lengths]


def width_in_letters(label: str) -> float:
    """Return how many letters a word is as wide as: characters of East Asia and emoji are two, accents none."""
    wide = {"W": 1.9, "F": 1.9}
    return sum(0 if combining(letter) else wide.get(east_asian_width(letter), 1.0) for letter in label.strip())


def word_gaps(element: Element, count: int) -> list[float]:
    """Return the pixels before each word: where it is known which pieces follow a space, the others go on with the word
    before."""
    starts = element.options.get("spaced")
    if not isinstance(starts, list):
        return [GAP] * count
    return [SPACE if slot < len(starts) and starts[slot] else JOINED for slot in range(count)]


def break_lines(lengths: list[float], width: int, gaps: list[float]) -> list[tuple[int, float]]:
    """Return (line, x) of each word, as text breaks into lines of this width. gaps: before each word."""
    line, x, broken = 0, 0.0, []
    for length, gap in zip(lengths, gaps, strict=True):
        start = x + gap if x else 0.0
        if x and start + length > width:
            line, start = line + 1, 0.0
        broken.append((line, round(start, 1)))
        x = start + length
    return broken

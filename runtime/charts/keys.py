"""The key of a chart: the colour of each series, on one line if it fits, else wrapped like text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import altair as alt

from bbilang.runtime.vega.colours import series_colour
from bbilang.runtime.vega.element import Row
from bbilang.runtime.vega.geometry import Geometry, Quantity, floor, least, most
from bbilang.runtime.vega.marks import Layer, box, layer, text
from bbilang.runtime.view.model import Element

LINE, BELOW, SIGN, LETTER, APART = 20, 8, 17, 6.3, 20  # pixels: a line; under the key; a sign; a letter; between two
ROOMS = tuple(range(240, 1201, 24))  # widths for which the lines are broken ahead
MOST_LETTERS = 48  # of one name; what is longer is cut
CAP = 3  # pixels: half the height of a whisker's ends


@dataclass(frozen=True)
class Entry:
    """``words``: an expression over ``datum.frame``; ``letters``: of the longest that any state shows; ``colours``: of
    its square, side by side; a whisker where there are none."""

    words: str
    letters: int
    colours: tuple[str, ...]


def series_entry(element: Element, line: int, colours: tuple[str, ...]) -> Entry:
    """Return the entry of a series under its own name."""
    frames = (frame for panel in element.panels for frame in panel.frames)
    letters = max((len(frame.series[line]) for frame in frames if line < len(frame.series)), default=0)
    return Entry(f"datum.frame.series[{line}]", letters, colours)


def series_entries(element: Element, lines: Sequence[int], whiskers: Sequence[int] = ()) -> list[Entry]:
    """Return the entries of the series in the order of ``lines``, then those of whiskers; none for a single series."""
    keyed = lines if len(lines) > 1 else ()
    return [
        *(series_entry(element, line, (series_colour(number),)) for number, line in enumerate(keyed)),
        *(series_entry(element, line, ()) for line in whiskers),
    ]


class Key:
    """Where the entries stand: above the panels, in as many lines as the room makes of the longest words of any state;
    along a line as the words of the state demand."""

    def __init__(self, element: Element, geometry: Geometry, entries: Sequence[Entry]):
        self.element, self.entries = element, list(entries)
        self.lengths = [min(entry.letters, MOST_LETTERS) * LETTER for entry in self.entries]
        held = most(ROOMS[0], least(ROOMS[-1], geometry.room))
        self.step = geometry.named("keyed", floor((held - ROOMS[0]) / (ROOMS[1] - ROOMS[0])))
        self.places = [broken([SIGN + length for length in self.lengths], room) for room in ROOMS]
        heights = [LINE * (places[-1][0] + 1) + BELOW if places else 2 for places in self.places]
        self.height = Quantity(f"{json.dumps(heights)}[{self.step}]", heights[int(self.step.value)])

    def layers(self) -> list[Layer]:
        """Draw the entries of a key, a square of colour and a name each, in as many rows as the width requires."""
        data: list[Row] = []
        for number, entry in enumerate(self.entries):
            places = [each[number] for each in self.places]
            row: Row = {"panel": 0, "own": 0, "entry": number, "places": places}
            parts = entry.colours or ("",)
            data += [
                {**row, "part": part, "side": 10 / len(parts), "colour": one} for part, one in enumerate(parts)
            ]  # fmt: skip
        before = [
            f"(datum.first <= {number} && {number} < datum.entry ? {SIGN + APART} + {self._long(number)} : 0)"
            for number in range(len(self.entries) - 1)
        ]
        corner = {
            "first": f"datum.places[{self.step}][1]",
            "line_left": " + ".join(before) or "0",
            "line_top": f"datum.places[{self.step}][0] * {LINE}",
        }
        return [*self._squares(data, corner), *self._whiskers(data, corner), *self._words(data, corner)]

    def _long(self, number: int) -> str:
        """Return the width in pixels of an entry's words in the present state, as an expression."""
        return f"{LETTER} * min(length({self.entries[number].words}), {MOST_LETTERS})"

    def _squares(self, data: list[Row], corner: dict[str, str]) -> list[Layer]:
        rows = [row for row in data if row["colour"]]
        square = {
            **corner,
            "left": "datum.line_left + datum.part * datum.side",
            "right": "datum.left + datum.side",
            "top": "datum.line_top + 3",
            "bottom": "datum.line_top + 13",
        }
        return [box(layer(self.element, rows, **square), fill="colour")] if rows else []

    def _whiskers(self, data: list[Row], corner: dict[str, str]) -> list[Layer]:
        rows, made = [row for row in data if not row["colour"]], []
        for left, right, half in ((0, 12, 0.75), (0, 1.5, CAP), (10.5, 12, CAP)) if rows else ():
            stroke = {
                **corner,
                "left": f"datum.line_left + {left}",
                "right": f"datum.line_left + {right}",
                "top": f"datum.line_top + {8 - half}",
                "bottom": f"datum.line_top + {8 + half}",
            }
            made.append(box(layer(self.element, rows, **stroke), color="currentColor"))
        return made

    def _words(self, data: list[Row], corner: dict[str, str]) -> list[Layer]:
        rows = [row for row in data if not row.get("part")]
        if not rows:
            return []
        words = f"[{', '.join(entry.words for entry in self.entries)}][datum.entry]"
        long = f"[{', '.join(self._long(number) for number in range(len(self.entries)))}][datum.entry]"
        name = {
            **corner,
            "long": long,
            "left": f"datum.line_left + {SIGN}",
            "top": "datum.line_top + 2",
            "words": words,
        }
        return [text(layer(self.element, rows, **name), "words", limit=alt.ExprRef(f"datum.long + {APART - 4}"))]


def broken(lengths: Sequence[float], room: float) -> list[tuple[int, int]]:
    """Break entries into lines like text: (line, first entry of that line) for each entry."""
    places: list[tuple[int, int]] = [(0, 0)][: len(lengths)]
    x = 0.0
    for number, (before, length) in enumerate(pairwise(lengths), 1):
        line, first = places[-1]
        x += before + APART
        if x + length > room:
            line, first, x = line + 1, number, 0.0
        places.append((line, first))
    return places

"""Rows by columns of coloured cells with their numbers; rows of groups have the groups' chips."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.charts.level_colours import LevelColours
from bbilang.runtime.charts.slots import ATOM, Corners, SlotChart
from bbilang.runtime.vega.colours import stops
from bbilang.runtime.vega.element import coloured, is_signed, labelled, longest_label, number_text
from bbilang.runtime.vega.geometry import Geometry, Quantity, floor, least, most, quantity
from bbilang.runtime.vega.marks import CHIP, Layer, box, chips, colour_of, fade, fading, picture, ring, text
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element

LINE, CELL, NARROW = 30, 62, 38  # pixels: a row; a column at most; a column too narrow for its numbers
WIDE, THUMB = 110, 56  # pixels: a column where there is room; the picture of an input
UPRIGHT = 20  # pixels: in narrower columns, slanted names would run into each other, and stand upright
LETTER = 12  # pixels: the height of a name; in narrower columns some stand without one
SLANT = 40  # degrees that the columns' names are turned
COLUMN_ATOM = "datum.line < length(datum.frame.series_atoms) ? datum.frame.series_atoms[datum.line] : -1"


class MatrixChart(SlotChart):
    """A slot is a row, a series a column."""

    def arrange(self, geometry: Geometry) -> Geometry:
        element = self.element
        heads = [label for panel in element.panels for frame in panel.frames for label in frame.series]
        self.longest_head = min(max((len(label) for label in heads), default=0) * 6.4 + 6, 150)  # pixels
        slanted = round(self.longest_head * 0.66 + 12) if any(heads) else 4  # height of the columns' names
        self.thumbs = any(frame.series_pictures for panel in element.panels for frame in panel.frames)
        self.chip = CHIP if coloured(element) else 0
        slant = self.longest_head * 0.77  # the last column's name leans to the right
        names = least(min(longest_label(element) * 7.1 + 18 + self.chip, 210), geometry.room * 0.36)
        names = geometry.named("names", names)
        # names stand level where the widest fits over its column, else they are slanted and columns are narrower
        level, free = max(CELL, self.longest_head + 8, THUMB + 12 if self.thumbs else 0), geometry.room - names
        fits = f"({free} >= {level * self.lines:g} ? 1 : 0)"
        self.level = geometry.named("level", Quantity(fits, float(free.value >= level * self.lines)))
        slanting = least(CELL, floor((free - slant * 0.6) / self.lines))
        crowded = f"({slanting} < {UPRIGHT} ? 1 : 0)"
        self.upright = geometry.named("upright", Quantity(crowded, float(slanting.value < UPRIGHT)))
        leaning = quantity(1) - self.upright
        turned = leaning * slanting + self.upright * floor(free / self.lines)
        broad = least(max(level, WIDE), floor(free / self.lines))
        columns = self.level * broad + (quantity(1) - self.level) * turned
        geometry.columns = geometry.named("columns", most(8, columns))
        overhang = (quantity(1) - self.level) * leaning * (slant * 0.75)
        wide = least(geometry.room, names + geometry.columns * self.lines + overhang)
        self.thumb = least(THUMB, geometry.columns - 6) if self.thumbs else quantity(0)
        level_head = self.thumb + (24 if any(heads) else 4)
        turned_head = self.thumb + leaning * slanted + self.upright * (self.longest_head + 10 if any(heads) else 4)
        self.head = geometry.named("head", self.level * level_head + (quantity(1) - self.level) * turned_head)
        height = self.head + self.shown * LINE
        return geometry.flow(len(element.panels), wide, height, labelled(element), gutter=28)

    @property
    def slot(self) -> Corners:
        return {"atom": ATOM, "y0": f"{self.geometry.y} + {self.head} + datum.slot * {LINE}"}

    @property
    def cell(self) -> Corners:
        """Where a cell lies, in pixels, with its value, its number as text and the colour of that."""
        wide = self.geometry.columns
        colours = LevelColours(stops(is_signed(self.element)), self.share("datum.value"))
        there = f"datum.line < length(datum.frame.values[datum.slot]) && datum.line < {self.lines}"
        number = number_text(self.element, "datum.value")
        return {
            **self.slot,
            "value": f"datum.atom >= 0 && {there} ? datum.frame.values[datum.slot][datum.line] : null",
            "number": f"isValid(datum.value) && {wide} >= {NARROW} ? {number} : ''",
            "ink": f"isValid(datum.value) ? {colours.ink} : 'transparent'",
            "also": COLUMN_ATOM,
            "left": f"{self.geometry.x} + names_{self.name} + datum.line * {wide}",
            "top": "datum.y0",
            "right": f"datum.left + {wide} - 2",
            "bottom": f"datum.atom >= 0 ? datum.y0 + {LINE - 2} : datum.top",
            "shade": f"isValid(datum.value) ? {colours.colour} : 'transparent'",
        }

    def layers(self) -> list[Layer]:
        faded = fade(self.element)
        opacity = alt.ExprRef(f"isValid(datum.value) ? {f'({faded})' if faded else '1'} : 0")
        chip = {
            **self.slot,
            "left": f"{self.geometry.x} + names_{self.name} - 20",
            "top": f"datum.y0 + {LINE / 2 - 7}",
        }
        return [
            box(self.layer(self.line_rows(), **self.cell), fill="shade", opacity=opacity).properties(
                name=f"scale_cells_{self.name}"  # cells and their numbers turn dark with the page (page.css)
            ),
            self.numbers().properties(name=f"letters_{self.name}"),
            self.row_names(),
            *self.column_names(),
            *self.thumbnails(),
            *chips(self.element, self.slot_rows(), chip),
        ]

    def numbers(self) -> Layer:
        """Write the values into the cells that are wide enough."""
        cell = self.cell
        middle = f"{cell['left']} + {self.geometry.columns} / 2 - 1"
        base = self.layer(self.line_rows(), **{**cell, "left": middle, "top": f"datum.y0 + {LINE / 2 - 1}"})
        properties = {"align": "center", "baseline": "middle", **fading(self.element)}
        return text(base, "number", **properties).encode(color=colour_of("ink"))

    def row_names(self) -> Layer:
        """Draw the names of the rows, right-aligned before them."""
        where = {
            **self.slot,
            "left": f"{self.geometry.x} + names_{self.name} - {8 + self.chip}",
            "top": f"datum.y0 + {LINE / 2 - 1}",
            "words": self.label,
        }
        limit = alt.ExprRef(f"names_{self.name} - {10 + self.chip}")
        properties = {"align": "right", "baseline": "middle", "limit": limit, **fading(self.element)}
        return text(self.layer(self.slot_rows(), **where), "words", **properties)

    def column_names(self) -> list[Layer]:
        """Draw the column names level above their columns, slanted or upright; thumbnails stand between turned names
        and the cells."""
        where = {
            "left": f"{self.geometry.x} + names_{self.name} + (datum.line + 0.5) * {self.geometry.columns}",
            "bottom": f"{self.geometry.y} + {self.head} - 6",
            "name": "datum.line < length(datum.frame.series) ? datum.frame.series[datum.line] : ''",
        }
        level = {**where, "top": "datum.bottom", "words": f"{self.level} ? datum.name : ''"}
        turned = {**where, "top": f"datum.bottom - {self.thumb}"}
        slanted = {**turned, "words": f"{self.level} || {self.upright} ? '' : datum.name"}
        shown = f"datum.line % (floor({LETTER} / {self.geometry.columns}) + 1) == 0"  # every second of the narrowest
        upright = {**turned, "words": f"!{self.level} && {self.upright} && {shown} ? datum.name : ''"}
        limit = alt.ExprRef(f"{self.geometry.columns} - 4")
        middle = {"align": "center", "baseline": "bottom", "limit": limit}
        angled = {"angle": 360 - SLANT, "baseline": "middle", "limit": self.longest_head}
        made = ((level, middle), (slanted, angled), (upright, {**angled, "angle": 270}))
        return [text(self.layer(self.head_rows(), **at), "words", **how) for at, how in made]

    def thumbnails(self) -> list[Layer]:
        """Draw the inputs above their columns."""
        if not self.thumbs:
            return []
        side = str(self.thumb)
        where = {
            "middle": f"{self.geometry.x} + names_{self.name} + (datum.line + 0.5) * {self.geometry.columns}",
            "left": f"datum.middle - {side} / 2",
            "top": f"{self.geometry.y} + ({self.level} ? 0 : {self.head} - {side} - 3)",
            "shown": "datum.line < length(datum.frame.series_pictures) ? datum.frame.series_pictures[datum.line] : -1",
        }
        return [picture(self.layer(self.head_rows(), **where), side, side)]

    def selection(self) -> list[Layer]:
        """Draw a ring around the selected row or column; a cell selects both, the name of a row selects the row."""
        base = self.layer(self.slot_rows(), **self.row_corners())
        column = self.layer(self.head_rows(), **self.column_corners())
        chosen = f"datum.also >= 0 && indexof(selected_{self.name}, datum.also) >= 0"
        names = [{**row, "line": -1} for row in self.slot_rows()]
        cell = self.layer(self.line_rows(), **self.cell)
        spot = f"spot_{self.name}"
        read = f"length({spot}) && {spot}[0] == datum.slot && {spot}[1] == datum.line && {spot}[2] == datum.panel"
        return [
            *self.rings(base, 2),
            *([ring(cell, read, strokeWidth=2)] if "asides" in self.element.options else []),
            ring(column, chosen, strokeWidth=2),
            self.hit(self.layer([*self.line_rows(), *names], **self.hit_corners())),
        ]

    def hit_corners(self) -> Corners:
        """What takes the pointer: a cell, and (line -1) the name of its row."""
        geometry, cell = self.geometry, self.cell
        right = f"datum.line < 0 ? {geometry.x} + names_{geometry.name} : datum.left + {geometry.columns}"
        return {
            **self.slot,
            "also": f"datum.line < 0 ? -1 : ({cell['also']})",
            "left": f"datum.line < 0 ? {geometry.x} : {cell['left']}",
            "top": "datum.y0",
            "right": right,
            "bottom": f"datum.atom >= 0 ? datum.y0 + {LINE} : datum.top",
        }

    def row_corners(self) -> Corners:
        """Where the ring around a row lies, its name included."""
        return {
            **self.slot,
            "left": f"{self.geometry.x} - 3",
            "top": "datum.y0 - 1",
            "right": f"{self.geometry.x} + names_{self.name} + {self.lines} * {self.geometry.columns}",
            "bottom": f"datum.atom >= 0 ? datum.y0 + {LINE - 1} : datum.top",
        }

    def column_corners(self) -> Corners:
        """Where the ring around a column lies."""
        return {
            "also": COLUMN_ATOM,
            "left": f"{self.geometry.x} + names_{self.name} + datum.line * {self.geometry.columns} - 1",
            "top": f"{self.geometry.y} + {self.head} - 1",
            "right": f"datum.left + {self.geometry.columns}",
            "bottom": f"datum.top + {self.shown * LINE + 1}",
        }


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    return MatrixChart(element, theme).chart()

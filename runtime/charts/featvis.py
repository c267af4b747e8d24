"""Icons: a row that wraps, each with its label and its value as a bar, of several classes as swatches; or a grid."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.charts import grid, swatches
from bbilang.runtime.charts.keys import Key, series_entries
from bbilang.runtime.charts.maps import number_option
from bbilang.runtime.charts.slots import ATOM, BAR, Corners, SlotChart
from bbilang.runtime.vega.colours import series_colour
from bbilang.runtime.vega.element import bar_colour, coloured, labelled, number_text, number_width, rows, series
from bbilang.runtime.vega.geometry import ICON_GUTTER as GUTTER
from bbilang.runtime.vega.geometry import (
    SMALL_ICON,
    Geometry,
    ceil,
    floor,
    icon_columns,
    icon_side,
    if_zero,
    least,
    quantity,
)
from bbilang.runtime.vega.marks import CHIP, Layer, box, chips, fading, picture, ring, text
from bbilang.runtime.vega.theme import LARGE, Theme
from bbilang.runtime.view.model import Element
from bbilang.runtime.view.styles import is_map

LABEL, LINE, NOTE, BELOW = 22, 17, 16, 16  # pixels: an icon's label; a line of values; a remark; under a slot
BESIDE = 4  # pixels between the icons of two matched channels
PAIR = 122  # pixels that these two take at least: their label names both
GAP = 30  # pixels for the dots where slots are left out
LEAST_DIGITS = 41  # pixels for a value's digits


class IconChart(SlotChart):
    """A slot is an icon with its label, its values and a remark below it; rows wrap."""

    def arrange(self, geometry: Geometry) -> Geometry:
        """Name the quantities of a row of icons: columns, the extra width or height of a gap, panels in rows."""
        element = self.element
        frames = [frame for panel in element.panels for frame in panel.frames]
        self.netted = series(element) == 2 and "color" not in element.options
        self.noted = any(note for frame in frames for note in frame.notes)
        lines = swatches.swatch_lines(element) if self.netted else series(element)
        self.lines = lines if any(frame.values for frame in frames) else 0
        self.digits = max(LEAST_DIGITS, number_width(element))
        if self.netted:
            self.low, self.high = swatches.net_ends(element)
        entries = swatches.entries(element) if self.netted else series_entries(element, range(series(element)))
        self.key = Key(element, geometry, entries if self.lines else ())
        self.paired = "pairs" in element.options
        side = number_option(element, "icon", icon_side(self.count))
        side = 2 * side + BESIDE if self.paired else side
        shown = self.shown
        smallest = PAIR if self.paired else SMALL_ICON
        geometry.columns = geometry.named("columns", icon_columns(geometry.room, shown, side, smallest))
        # the dots stand in a row, or between two rows where a row ends there
        dots = GAP if element.gap else 0
        inside = geometry.named("inside", if_zero(quantity(element.gap) % geometry.columns, 0, dots))
        between = geometry.named("between", quantity(dots) - inside)
        fit = (geometry.room - inside + GUTTER) / geometry.columns - GUTTER
        geometry.unit = geometry.named("unit", floor(least(side, fit)))
        pitch = geometry.unit + GUTTER
        notes = NOTE if self.noted else 0
        # without any picture, as with `set thumbnails(none)`, labels need no room above them
        pictured = any(picture >= 0 for frame in frames for picture in frame.pictures)
        self.side = geometry.named("side", (geometry.unit - BESIDE) / 2) if self.paired else geometry.unit
        self.deep = self.side if pictured else quantity(0)
        height = geometry.named("block", self.deep + (LABEL + LINE * self.lines + notes + BELOW))
        deep = ceil(shown / geometry.columns) * height - BELOW + between
        wide = geometry.columns * pitch - GUTTER + inside
        return geometry.flow(len(element.panels), wide, deep, labelled(element), gutter=34, top=self.key.height)

    @property
    def slot(self) -> Corners:
        """Corner of a slot's icon, and what stands in it."""
        geometry, gap = self.geometry, self.element.gap
        after = f"datum.slot >= {gap} && {gap} > 0"
        line = f"floor(datum.slot / {geometry.columns})"
        same = f"{line} == floor({gap} / {geometry.columns})"
        return {
            "atom": ATOM,
            "x0": f"{geometry.x} + datum.slot % {geometry.columns} * ({geometry.unit} + {GUTTER})"
            f" + ({after} && {same} ? inside_{geometry.name} : 0)",
            "y0": f"{geometry.y} + {line} * block_{geometry.name} + ({after} ? between_{geometry.name} : 0)",
        }

    def layers(self) -> list[Layer]:
        made = [*self.key.layers(), *self.icons(), *self.labels()]
        if self.lines:
            made += self.values()
        made += self.notes()
        return [*made, self.dots()] if self.element.gap else made

    def selection(self) -> list[Layer]:
        """Let the whole slot take the pointer: icon, label and values."""
        corners = {
            "left": "datum.x0",
            "top": "datum.y0",
            "right": f"datum.x0 + (datum.atom >= 0 ? {self.geometry.unit} : 0)",
            "bottom": f"datum.y0 + (datum.atom >= 0 ? block_{self.name} - {BELOW} : 0)",
        }
        return [self.hit(self.layer(self.slot_rows(), **self.slot, **corners))]

    def icons(self) -> list[Layer]:
        """Draw the icons, scaled by area where sizes are given, with rings around selected ones."""
        unit, data = self.side, self.slot_rows()
        side = f"{unit} * sqrt(datum.frame.sizes[datum.slot])"
        left, top = f"datum.x0 + ({unit} - datum.side) / 2", f"datum.y0 + ({unit} - datum.side) / 2"
        corner = {
            **self.slot,
            "side": f"isValid(datum.frame.sizes[datum.slot]) ? {side} : {unit}",
            "left": left,
            "top": top,
        }
        shown = self.layer(data, **corner, shown="datum.frame.pictures[datum.slot]")
        made = [picture(shown, "datum.side", "datum.side", **fading(self.element))]
        if self.paired:
            beside = {**corner, "left": f"{left} + {unit} + {BESIDE}"}
            partner = self.layer(data, **beside, shown="datum.frame.partners[datum.slot]")
            made.append(picture(partner, "datum.side", "datum.side", **fading(self.element)))
        if not self.element.selects:
            return made
        around = {
            **corner,
            "left": f"{left} - 3",
            "top": f"{top} - 3",
            "right": f"datum.left + {f'2 * datum.side + {BESIDE}' if self.paired else 'datum.side'} + 6",
            "bottom": "datum.top + datum.side + 6",
        }
        chosen = f"datum.atom >= 0 && indexof(selected_{self.name}, datum.atom) >= 0"
        pointed = f"datum.atom >= 0 && cursor_{self.name} == datum.atom"
        dashed = {"stroke": "currentColor", "strokeDash": [3, 3], "strokeWidth": 1.5}
        return [
            *made,
            ring(self.layer(data, **around), chosen),
            ring(self.layer(data, **around), pointed, **dashed),
        ]

    def labels(self) -> list[Layer]:
        """Draw the atoms' labels, without the words that already stand above the panel."""
        name = f"atoms_{self.name}[datum.atom]"
        name = f"(datum.frame.label ? replace({name}, datum.frame.label + ', ', '') : {name})"
        chip = CHIP if coloured(self.element) else 0
        top = f"datum.y0 + {self.deep} + 7"
        where = {**self.slot, "left": f"datum.x0 + {chip}", "top": top, "words": f"datum.atom >= 0 ? {name} : ''"}
        limit = alt.ExprRef(f"{self.geometry.unit} - {chip}")
        label = text(self.layer(self.slot_rows(), **where), "words", limit=limit)
        corner = {**self.slot, "left": "datum.x0", "top": f"{top} + 1"}
        return [label, *chips(self.element, self.slot_rows(), corner)]

    def values(self) -> list[Layer]:
        """Draw a line per series under each icon, after the net of two classes: a bar from zero in the colour of its
        class, to the right for it and to the left against it, and the number. The net goes to the right for the first
        class."""
        if self.netted:
            data, own = swatches.swatch_rows(self.element, self.count), swatches.amounts(self.element)
        else:
            data = [{**row, "own_colour": series_colour(row["line"])} for row in self.line_rows()]
            own = {
                "value": "datum.frame.values[datum.slot][datum.line]",
                "number": f"isValid(datum.value) ? {number_text(self.element, 'datum.value')} : ''",
                "colour": bar_colour(self.element, BAR),
            }
        unit, low, high = self.geometry.unit, self.low, self.high
        track = f"({unit} - {self.digits})"
        at = {
            **self.slot,
            **own,
            "held": f"clamp(datum.value, {low:g}, {high:g})",
            "zero": f"datum.x0 + {track} * {-low / (high - low):g}",
            "end": f"datum.x0 + {track} * (datum.held - {low:g}) / {high - low:g}",
            "line_top": f"datum.y0 + {self.deep} + {LABEL + 4} + datum.line * {LINE}",
        }
        bar = {
            **at,
            "left": "min(datum.zero, datum.end)",
            "right": "max(datum.zero, datum.end)",
            "top": "datum.line_top",
            "bottom": "isValid(datum.value) ? datum.line_top + 9 : datum.line_top",
        }
        axis = {
            **at,
            "left": "datum.zero - 0.5",
            "right": "datum.zero + 0.5",
            "top": "datum.line_top - 3",
            "bottom": f"isValid(datum.value) ? datum.line_top + {LINE - 3} : datum.top",  # they join to one line
        }
        number = {**at, "left": f"datum.x0 + {unit}", "top": "datum.line_top - 1.5"}
        return [
            box(self.layer(data, **bar), fill="colour"),
            box(self.layer(data, **axis), color="currentColor", opacity=0.7),
            text(self.layer(data, **number), "number", align="right"),
        ]

    def notes(self) -> list[Layer]:
        """Draw the remarks on single icons."""
        if not self.noted:
            return []
        where = {
            **self.slot,
            "left": "datum.x0",
            "top": f"datum.y0 + {self.deep} + {LABEL + LINE * self.lines + 2}",
            "words": "isValid(datum.frame.notes[datum.slot]) ? datum.frame.notes[datum.slot] : ''",
        }
        limit = alt.ExprRef(str(self.geometry.unit))
        return [text(self.layer(self.slot_rows(), **where), "words", limit=limit, opacity=0.72)]

    def dots(self) -> Layer:
        """Draw three dots where slots between are left out."""
        geometry, name, gap = self.geometry, self.name, self.element.gap
        data = [{**row, "slot": gap} for row in rows(self.element)]
        beside = f"{gap} % {geometry.columns} * ({geometry.unit} + {GUTTER}) + {(GAP - GUTTER) / 2}"
        where = {
            "left": f"inside_{name} > 0 ? {geometry.x} + {beside} : {geometry.x} + {geometry.width} / 2",
            "top": f"{geometry.y} + floor({gap} / {geometry.columns}) * block_{name} + "
            f"(inside_{name} > 0 ? {geometry.unit} / 2 : {GAP / 2 - BELOW})",
            "words": f"datum.frame.atoms[{gap}] >= 0 ? '\u22ef' : ''",
        }
        base = self.layer(data, **where)
        return text(base, "words", align="center", baseline="middle", fontSize=LARGE, opacity=0.75)


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    return grid.chart(element, theme) if is_map(element) else IconChart(element, theme).chart()

"""Atoms as points at their two numbers, both axes on one scale; the one pointed at has its name, and its icon."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.charts.slots import ATOM, Corners, SlotChart
from bbilang.runtime.vega.colours import series_colour
from bbilang.runtime.vega.element import Row, coloured, labelled, number_format, rows
from bbilang.runtime.vega.geometry import Geometry, least
from bbilang.runtime.vega.marks import INK, Layer, box, fill_of, picture, ring, text, x_of, y_of
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element

SIDE, FOOT, ICON, NEAR = 46, 40, 84, 9  # pixels: numbers left of and below the plot; an icon; reach of a point


class ScatterChart(SlotChart):
    """A slot is a point."""

    def arrange(self, geometry: Geometry) -> Geometry:
        element = self.element
        wide = geometry.named("plot", least(460 if len(element.panels) == 1 else 330, geometry.room))
        return geometry.flow(len(element.panels), wide, wide - (SIDE - FOOT), labelled(element), gutter=30)

    @property
    def plot(self) -> str:
        """The side of the plot in pixels."""
        return f"({self.geometry.width} - {SIDE})"

    @property
    def point(self) -> Corners:
        """Where a point lies, in pixels; ``there`` is false for an atom without two finite values."""
        x, y = self.geometry.x, self.geometry.y
        right, up = self.share("datum.v[0]"), self.share("datum.v[1]")
        return {
            "atom": ATOM,
            "v": "datum.frame.values[datum.slot]",
            "there": "isArray(datum.v) && isValid(datum.v[0]) && isValid(datum.v[1])",
            "x0": f"datum.there ? {x} + {SIDE} + {self.plot} * {right} : {x}",
            "y0": f"datum.there ? {y} + {self.plot} * (1 - {up}) : {y}",
        }

    @property
    def chosen(self) -> str:
        """Whether the point is selected or under the keyboard's cursor."""
        name = self.name
        return f"datum.atom >= 0 && (indexof(selected_{name}, datum.atom) >= 0 || cursor_{name} == datum.atom)"

    def layers(self) -> list[Layer]:
        return [*self.zero_lines(), *self.axis_words(), self.points(), *self.pointed()]

    def points(self) -> Layer:
        """Draw the points; a selected one is larger and has an outline."""
        own = "datum.frame.colours[datum.slot]" if coloured(self.element) else f"'{series_colour(0)}'"
        base = self.layer(self.slot_rows(), **self.point, left="datum.x0", top="datum.y0", colour=own)
        size = alt.ExprRef(f"datum.there ? ({self.chosen} ? 130 : 52) : 0")
        stroke = alt.ExprRef(f"{self.chosen} ? '{INK}' : 'transparent'")
        made = base.mark_circle(size=size, opacity=0.8, strokeWidth=2, stroke=stroke)
        return made.encode(x_of(), y_of(), fill=fill_of("colour"))

    def zero_lines(self) -> list[Layer]:
        """Draw the lines on which either value is zero."""
        x, y = self.geometry.x, self.geometry.y
        share = -self.low / (self.high - self.low)
        along = {
            "left": f"{x} + {SIDE}",
            "right": f"{x} + {self.geometry.width}",
            "top": f"{y} + {self.plot} * {1 - share:g} - 0.5",
            "bottom": "datum.top + 1",
        }
        up = {
            "left": f"{x} + {SIDE} + {self.plot} * {share:g} - 0.5",
            "right": "datum.left + 1",
            "top": y,
            "bottom": f"{y} + {self.plot}",
        }
        data = rows(self.element)
        return [box(self.layer(data, **line), color="currentColor", opacity=0.35) for line in (along, up)]

    def axis_words(self) -> list[Layer]:
        """Draw the numbers at the ends of both axes, and the title of each axis."""
        x, y, plot, low, high = self.geometry.x, self.geometry.y, self.plot, self.low, self.high
        bottom, number = f"{y} + {plot}", f"format(datum.at, '{number_format(self.element)}')"
        ends: list[Row] = [
            {**row, "at": value, "share": (value - low) / (high - low)}
            for value in (low, high)
            for row in rows(self.element)
        ]
        along = {"left": f"{x} + {SIDE} + {plot} * datum.share", "top": f"{bottom} + 6", "words": number}
        up = {"left": f"{x} + {SIDE - 6}", "top": f"{y} + {plot} * (1 - datum.share)", "words": number}
        first = {"left": f"{x} + {SIDE} + {plot} / 2", "top": f"{bottom} + 20", "words": "datum.frame.series[0]"}
        second = {"left": f"{x} + 12", "top": f"{y} + {plot} / 2", "words": "datum.frame.series[1]"}
        inside, one = alt.ExprRef(plot), rows(self.element)
        sideways = {"baseline": "middle", "angle": 270}
        align = alt.ExprRef("datum.share > 0.5 ? 'right' : 'left'")
        baseline = alt.ExprRef("datum.share > 0.5 ? 'top' : 'bottom'")
        return [
            text(self.layer(ends, **along), "words", align=align),
            text(self.layer(ends, **up), "words", align="right", baseline=baseline),
            text(self.layer(one, **first), "words", align="center", limit=inside, fontWeight=600),
            text(self.layer(one, **second), "words", align="center", **sideways, limit=inside, fontWeight=600),
        ]

    def pointed(self) -> list[Layer]:
        """Draw the name of the hovered point, and its icon if it has one, on the side where there is room."""
        name, chosen, x, y, width = self.name, self.chosen, self.geometry.x, self.geometry.y, self.geometry.width
        inner = f"datum.x0 > {x} + {width} * 0.6"
        label = {
            **self.point,
            "left": f"datum.x0 + ({inner} ? -12 : 12)",
            "top": "datum.y0",
            "words": f"{chosen} ? atoms_{name}[datum.atom] : ''",
        }
        align, limit = alt.ExprRef(f"{inner} ? 'right' : 'left'"), alt.ExprRef(f"{width} * 0.55")
        properties = {"align": align, "baseline": "middle", "fontWeight": 600, "limit": limit}
        made = [
            text(self.layer(self.slot_rows(), **label), "words", **properties).properties(name=f"front_label_{name}")
        ]
        if any(frame.pictures for panel in self.element.panels for frame in panel.frames):
            icon = {
                **self.point,
                "side": f"{chosen} ? {ICON} : 0",
                "left": f"{inner} ? datum.x0 - {ICON + 12} : datum.x0 + 12",
                "top": f"datum.y0 > {y} + {width} / 2 ? datum.y0 - {ICON + 12} : datum.y0 + 12",
                "shown": f"{chosen} ? datum.frame.pictures[datum.slot] : -1",
                "right": "datum.left + datum.side",
                "bottom": "datum.top + datum.side",
            }
            base = self.layer(self.slot_rows(), **icon)
            made.append(picture(base, "datum.side", "datum.side").properties(name=f"front_icon_{name}"))
            made.append(ring(base, "datum.side > 0", strokeWidth=2).properties(name=f"front_frame_{name}"))
        return made

    def selection(self) -> list[Layer]:
        near = {
            "left": f"datum.x0 - (datum.there ? {NEAR} : 0)",
            "right": f"datum.x0 + (datum.there ? {NEAR} : 0)",
            "top": f"datum.y0 - {NEAR}",
            "bottom": f"datum.y0 + {NEAR}",
        }
        return [self.hit(self.layer(self.slot_rows(), **self.point, **near))]


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    return ScatterChart(element, theme).chart()

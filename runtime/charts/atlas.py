"""An atlas: a square of cells, each with the icon of its bin, whose area shows how many vectors the bin has."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.charts.slots import ATOM, Corners, SlotChart
from bbilang.runtime.vega.geometry import Geometry, least
from bbilang.runtime.vega.marks import Layer, box, picture, ring
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element

WIDE, INSET = 640, 1  # pixels: of the square; between a cell and its icon


class AtlasChart(SlotChart):
    """A slot is a cell of a square grid, row by row; how many cells a side has depends on the state."""

    def arrange(self, geometry: Geometry) -> Geometry:
        wide = geometry.named("plot", least(WIDE, geometry.room))
        return geometry.flow(len(self.element.panels), wide, wide, False)

    @property
    def cell(self) -> Corners:
        """Where a slot's cell lies."""
        name, sides = self.geometry.name, self.element.options["sides"]
        assert isinstance(sides, tuple)
        x, y = self.geometry.x, self.geometry.y
        return {
            "atom": ATOM,
            "sides": f"{list(sides)}[min(state_{name}, {len(sides) - 1})]",
            "side": f"{self.geometry.width} / datum.sides",
            "x0": f"{x} + datum.slot % datum.sides * datum.side",
            "y0": f"{y} + (datum.atom >= 0 ? floor(datum.slot / datum.sides) : 0) * datum.side",
        }

    def layers(self) -> list[Layer]:
        icon = {
            **self.cell,
            "own": f"max(datum.side * sqrt(datum.atom >= 0 ? datum.frame.sizes[datum.slot] : 0) - {2 * INSET}, 0)",
            "left": "datum.x0 + (datum.side - datum.own) / 2",
            "top": "datum.y0 + (datum.side - datum.own) / 2",
            "shown": "datum.atom >= 0 ? datum.frame.pictures[datum.slot] : -1",
        }
        return [self.ground(), picture(self.layer(self.slot_rows(), **icon), "datum.own", "datum.own")]

    def ground(self) -> Layer:
        """Draw a quiet square under each bin that is drawn, so that small icons have a cell."""
        corners = self._corners(0.5)
        return box(self.layer(self.slot_rows(), **corners), color="currentColor", opacity=0.06)

    def selection(self) -> list[Layer]:
        base = self.layer(self.slot_rows(), **self._corners(0))
        chosen = f"datum.atom >= 0 && indexof(selected_{self.name}, datum.atom) >= 0"
        pointed = f"datum.atom >= 0 && cursor_{self.name} == datum.atom"
        dashed = {"stroke": "currentColor", "strokeDash": [3, 3], "strokeWidth": 1.5}
        return [ring(base, chosen, strokeWidth=2.5), ring(base, pointed, **dashed), self.hit(base)]

    def _corners(self, inset: float) -> Corners:
        there = f"(datum.atom >= 0 ? datum.side - {2 * inset} : 0)"
        return {
            **self.cell,
            "left": f"datum.x0 + {inset}",
            "top": f"datum.y0 + {inset}",
            "right": f"datum.left + {there}",
            "bottom": f"datum.top + {there}",
        }


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    return AtlasChart(element, theme).chart()

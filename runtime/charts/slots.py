"""Base of charts with slots: panels in rows, a mark in each slot, rings around selected marks."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.vega.element import Row, domain, identifier, rows, series, slots
from bbilang.runtime.vega.geometry import Geometry, Quantity, quantity
from bbilang.runtime.vega.marks import Layer, MarkProperty, hit, is_hit, layer, panel_labels, ring, stacked
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element

Corners = dict[str, str]  # name -> Vega expression; `left`, `top`, `right` and `bottom` are where a mark stands
ATOM = "datum.frame.atoms[datum.slot]"
BAR = "#7a869a"  # the colour of a lone series


def shown_slots(element: Element, theme: Theme) -> Quantity:
    """Return the number of filled slots in the fullest panel, in the present state; without the page's script, in any
    state."""
    states = list(zip(*(panel.frames for panel in element.panels), strict=True))
    counts = [max(sum(atom >= 0 for atom in frame.atoms) or len(frame.pictures) for frame in state) for state in states]
    most = max(slots(element), 1)
    if theme.standalone or len(set(counts)) < 2 or element.gap:
        return quantity(most)
    first = theme.states.get(element.id, 0)
    table = [*counts, most]  # the last is the frame that draws nothing
    return Quantity(f"{table}[min(state_{identifier(element.id)}, {len(counts)})]", table[min(first, len(counts))])


class SlotChart:
    """A chart with a mark in each slot of each panel.

    A chart gives its geometry, its layers from the bottom up and, for elements whose marks can be selected, the layers
    in front that show the selection and take the pointer.
    """

    def __init__(self, element: Element, theme: Theme):
        self.element = element
        self.count, self.lines = max(slots(element), 1), series(element)
        self.low, self.high = domain(element)
        geometry = theme.geometry(element)
        self.shown = geometry.named("shown", shown_slots(element, theme))
        self.geometry = self.arrange(geometry)
        self.name = self.geometry.name

    def arrange(self, geometry: Geometry) -> Geometry:
        """Lay the panels out."""
        raise NotImplementedError

    def layers(self) -> list[Layer]:
        """Return the layers of the chart above the panels' labels."""
        raise NotImplementedError

    def selection(self) -> list[Layer]:
        """Return the layers that show the selection and take the pointer."""
        return []

    def chart(self) -> alt.LayerChart:
        """Return the whole chart: the names of its panels, its layers, and the rings of what is selected."""
        layers = [*panel_labels(self.element, self.geometry), *self.layers()]
        element, read = self.element, "asides" in self.element.options
        rings = self.selection() if element.selects or element.answers or read else []
        if not (element.selects or read):  # words that speak of a mark ring it, though nothing takes the pointer
            rings = [ring for ring in rings if not is_hit(ring)]
        return stacked([*layers, *rings])

    # ---- what layers are made of -----------------------------------------------------------------------------------

    def layer(self, data: list[Row], **calculated: str) -> Layer:
        return layer(self.element, data, **calculated)

    def slot_rows(self) -> list[Row]:
        """Return one row of data per panel and slot."""
        return rows(self.element, self.count)

    def line_rows(self) -> list[Row]:
        """Return one row of data per series, panel and slot."""
        return [{**row, "line": line} for line in range(self.lines) for row in self.slot_rows()]

    def head_rows(self) -> list[Row]:
        """Return one row of data per panel and series, for the series' names."""
        panels = range(len(self.element.panels))
        return [{"panel": panel, "own": panel, "line": line} for panel in panels for line in range(self.lines)]

    @property
    def label(self) -> str:
        """The label of the slot's atom as an expression over ``datum.atom``."""
        return f"datum.atom >= 0 ? atoms_{self.name}[datum.atom] : ''"

    def share(self, value: str) -> str:
        """Return where ``value`` lies on the scale, from 0 to 1, as an expression."""
        return f"({value} - {self.low:g}) / {self.high - self.low:g}"

    def rings(
        self, base: Layer, width: float = 2.5, dashed: bool = False, present: str = "datum.atom >= 0"
    ) -> list[Layer]:
        """Draw rings around the selected atom and the one under the keyboard's cursor, where ``present`` holds."""
        if present:
            present += " && "
        dash: dict[str, MarkProperty] = {"strokeDash": [3, 3]} if dashed else {}
        return [
            ring(base, f"{present}indexof(selected_{self.name}, datum.atom) >= 0", strokeWidth=width),
            ring(base, f"{present}cursor_{self.name} == datum.atom", stroke="currentColor", **dash),
        ]

    def hit(self, base: Layer) -> Layer:
        return hit(self.element, base)

"""The theme of a chart: the available space, and what the chart is drawn over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bbilang.runtime.vega.element import identifier
from bbilang.runtime.vega.geometry import Geometry, Quantity
from bbilang.runtime.view.model import Element

BLANK = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"  # one transparent pixel
TEXT, LARGE, HUGE = (
    13,
    20,
    32,
)  # pixels: every text in a chart; the dots of a gap; `number`. With 16 all sizes of a page
FONT = '-apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif'


@dataclass(frozen=True)
class Host:
    """The element that an overlay is drawn into, and where its panels stand."""

    element: Element
    geometry: Geometry


@dataclass(frozen=True)
class Theme:
    """What a chart is drawn for.

    room: the width at hand, in pixels.
    host: what the chart is drawn over, None where it stands alone.
    standalone: there is no page script: every cell that can be pointed at is a mark of its own.
    ratios: height over width of every picture of the page.
    states: the frame that each element opens with, by id.
    geometries: where each element stands, by id; remembered, since overlays are drawn to it.
    """

    room: int = 640
    host: Host | None = None
    standalone: bool = False
    ratios: tuple[float, ...] = ()
    states: Mapping[str, int] = field(default_factory=dict)
    geometries: dict[str, Geometry] = field(default_factory=dict)

    def geometry(self, element: Element) -> Geometry:
        """Return a new geometry for this element, under which overlays find it."""
        self.geometries[element.id] = Geometry(identifier(element.id), Quantity("room", self.room))
        return self.geometries[element.id]

    def over(self, element: Element) -> Theme:
        """Return the theme of an element that is drawn over another, already placed one."""
        return replace(self, host=Host(element, self.geometries[element.id]))

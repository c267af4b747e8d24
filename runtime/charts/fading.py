"""Faded photos: a spotlight over a photo, and the faint grey input below a map.

Two marks make both: white blended as `saturation` takes the colours out of what lies below, and a veil in the colour of
the paper fades it. A dark page turns the veil dark (page.css knows it by its name).
"""

from __future__ import annotations

from bbilang.runtime.charts.maps import map_layer, own_panels
from bbilang.runtime.vega.colours import VEIL
from bbilang.runtime.vega.element import Row, identifier
from bbilang.runtime.vega.geometry import Geometry
from bbilang.runtime.vega.marks import Layer, box, layer
from bbilang.runtime.view.model import Element

MOST_FADED = 0.68  # opacity of the veil of a spotlight where the value is zero
UNDER_TINT = 0.4  # of a veil under signed colours over a photo
UNDER_COLOURS = 0.2  # of a veil under components as colours
UNDER_MAP = 0.78  # of a veil under a map that stands alone
INPUT = "datum.frame.pictures[1]"  # of a map that stands alone: the picture that it is of


def spotlight(element: Element, geometry: Geometry, panels: list[tuple[int, int]], strength: float) -> list[Layer]:
    """Draw the element's veils (`colours.veil_png`) over its host, which first loses its colours and then fades."""
    name, shown = identifier(element.id), "datum.frame.pictures[0]"
    return [
        map_layer(element, geometry, panels, shown, smooth=True, blend="saturation").properties(name=f"grey_{name}"),
        map_layer(element, geometry, panels, shown, smooth=True, opacity=strength).properties(name=f"veil_{name}"),
    ]


def faded(element: Element, geometry: Geometry, panels: list[tuple[int, int]], veil: float) -> list[Layer]:
    """Desaturate and fade what lies below, where the element draws something in its present state."""
    name = identifier(element.id)
    data: list[Row] = [{"panel": panel, "own": own, "slot": 0} for panel, own in panels]
    drawn = "datum.frame.pictures[0] >= 0"
    corners = {
        "left": geometry.x,
        "top": geometry.y,
        "right": f"datum.left + ({drawn} ? {geometry.width} : 0)",
        "bottom": f"datum.top + ({drawn} ? {geometry.height} : 0)",
    }
    base = layer(element, data, **corners)
    return [
        box(base, color=VEIL, blend="saturation").properties(name=f"grey_{name}"),
        box(base, color=VEIL, opacity=veil).properties(name=f"veil_{name}"),
    ]


def faint_input(element: Element, geometry: Geometry) -> list[Layer]:
    """Draw the input below a map that stands alone, grey and faint; nothing if the input is not a picture."""
    if not any(len(frame.pictures) > 1 for panel in element.panels for frame in panel.frames):
        return []
    below = map_layer(element, geometry, own_panels(element), INPUT, smooth=True)
    return [below, *faded(element, geometry, own_panels(element), UNDER_MAP)]

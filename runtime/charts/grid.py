"""Icons over positions, as one picture per panel or as tiles. The cell under the pointer is enlarged in every grid."""

from __future__ import annotations

from typing import Any

import altair as alt

from bbilang.runtime.charts.maps import arranged, matched, own_panels
from bbilang.runtime.vega.colours import VEIL
from bbilang.runtime.vega.element import Row, rows
from bbilang.runtime.vega.geometry import Geometry
from bbilang.runtime.vega.marks import Layer, MarkProperty, box, layer, panel_labels, picture, ring, stacked, x_of, y_of
from bbilang.runtime.vega.targets import target_layers
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element

LENS, CELL, WIDE = 76, 24, 544  # pixels: a side of the enlarged cell; of a cell where there is room; of a panel at most


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    """Draw an icon at every position of a layer, on the input where there is one below."""
    if theme.host is not None:
        return stacked([_tiles(element, theme.host.geometry, matched(element, theme.host.element))])
    across = max((panel.shape[1] for panel in element.panels), default=1)
    geometry = arranged(element, theme, min(max(CELL * across, 220), WIDE), WIDE)
    return stacked(
        [
            *([_ground(element, geometry)] if element.overlays else []),
            _tiles(element, geometry, own_panels(element)),
            *panel_labels(element, geometry),
            *_lens(element, geometry),
            *target_layers(element, geometry, theme, spots=True),
        ]
    )


def _ground(element: Element, geometry: Geometry) -> Layer:
    """Draw paper where cells leave the panel free, which fades what the grid is drawn over."""
    corners = {
        "left": geometry.x,
        "top": geometry.y,
        "right": f"datum.left + {geometry.width}",
        "bottom": f"datum.top + {geometry.height}",
    }
    ground = box(layer(element, rows(element), **corners), color=VEIL)
    return ground.properties(name=f"veil_ground_{geometry.name}")  # a dark page turns it dark (page.css)


def _tiles(element: Element, geometry: Geometry, pairs: list[tuple[int, int]]) -> Layer:
    data: list[Row] = []
    for panel, own in pairs:
        deep, wide = element.panels[own].shape
        whole = all(len(frame.pictures) <= 1 for frame in element.panels[own].frames)
        deep, wide = (1, 1) if whole else (deep, wide)
        cells = range(deep * wide)
        data += [{"panel": panel, "own": own, "slot": s, "wide": wide, "deep": deep, "whole": whole} for s in cells]
    sized = "!datum.whole && isValid(datum.frame.sizes[datum.slot])"
    corner = {
        "w": f"{geometry.width} / datum.wide",
        "h": f"{geometry.height} / datum.deep",
        "scale": f"{sized} ? sqrt(datum.frame.sizes[datum.slot]) : 1",
        "left": f"{geometry.x} + (datum.slot % datum.wide + (1 - datum.scale) / 2) * datum.w",
        "top": f"{geometry.y} + (floor(datum.slot / datum.wide) + (1 - datum.scale) / 2) * datum.h",
        "shown": "datum.frame.pictures[datum.slot]",
    }
    return picture(layer(element, data, **corner), "datum.w * datum.scale", "datum.h * datum.scale")


def _lens(element: Element, geometry: Geometry) -> list[Layer]:
    """Draw the enlarged cell beside the marked one; the page's script cuts it out of the panel's picture."""
    name = geometry.name
    data: list[Row] = [
        {"panel": i, "own": i, "slot": 0, "deep": panel.shape[0], "wide": panel.shape[1]}
        for i, panel in enumerate(element.panels)
    ]
    base = layer(element, data, **_lens_corners(geometry))
    # built from its class: given a condition as a dictionary, Altair tries several classes and keeps their errors, with
    # the stack frames of all callers
    seen = alt.ConditionalValueDefnumberExprRef(test="datum.side > 0", value=1)
    corners: dict[str, Any] = {"x": x_of(), "y": y_of(), "x2": "right:Q", "y2": "bottom:Q"}
    corners["opacity"] = alt.OpacityValue(0, condition=seen)
    paper = base.mark_rect(fill=VEIL).encode(**corners)  # what an icon leaves free: dark on a dark page (page.css)
    edge = base.mark_rect(fillOpacity=0, stroke="#000", strokeWidth=3).encode(**corners)
    side: MarkProperty = alt.ExprRef("datum.side")
    lens = base.mark_image(align="left", baseline="top", aspect=False, width=side, height=side).encode(
        x=x_of(), y=y_of(), url="picture:N"
    )
    frame = ring(base, "datum.side > 0", stroke="#fff", strokeWidth=1.5)
    parts = {"veil": paper, "edge": edge, "lens": lens, "frame": frame}
    return [part.properties(name=f"front_{kind}_{name}") for kind, part in parts.items()]


def _lens_corners(geometry: Geometry) -> dict[str, str]:
    """Place the lens above the cell and to the right of it, or on the other side where it would leave the panel."""
    name, x, y, width, height = geometry.name, geometry.x, geometry.y, geometry.width, geometry.height
    shown = f"length(spot_{name}) > 0 && length(lens_{name}) > datum.panel"
    side = f"min({LENS}, {width} * 0.6)"
    u = f"(({shown} ? spot_{name}[0] : 0) * {width})"
    v = f"(({shown} ? spot_{name}[1] : 0) * {height})"
    cell = f"{width} / datum.wide"
    return {
        "side": f"{shown} ? {side} : 0",
        "left": f"{x} + (!({shown}) ? 0 : {u} + {cell} + {side} < {width} ? {u} + {cell} : {u} - {cell} - {side})",
        "top": f"{y} + clamp({v} - {side} / 2, 0, {height} - {side})",
        "right": "datum.left + datum.side",
        "bottom": "datum.top + datum.side",
        "picture": f"{shown} ? lens_{name}[datum.panel] : blank",
    }

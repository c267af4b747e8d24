"""Icons over positions: one picture a panel, or tiles. The cell pointed at is marked and enlarged in every grid."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.charts import image
from bbilang.runtime.charts.heatmap import matched
from bbilang.runtime.vega.geometry import Geometry
from bbilang.runtime.vega.marks import Theme, box, panel_labels, picture, ring, rows, target_layers
from bbilang.runtime.vega.marks import chart as layer
from bbilang.runtime.view.model import Element

LENS, NARROW = 76, 236  # pixels: a side of the enlarged cell; of a panel at least, for fingers


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    over = theme.over is not None and theme.over_element is not None
    geometry = theme.over if over else image.place(element, theme, NARROW)
    pairs = matched(element, theme.over_element) if over else [(i, i) for i in range(len(element.panels))]
    tiles = _tiles(element, geometry, pairs)
    if over:
        return alt.layer(tiles)
    lens = _lens(element, geometry)
    ground = [_ground(element, geometry)] if element.overlays else []
    return alt.layer(
        *ground, tiles, *panel_labels(element, geometry), *lens, *target_layers(element, geometry, theme, spots=True)
    )


def _ground(element: Element, geometry: Geometry) -> alt.Chart:
    """White under what the cells leave free, dark pages too: what is multiplied over it could not be seen else."""
    corners = {"left": geometry.x, "top": geometry.y, "right": f"datum.left + {geometry.width}",
               "bottom": f"datum.top + {geometry.height}"}  # fmt: skip
    return box(layer(element, rows(element), **corners), color="#fff")


def _tiles(element: Element, geometry: Geometry, pairs: list[tuple[int, int]]) -> alt.Chart:
    data = []
    for panel, own in pairs:
        deep, wide = element.panels[own].shape
        whole = all(len(frame.pictures) <= 1 for frame in element.panels[own].frames)
        deep, wide = (1, 1) if whole else (deep, wide)
        cells = range(deep * wide)
        data += [{"panel": panel, "own": own, "slot": s, "wide": wide, "deep": deep, "whole": whole} for s in cells]
    sized = "!datum.whole && isValid(datum.frame.sizes[datum.slot])"
    place = {
        "w": f"{geometry.width} / datum.wide",
        "h": f"{geometry.height} / datum.deep",
        "scale": f"{sized} ? sqrt(datum.frame.sizes[datum.slot]) : 1",
        "left": f"{geometry.x} + (datum.slot % datum.wide + (1 - datum.scale) / 2) * datum.w",
        "top": f"{geometry.y} + (floor(datum.slot / datum.wide) + (1 - datum.scale) / 2) * datum.h",
        "shown": "datum.frame.pictures[datum.slot]",
    }
    return picture(layer(element, data, **place), "datum.w * datum.scale", "datum.h * datum.scale")


def _lens(element: Element, geometry: Geometry) -> list[alt.Chart]:
    """The enlarged cell beside the marked one; page.js cuts it out of the panel's picture."""
    name = geometry.name
    data = [
        {"panel": i, "own": i, "slot": 0, "deep": panel.shape[0], "wide": panel.shape[1]}
        for i, panel in enumerate(element.panels)
    ]
    shown = f"length(spot_{name}) > 0 && length(lens_{name}) > datum.panel"
    side = f"min({LENS}, {geometry.width} * 0.6)"
    u, v = (
        f"(({shown} ? spot_{name}[0] : 0) * {geometry.width})",
        f"(({shown} ? spot_{name}[1] : 0) * {geometry.height})",
    )
    place = {
        "side": f"{shown} ? {side} : 0",
        # to the right of the cell and above it, turned to the inside of the panel where it would leave it
        "left": f"{geometry.x} + (!({shown}) ? 0 : {u} + {geometry.width} / datum.wide + {side} < {geometry.width}"
        f" ? {u} + {geometry.width} / datum.wide : {u} - {geometry.width} / datum.wide - {side})",
        "top": f"{geometry.y} + clamp({v} - {side} / 2, 0, {geometry.height} - {side})",
        "right": "datum.left + datum.side",
        "bottom": "datum.top + datum.side",
        "picture": f"{shown} ? lens_{name}[datum.panel] : blank",
    }
    base = layer(element, data, **place)
    # said by its class: of a condition, Altair tries several and keeps the errors, with the frames of all callers
    seen = alt.ConditionalValueDefnumberExprRef(test="datum.side > 0", value=1)
    opacity = alt.OpacityValue(0, condition=seen)
    ground = base.mark_rect(fill="#fff", stroke="#000", strokeWidth=3).encode(
        x=alt.X("left:Q", scale=None, axis=None),
        y=alt.Y("top:Q", scale=None, axis=None),
        x2="right:Q",
        y2="bottom:Q",
        opacity=opacity,
    )
    sides = {"width": alt.ExprRef("datum.side"), "height": alt.ExprRef("datum.side")}
    shown_image = base.mark_image(align="left", baseline="top", aspect=False, **sides).encode(
        x=alt.X("left:Q", scale=None, axis=None), y=alt.Y("top:Q", scale=None, axis=None), url="picture:N"
    )
    frame = ring(base, "datum.side > 0", stroke="#fff", strokeWidth=1.5)
    parts = {"ground": ground, "lens": shown_image, "frame": frame}
    return [part.properties(name=f"front_{kind}_{name}") for kind, part in parts.items()]

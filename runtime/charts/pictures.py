"""Whole pictures: photographs with cells to point at; components as colours, alone or over a picture."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.charts.fading import UNDER_COLOURS, faded
from bbilang.runtime.charts.maps import FIRST_PICTURE, arranged, map_chart, map_layer, matched, number_option
from bbilang.runtime.vega.element import rows
from bbilang.runtime.vega.marks import layer, panel_labels, picture, stacked
from bbilang.runtime.vega.targets import target_layers
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element


def photographs(element: Element, theme: Theme) -> alt.LayerChart:
    """Draw the picture of each panel, side by side while there is room."""
    geometry = arranged(element, theme)
    base = layer(element, rows(element), left=geometry.x, top=geometry.y, shown=FIRST_PICTURE)
    shown = picture(base, str(geometry.width), str(geometry.height))
    return stacked([shown, *panel_labels(element, geometry), *target_layers(element, geometry, theme)])


def colours(element: Element, theme: Theme) -> alt.LayerChart:
    """Draw channels as red, green and blue, over the map below where there is one: it keeps its shapes and loses its
    own colours."""
    host = theme.host
    if host is None:
        return map_chart(element, theme, 1.0)
    pairs, strength = matched(element, host.element), number_option(element, "opacity", 0.6)
    tint = map_layer(element, host.geometry, pairs, FIRST_PICTURE, opacity=strength, smooth=True)
    return stacked([*faded(element, host.geometry, pairs, UNDER_COLOURS), tint])

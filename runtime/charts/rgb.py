"""Components as colours: alone, or over a picture that keeps its shapes and loses its own colours."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.charts.fading import UNDER_COLOURS, faded
from bbilang.runtime.charts.maps import FIRST_PICTURE, map_chart, map_layer, matched, number_option
from bbilang.runtime.vega.marks import stacked
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    """Draw channels as red, green and blue, over the map below where there is one."""
    host = theme.host
    if host is None:
        return map_chart(element, theme, 1.0)
    pairs, strength = matched(element, host.element), number_option(element, "opacity", 0.6)
    tint = map_layer(element, host.geometry, pairs, FIRST_PICTURE, opacity=strength, smooth=True)
    return stacked([*faded(element, host.geometry, pairs, UNDER_COLOURS), tint])

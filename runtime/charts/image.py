"""Photographs and other whole pictures, with cells to point at."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.charts.maps import FIRST_PICTURE, arranged
from bbilang.runtime.vega.element import rows
from bbilang.runtime.vega.marks import layer, panel_labels, picture, stacked
from bbilang.runtime.vega.targets import target_layers
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    """Draw the picture of each panel, side by side while there is room."""
    geometry = arranged(element, theme)
    base = layer(element, rows(element), left=geometry.x, top=geometry.y, shown=FIRST_PICTURE)
    shown = picture(base, str(geometry.width), str(geometry.height))
    return stacked([shown, *panel_labels(element, geometry), *target_layers(element, geometry, theme)])

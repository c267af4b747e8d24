"""Maps of values over positions: one small picture per state, pixels as cells, alone or multiplied over a photo."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.charts import words
from bbilang.runtime.charts.maps import arranged, map_chart
from bbilang.runtime.vega.element import is_signed, labelled
from bbilang.runtime.vega.geometry import ICON_GUTTER, Geometry, floor, icon_columns, icon_side, least
from bbilang.runtime.vega.marks import MarkProperty
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    if element.slot_axis == "token":
        return words.chart(element, theme)
    if theme.host is None:
        return map_chart(element, theme, 1.0, _geometry(element, theme))
    blend: dict[str, MarkProperty] = {} if is_signed(element) else {"blend": "multiply"}  # signed: transparent at zero
    return map_chart(element, theme, 0.8, **blend)


def _geometry(element: Element, theme: Theme) -> Geometry:
    """Maps of several channels or groups are as wide as icons in a row: each stands under its own."""
    if element.facet_axis not in ("channel", "group") or element.targets or len(element.panels) < 4:
        return arranged(element, theme)
    geometry, count = theme.geometry(element), len(element.panels)
    side = icon_side(count)
    fit = (geometry.room + ICON_GUTTER) / icon_columns(geometry.room, count, side) - ICON_GUTTER
    width = floor(least(side, fit))
    ratio = max(panel.shape[0] / max(panel.shape[1], 1) for panel in element.panels)
    return geometry.flow(count, width, width * ratio, labelled(element), gutter=ICON_GUTTER)

"""Maps of values over positions: one small picture per state, alone over the faint input, or over a photo."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.charts import words
from bbilang.runtime.charts.fading import MOST_FADED, UNDER_TINT, faded, faint_input, spotlight
from bbilang.runtime.charts.maps import FIRST_PICTURE, arranged, map_layer, matched, number_option, own_panels
from bbilang.runtime.vega.element import identifier, is_signed, labelled
from bbilang.runtime.vega.geometry import ICON_GUTTER, Geometry, floor, icon_columns, icon_side, least
from bbilang.runtime.vega.marks import panel_labels, stacked
from bbilang.runtime.vega.targets import target_layers
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    if element.slot_axis == "token":
        return words.chart(element, theme)
    # page.css knows them by these names, and makes their colours those of a dark page
    host, name = theme.host, f"{'signs' if is_signed(element) else 'scale'}_{identifier(element.id)}"
    if host is None:
        geometry = _geometry(element, theme)
        drawn = map_layer(element, geometry, own_panels(element), FIRST_PICTURE).properties(name=name)
        front = [*panel_labels(element, geometry), *target_layers(element, geometry, theme)]
        return stacked([*faint_input(element, geometry), drawn, *front])
    pairs = matched(element, host.element)
    if is_signed(element):  # tints, over grey so that they are seen
        strength = number_option(element, "opacity", 1.0)
        tint = map_layer(element, host.geometry, pairs, FIRST_PICTURE, opacity=strength, smooth=True)
        return stacked([*faded(element, host.geometry, pairs, UNDER_TINT), tint.properties(name=name)])
    return stacked(spotlight(element, host.geometry, pairs, number_option(element, "opacity", MOST_FADED)))


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

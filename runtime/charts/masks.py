"""Groups over positions: all of them in one picture, or the map of the group that is pointed at."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.charts import heatmap, image
from bbilang.runtime.vega.marks import Theme, identifier, panel_labels, target_layers
from bbilang.runtime.view.model import Element


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    name = identifier(element.id)
    first = len(element.targets)
    chosen = [f"indexof(datum.frame.series_atoms, selected_{name}[{first + k}])" for k in range(len(element.selects))]
    shown = f"datum.frame.pictures[1 + max(-1, {', '.join(chosen)})]" if chosen else "datum.frame.pictures[0]"
    if theme.over is None or theme.over_element is None:
        geometry = image.place(element, theme)
        own = [(i, i) for i in range(len(element.panels))]
        drawn = heatmap.map_layer(element, geometry, own, shown=shown, smooth=True)
        return alt.layer(drawn, *panel_labels(element, geometry), *target_layers(element, geometry, theme))
    strength = element.options.get("opacity", 0.75)
    pairs = heatmap.matched(element, theme.over_element)
    return alt.layer(heatmap.map_layer(element, theme.over, pairs, shown=shown, smooth=True, opacity=strength))

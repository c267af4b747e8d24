"""Components as colours over positions, alone or over what is below."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.charts import heatmap, image
from bbilang.runtime.vega.marks import Theme, panel_labels, series, target_layers
from bbilang.runtime.view.model import Element


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    if theme.over is None or theme.over_element is None:
        geometry = image.place(element, theme)
        shown = heatmap.map_layer(element, geometry, [(i, i) for i in range(len(element.panels))])
        return alt.layer(shown, *panel_labels(element, geometry), *target_layers(element, geometry, theme))
    strength = element.options.get("opacity", 0.6)
    pairs = heatmap.matched(element, theme.over_element)
    # Two components leave light what they do not mark; the grey of three would only darken what is below.
    blend = {"blend": "multiply"} if series(element) == 2 else {}
    return alt.layer(heatmap.map_layer(element, theme.over, pairs, opacity=strength, **blend))

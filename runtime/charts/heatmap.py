"""Maps of values over positions: one small picture per state, pixels as cells, alone or multiplied over a photo."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.charts import image, words
from bbilang.runtime.vega.geometry import ICON_GUTTER, floor, icon_columns, icon_side, least
from bbilang.runtime.vega.marks import Theme, labelled, panel_labels, picture, target_layers
from bbilang.runtime.vega.marks import chart as layer
from bbilang.runtime.view.model import Element


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    if element.slot_axis == "token":
        return words.chart(element, theme)
    if theme.over is None or theme.over_element is None:
        geometry = _place(element, theme)
        shown = map_layer(element, geometry, [(panel, panel) for panel in range(len(element.panels))])
        return alt.layer(shown, *panel_labels(element, geometry), *target_layers(element, geometry, theme))
    strength = element.options.get("opacity", 0.8)
    signed = element.legend is not None and element.legend.signed  # then the picture is transparent at zero
    blend = {} if signed else {"blend": "multiply"}
    return alt.layer(map_layer(element, theme.over, matched(element, theme.over_element), opacity=strength, **blend))


def _place(element: Element, theme: Theme) -> image.Geometry:
    """Maps of several channels or groups are as wide as icons in a row: each stands under its own."""
    if element.facet_axis not in ("channel", "group") or element.targets or len(element.panels) < 4:
        return image.place(element, theme)
    geometry, count = theme.geometry(element), len(element.panels)
    side = icon_side(count)
    fit = (geometry.room + ICON_GUTTER) / icon_columns(geometry.room, count, side) - ICON_GUTTER
    width = floor(least(side, fit))
    ratio = max(panel.shape[0] / max(panel.shape[1], 1) for panel in element.panels)
    return geometry.flow(count, width, width * ratio, labelled(element), gutter=ICON_GUTTER)


def matched(element: Element, under: Element) -> list[tuple[int, int]]:
    """(panel drawn into, own panel): by label, a single panel into all, else in order."""
    if len(element.panels) == 1:
        return [(panel, 0) for panel in range(len(under.panels))]
    places = {panel.label: index for index, panel in enumerate(under.panels)}
    pairs = [(places.get(panel.label, own), own) for own, panel in enumerate(element.panels)]
    return [(panel, own) for panel, own in pairs if panel < len(under.panels)]


def map_layer(
    element: Element,
    geometry: image.Geometry,
    panels: list[tuple[int, int]],
    shown: str = "datum.frame.pictures[0]",
    smooth: bool = False,
    **mark: object,
) -> alt.Chart:
    """A small picture stretched over each panel, a pixel a cell."""
    data = [{"panel": panel, "own": own, "slot": 0} for panel, own in panels]
    base = layer(element, data, left=geometry.x, top=geometry.y, shown=shown)
    return picture(base, str(geometry.width), str(geometry.height), smooth=smooth, **mark)

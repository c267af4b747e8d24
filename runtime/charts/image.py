"""Photographs and other whole pictures, with cells to point at."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.vega.geometry import Geometry, balanced, floor, least
from bbilang.runtime.vega.marks import Theme, labelled, panel_labels, picture, rows, target_layers
from bbilang.runtime.vega.marks import chart as layer
from bbilang.runtime.view.model import Element, Panel

GUTTER = 20  # pixels between panels


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    """The picture of each panel, side by side while there is room."""
    geometry = place(element, theme)
    return alt.layer(*layers(element, geometry), *target_layers(element, geometry, theme))


def place(element: Element, theme: Theme, narrow: int = 160) -> Geometry:
    """One panel of 400 pixels or ``options["width"]``, several of ``narrow`` to 260; less where there is no room."""
    geometry, count = theme.geometry(element), len(element.panels)
    side = float(element.options.get("width") or (400 if count == 1 else 260))
    across = balanced(count, (geometry.room + GUTTER) / (narrow + GUTTER))
    width = floor(least(side, (geometry.room + GUTTER) / across - GUTTER))
    ratio = max((_ratio(panel, theme) for panel in element.panels), default=1.0)
    return geometry.flow(len(element.panels), width, width * ratio, labelled(element), gutter=GUTTER)


def layers(element: Element, geometry: Geometry) -> list[alt.Chart]:
    base = layer(element, rows(element), left=geometry.x, top=geometry.y, shown="datum.frame.pictures[0]")
    return [picture(base, str(geometry.width), str(geometry.height)), *panel_labels(element, geometry)]


def _ratio(panel: Panel, theme: Theme) -> float:
    """Height over width, from the panel's first picture, else from its grid of cells."""
    for frame in panel.frames:
        for index in frame.pictures:
            if 0 <= index < len(theme.ratios):
                return theme.ratios[index]
    deep, wide = panel.shape
    return deep / wide if wide else 1.0

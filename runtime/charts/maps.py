"""Maps and pictures: panels side by side, each one picture stretched over it, alone or over another element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import altair as alt

from bbilang.runtime.vega.element import Row, labelled
from bbilang.runtime.vega.geometry import Geometry, balanced, floor, least, most
from bbilang.runtime.vega.marks import Layer, MarkProperty, layer, panel_labels, picture, ring, stacked
from bbilang.runtime.vega.targets import target_layers
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element, Panel

GUTTER = 20  # pixels between panels
LOWEST_ALONG, RATIO_ALONG = 160, 0.24  # of a map along a sound: pixels high at least; height over width
FIRST_PICTURE = "datum.frame.pictures[0]"
Above: TypeAlias = "Callable[[Geometry, list[tuple[int, int]]], list[Layer]]"


def map_chart(
    element: Element,
    theme: Theme,
    opacity: float,
    geometry: Geometry | None = None,
    shown: str = FIRST_PICTURE,
    above: Above | None = None,
    **mark: MarkProperty,
) -> alt.LayerChart:
    """Draw a map alone, with its labels and the area that takes the pointer; or, if the theme has a host, over the
    host.

    opacity: of a map over something, unless `opacity=` says. geometry: of one that stands alone; `arranged` unless
    given. shown: which of the frame's pictures, as an expression. above: what is
    drawn on the map, from its geometry and panels. mark: properties that the image mark has besides.
    """
    if theme.host is not None:
        strength = number_option(element, "opacity", opacity)
        pairs = matched(element, theme.host.element)
        more = above(theme.host.geometry, pairs) if above else []
        return stacked([map_layer(element, theme.host.geometry, pairs, shown, opacity=strength, **mark), *more])
    geometry = geometry or arranged(element, theme)
    base = map_layer(element, geometry, own_panels(element), shown, **mark)
    more = above(geometry, own_panels(element)) if above else []
    return stacked([base, *more, *panel_labels(element, geometry), *target_layers(element, geometry, theme)])


def map_layer(
    element: Element, geometry: Geometry, panels: list[tuple[int, int]], shown: str, **mark: MarkProperty
) -> Layer:
    """Stretch a picture over each panel; ``panels`` are (panel drawn into, own panel)."""
    data: list[Row] = [{"panel": panel, "own": own, "slot": 0} for panel, own in panels]
    base = layer(element, data, left=geometry.x, top=geometry.y, shown=shown)
    return picture(base, str(geometry.width), str(geometry.height), **{"smooth": False, **mark})


def outline_layers(element: Element, geometry: Geometry, panels: list[tuple[int, int]]) -> list[Layer]:
    """Draw the boxes of ``options["outlines"]``, shares of height and width, over each panel: (panel drawn into, own
    panel)."""
    boxes: Any = element.options.get("outlines", [])
    data: list[Row] = [
        {"panel": panel, "own": own, "slot": 0, "y0": y0, "x0": x0, "y1": y1, "x1": x1}
        for panel, own in panels
        for y0, x0, y1, x1 in boxes
    ]
    if not data:
        return []
    sides = {
        "left": f"{geometry.x} + datum.x0 * {geometry.width}",
        "top": f"{geometry.y} + datum.y0 * {geometry.height}",
        "right": f"{geometry.x} + datum.x1 * {geometry.width}",
        "bottom": f"{geometry.y} + datum.y1 * {geometry.height}",
    }
    base = layer(element, data, **sides)  # dark and light together are seen on every picture
    return [ring(base, "true", stroke=stroke, strokeWidth=width) for stroke, width in (("#000", 4), ("#fff", 1.5))]


def arranged(element: Element, theme: Theme, narrow: float = 220, wide: float = 360) -> Geometry:
    """Arrange one panel of 400 pixels or ``options["width"]``, or several of ``narrow`` to ``wide`` that share the
    room; they are smaller where there is less room."""
    geometry, count = theme.geometry(element), len(element.panels)
    side = number_option(element, "width", 400.0 if count == 1 else wide)
    across = balanced(count, (geometry.room + GUTTER) / (min(narrow, side) + GUTTER))
    width = floor(least(side, (geometry.room + GUTTER) / across - GUTTER))
    ratio = max((ratio_of(panel, theme) for panel in element.panels), default=1.0)
    return geometry.flow(len(element.panels), width, width * ratio, labelled(element), gutter=GUTTER)


def arranged_along_sound(element: Element, theme: Theme) -> Geometry:
    """Arrange panels below each other, as wide as there is room: time goes from left to right."""
    geometry = theme.geometry(element)
    width = least(number_option(element, "width", 1000.0), geometry.room)
    height = most(LOWEST_ALONG, width * RATIO_ALONG)
    return geometry.flow(len(element.panels), width, height, labelled(element), gutter=GUTTER)


def own_panels(element: Element) -> list[tuple[int, int]]:
    """Pair each panel with itself."""
    return [(panel, panel) for panel in range(len(element.panels))]


def matched(element: Element, host: Element) -> list[tuple[int, int]]:
    """Pair (panel drawn into, own panel): by label, a single panel with all, else in order."""
    if len(element.panels) == 1:
        return [(panel, 0) for panel in range(len(host.panels))]
    numbers = {panel.label: number for number, panel in enumerate(host.panels)}
    pairs = [(numbers.get(panel.label, own), own) for own, panel in enumerate(element.panels)]
    return [(panel, own) for panel, own in pairs if panel < len(host.panels)]


def number_option(element: Element, name: str, default: float) -> float:
    """Return an option of the element that is a number."""
    value: Any = element.options.get(name)
    return default if value is None else value


def ratio_of(panel: Panel, theme: Theme) -> float:
    """Return height over width of the panel's first picture, else of its grid of cells."""
    for frame in panel.frames:
        for index in frame.pictures:
            if 0 <= index < len(theme.ratios):
                return theme.ratios[index]
    deep, wide = panel.shape
    return deep / wide if wide else 1.0

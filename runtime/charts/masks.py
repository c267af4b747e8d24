"""Groups over positions: all in one picture, or the one that is pointed at, and a number where each is strongest."""

from __future__ import annotations

from functools import partial

import altair as alt

from bbilang.runtime.charts.maps import FIRST_PICTURE, map_chart
from bbilang.runtime.vega.element import Row, identifier, series
from bbilang.runtime.vega.geometry import Geometry
from bbilang.runtime.vega.marks import Layer, box, layer, text
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element

WIDE, HIGH, LETTER = 17, 17, 7  # pixels: the plate behind a digit; what each further digit adds


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    """Draw the map with the groups' numbers."""
    name, first = identifier(element.id), len(element.targets)
    chosen = [f"indexof(datum.frame.series_atoms, selected_{name}[{first + k}])" for k in range(len(element.selects))]
    only = f"max(-1, {', '.join(chosen)})" if chosen else "-1"
    shown = f"datum.frame.pictures[1 + {only}]" if chosen else FIRST_PICTURE
    numbers = partial(_numbers, element, only)
    return map_chart(element, theme, 0.75, shown=shown, above=numbers, smooth=True)


def _numbers(element: Element, only: str, geometry: Geometry, pairs: list[tuple[int, int]]) -> list[Layer]:
    """Draw each group's number, light on a dark plate, which is legible on every photo and independent of colour
    vision."""
    data: list[Row] = [
        {"panel": panel, "own": own, "line": line} for panel, own in pairs for line in range(series(element))
    ]
    numbered = {
        "spot": "datum.line < length(datum.frame.spots) ? datum.frame.spots[datum.line] : null",
        "only": only,
        "shown": "isValid(datum.spot) && (datum.only < 0 || datum.only == datum.line)",
        "name": "datum.shown ? datum.frame.series[datum.line] : ''",
        "words": "slice(datum.name, indexof(datum.name, ' ') + 1)",
        "wide": f"datum.shown ? {WIDE - LETTER} + {LETTER} * length(datum.words) : 0",
        "x0": f"{geometry.x} + (datum.shown ? datum.spot[0] : 0) * {geometry.width}",
        "y0": f"{geometry.y} + (datum.shown ? datum.spot[1] : 0) * {geometry.height}",
    }
    plate = {
        "left": "datum.x0 - datum.wide / 2",
        "right": "datum.x0 + datum.wide / 2",
        "top": f"datum.y0 - (datum.shown ? {HIGH / 2} : 0)",
        "bottom": f"datum.y0 + (datum.shown ? {HIGH / 2} : 0)",
    }
    number = {"left": "datum.x0", "top": "datum.y0 + 0.5"}
    made = text(
        layer(element, data, **numbered, **number), "words",
        align="center", baseline="middle", fontWeight=600, color="#fff",
    )  # fmt: skip
    return [box(layer(element, data, **numbered, **plate), color="#16181c", opacity=0.78, cornerRadius=8), made]

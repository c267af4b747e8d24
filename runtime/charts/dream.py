"""Dreams: each picture at its own size, side by side while there is room; above them the picture that guides them."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.charts.maps import FIRST_PICTURE, GUTTER, number_option, ratio_of
from bbilang.runtime.vega.element import Row, labelled, rows
from bbilang.runtime.vega.geometry import Geometry, balanced, floor, least
from bbilang.runtime.vega.marks import Layer, layer, panel_labels, picture, stacked, text
from bbilang.runtime.vega.theme import Theme
from bbilang.runtime.view.model import Element

NARROW = 600.0  # pixels: a dream is smaller only where it is itself, or where the page is narrower
GUIDE, BELOW = 96, 16  # pixels: the side of the guide, what is left free below it
NOTE = 20  # pixels of a remark under a dream


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    """Draw the picture of each panel at its own width, or less where there is no room, with a remark below."""
    noted = any(note for panel in element.panels for frame in panel.frames for note in frame.notes)
    geometry = _arranged(element, theme, NOTE if noted else 0)
    data, under = rows(element), NOTE if noted else 0
    base = layer(element, data, left=geometry.x, top=geometry.y, shown=FIRST_PICTURE)
    height = f"({geometry.height} - {under})"
    made = [picture(base, str(geometry.width), height), *panel_labels(element, geometry), *_guide(element)]
    if noted:
        where = {"left": geometry.x, "top": f"{geometry.y} + {height} + 4", "words": "datum.frame.notes[0]"}
        made.append(text(layer(element, data, **where), "words", limit=alt.ExprRef(str(geometry.width)), opacity=0.72))
    return stacked(made)


def _arranged(element: Element, theme: Theme, under: float) -> Geometry:
    geometry, count = theme.geometry(element), len(element.panels)
    own = number_option(element, "width", NARROW)
    across = balanced(count, (geometry.room + GUTTER) / (min(own, NARROW) + GUTTER))
    width = floor(least(own, (geometry.room + GUTTER) / across - GUTTER))
    ratio = max((ratio_of(panel, theme) for panel in element.panels), default=1.0)
    top = GUIDE + BELOW if "guide" in element.options else 0
    return geometry.flow(count, width, width * ratio + under, labelled(element), gutter=GUTTER, top=top)


def _guide(element: Element) -> list[Layer]:
    """Draw the picture that guides the dreams, with its name beside it."""
    if "guide" not in element.options:
        return []
    words = f"guided by {element.options['guide_name']}"
    data: list[Row] = [{"panel": 0, "own": 0, "slot": 0, "words": words}]
    shown = layer(element, data, left="0", top="0", shown=str(element.options["guide"]))
    beside = layer(element, data, left=str(GUIDE + 12), top=str(GUIDE / 2 - 8))
    return [picture(shown, str(GUIDE), str(GUIDE)), text(beside, "words")]

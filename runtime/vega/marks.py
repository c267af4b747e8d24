"""Altair layers placed in pixels. A row of data names its panel and slot; ``frames[panel][state]`` what it shows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import sha256
from typing import Any, TypeAlias

import altair as alt

from bbilang.runtime.json_types import JsonObject
from bbilang.runtime.vega.element import Row, coloured, identifier, labelled, rows
from bbilang.runtime.vega.geometry import Geometry
from bbilang.runtime.vega.theme import FONT, TEXT
from bbilang.runtime.view.model import Element

Layer: TypeAlias = alt.Chart
Chart: TypeAlias = "alt.LayerChart | JsonObject"  # what a style's `chart` returns; a dictionary is Vega-Lite
MarkProperty: TypeAlias = Any  # Altair types each property of a mark as a long union of its own

INK = "currentColor"  # the page's style sheet decides: one chart serves light, dark and print
CHIP = 17  # pixels that a chip takes before a label


def layer(element: Element, data: Iterable[Row], **calculated: str) -> Layer:
    """Return a layer whose rows know ``frame``, the element's content in its current state, and what is calculated from
    it."""
    name = identifier(element.id)
    frame = f"frames_{name}[datum.own][state_{name}]"
    return alt.Chart(_table(list(data))).transform_calculate(frame=frame, **calculated)


def stacked(layers: Iterable[Layer | alt.LayerChart]) -> alt.LayerChart:
    """Stack layers as one chart, from the bottom up."""
    made = alt.layer(*layers)
    assert isinstance(made, alt.LayerChart)  # it is a FacetChart of facets only, and we make none
    return made


_tables: ContextVar[dict[str, list[Row]] | None] = ContextVar("tables", default=None)


@contextmanager
def tables() -> Iterator[dict[str, list[Row]]]:
    """Collect the rows of the charts that are made inside, by the names that they have there.

    Altair checks every number of a table that stands in a chart, and copies it with each: a minute for 40,000 cells.
    """
    collected: dict[str, list[Row]] = {}
    token = _tables.set(collected)
    try:
        yield collected
    finally:
        _tables.reset(token)


def _table(data: list[Row]) -> alt.NamedData | alt.InlineData:
    collected = _tables.get()
    if collected is None:  # a chart for itself
        return alt.InlineData(values=data)
    text = json.dumps(data, separators=(",", ":"), sort_keys=True)
    name = f"rows-{sha256(text.encode()).hexdigest()[:16]}"
    collected[name] = data
    return alt.NamedData(name=name)


# ---- encodings in pixels and colours, without a scale ----------------------------------------------------------------


def x_of(field: str = "left") -> alt.X:
    """Return the field as an x coordinate in pixels."""
    return alt.X(f"{field}:Q", scale=None, axis=None)


def y_of(field: str = "top") -> alt.Y:
    """Return the field as a y coordinate in pixels."""
    return alt.Y(f"{field}:Q", scale=None, axis=None)


def fill_of(field: str) -> alt.Fill:
    """Return the field as a CSS colour to fill with."""
    return alt.Fill(f"{field}:N", scale=None, legend=None)


def colour_of(field: str) -> alt.Color:
    """Return the field as a CSS colour."""
    return alt.Color(f"{field}:N", scale=None, legend=None)


# ---- marks -----------------------------------------------------------------------------------------------------------


def picture(base: Layer, width: str, height: str, **mark: MarkProperty) -> Layer:
    """Return a layer of images of index ``datum.shown`` with their upper left corner at (left, top)."""
    url = "datum.shown >= 0 && datum.shown < length(pictures) ? pictures[datum.shown] : blank"  # both are params
    mark |= {"width": alt.ExprRef(width), "height": alt.ExprRef(height)}
    base = base.transform_calculate(picture=url)
    return base.mark_image(align="left", baseline="top", aspect=False, **mark).encode(x_of(), y_of(), url="picture:N")


def box(base: Layer, fill: str | None = None, **mark: MarkProperty) -> Layer:
    """Return a layer of rectangles from (left, top) to (right, bottom); ``fill`` may be a field that holds the
    colour."""
    encoded = base.mark_rect(**mark).encode(x_of(), y_of(), x2="right:Q", y2="bottom:Q")
    return encoded.encode(fill=fill_of(fill)) if fill else encoded


def text(base: Layer, field: str, **mark: MarkProperty) -> Layer:
    """Return a layer with the text of a field at (left, top). Markup in it is text too: Vega makes text nodes."""
    mark = {"align": "left", "baseline": "top", "fontSize": TEXT, "font": FONT, "color": INK, **mark}
    return base.mark_text(**mark).encode(x_of(), y_of(), text=f"{field}:N")


def ring(base: Layer, selected: str, **mark: MarkProperty) -> Layer:
    """Return a ring around (left, top, right, bottom) where the expression ``selected`` holds. In ink, since colours
    are classes."""
    mark = {"fillOpacity": 0, "stroke": INK, "strokeWidth": 3, **mark}
    return box(base, strokeOpacity=alt.ExprRef(f"{selected} ? 1 : 0"), **mark)


def hit(element: Element, base: Layer) -> Layer:
    """Return the transparent layer that takes the pointer."""
    return box(base, color="transparent", cursor="pointer").properties(name=f"front_hit_{identifier(element.id)}")


def is_hit(made: Layer) -> bool:
    """Return whether a layer only takes the pointer."""
    return str(made.name).startswith("front_hit_")


def panel_labels(element: Element, geometry: Geometry, words: str = "datum.frame.label") -> list[Layer]:
    """Return a layer with the panels' labels above them, or other ``words``; empty where they have none."""
    if not labelled(element):
        return []
    where = {"left": geometry.x, "top": f"{geometry.y} - 20", "words": words}
    limit = alt.ExprRef(str(geometry.width))
    return [text(layer(element, rows(element), **where), "words", fontWeight=600, limit=limit)]


def chips(element: Element, data: list[Row], corner: dict[str, str]) -> list[Layer]:
    """Return a layer with a square in each slot's own colour with its corner at (left, top)."""
    if not coloured(element):
        return []
    corners = {"right": "datum.left + (datum.colour ? 12 : 0)", "bottom": "datum.top + (datum.colour ? 12 : 0)"}
    base = layer(element, data, **corner, colour="datum.frame.colours[datum.slot]", **corners)
    return [box(base, fill="colour", cornerRadius=2, **fading(element))]


def fade(element: Element) -> str:
    """Return the opacity of a slot's mark as an expression: groups that are not at the position pointed at fade; empty
    where atoms are no groups."""
    if not coloured(element):
        return ""
    name = identifier(element.id)
    return f"length(faded_{name}) && datum.atom >= 0 ? faded_{name}[datum.atom] : 1"


def fading(element: Element) -> dict[str, MarkProperty]:
    """Return `fade` as a property of marks."""
    opacity = fade(element)
    return {"opacity": alt.ExprRef(opacity)} if opacity else {}

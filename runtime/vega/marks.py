"""Altair layers placed in pixels. A row of data names its panel and slot; ``frames[panel][state]`` what it shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import altair as alt

from bbilang.runtime.vega.colours import ACCENT, DIVERGING, shades
from bbilang.runtime.vega.geometry import Geometry, Quantity
from bbilang.runtime.view.model import Element

Row = Mapping[str, object]
BLANK = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
FONT = '-apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif'
INK = "currentColor"  # the page's style sheet decides: one chart serves light, dark and print


@dataclass(frozen=True)
class Theme:
    """What a chart is drawn for: the width at hand in pixels, and what it is drawn over, if anything."""

    room: int = 640
    over: Geometry | None = None  # of the element that this overlay is drawn into
    over_element: Element | None = None
    standalone: bool = False  # no page script: every cell that can be pointed at is a mark of its own
    ratios: tuple[float, ...] = ()  # height over width of every picture of the page
    places: dict[str, Geometry] = field(default_factory=dict)

    def geometry(self, element: Element) -> Geometry:
        """Where this element stands; remembered, since overlays are drawn to it."""
        self.places[element.id] = Geometry(identifier(element.id), Quantity("room", self.room))
        return self.places[element.id]

    def under(self, element: Element, geometry: Geometry) -> Theme:
        return replace(self, over=geometry, over_element=element)


def identifier(name: str) -> str:
    """An element's name as part of a Vega signal's name; different names stay different."""
    if re.fullmatch(r"\w+", name, re.ASCII) and not re.search(r"_[0-9a-f]+_", name):
        return name
    return re.sub(r"[^A-Za-z0-9]", lambda match: f"_{ord(match[0]):x}_", name)  # no other name looks like this


LONGEST = 200  # letters of a label in a chart; Vega measures each again and again to find where it has to be cut


def clipped(words: str) -> str:
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}\u2026"


def domain(element: Element) -> tuple[float, float]:
    """The ends of the element's scale: its legend's, or the extremes of its values; zero is always inside."""
    if element.legend:
        low, high = element.legend.domain
    else:
        values = [v for p in element.panels for f in p.frames for slot in f.values for v in slot if v is not None]
        low, high = min(values, default=0.0), max(values, default=1.0)
    low, high = min(low, 0.0), max(high, 0.0)
    return (low, high) if high > low else (0.0, 1.0)


def number_format(element: Element) -> str:
    """Digits that suit the scale: two decimals, fewer for hundreds, more for thousandths; a sign where both occur."""
    low, high = domain(element)
    size = max(-low, high)
    digits = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 0.1 else 3 if size >= 0.01 else 4
    return f"{'+' if low < 0 < high else ''}.{digits}f"


def number_words(element: Element, value: str) -> str:
    """A number as an expression over ``value``: as `number_format` says, and what that would round to zero with one
    significant digit."""
    form = number_format(element)
    least = 0.5 * 10.0 ** -int(form.rpartition(".")[2][:-1])
    small = f"{form[0] if form[0] == '+' else ''}.1r"
    return f"format({value}, {value} != 0 && abs({value}) < {least:g} ? '{small}' : '{form}')"


def slots(element: Element) -> int:
    """The most slots that any frame fills."""
    frames = (frame for panel in element.panels for frame in panel.frames)
    return max((max(len(f.atoms), len(f.values), len(f.pictures)) for f in frames), default=0)


def series(element: Element) -> int:
    return max((len(frame.series) for panel in element.panels for frame in panel.frames), default=1)


def bar_colour(element: Element, plain: str) -> str:
    """The colour of a bar as an expression over ``datum.value``: a series' own, else what `color=` asks for."""
    how = element.options.get("color")
    if series(element) > 1 or how not in ("value", "sign"):
        return "datum.own_colour" if series(element) > 1 else f"'{plain}'"
    low, high = domain(element)
    if how == "sign":
        return f"datum.value < 0 ? '{DIVERGING[1]}' : '{DIVERGING[7]}'"
    signed = element.legend is not None and element.legend.signed
    most = max(-low, high)
    low, high = (-most, most) if signed else (low, high)
    steps = shades(signed)
    share = f"clamp((datum.value - {low:g}) / {high - low:g}, 0, 1)"
    return f"isValid(datum.value) ? {list(steps)}[round({share} * {len(steps) - 1})] : 'transparent'"


def labelled(element: Element) -> bool:
    return any(panel.label or panel.labels for panel in element.panels)


def rows(element: Element, count: int = 1, **fixed: object) -> list[dict[str, object]]:
    """One row per panel and slot."""
    return [{"panel": p, "own": p, "slot": s, **fixed} for p in range(len(element.panels)) for s in range(count)]


def chart(element: Element, data: Iterable[Row], **calculated: str) -> alt.Chart:
    """A chart whose rows know ``frame``, the element's content in its current state, and what is calculated from it."""
    name = identifier(element.id)
    frame = f"frames_{name}[datum.own][state_{name}]"
    return alt.Chart(_table(list(data))).transform_calculate(frame=frame, **calculated)


_tables: ContextVar[dict[str, list[Row]] | None] = ContextVar("tables", default=None)


@contextmanager
def tables() -> Iterator[dict[str, list[Row]]]:
    """Rows of the charts that are made within, by the names that they have there. Altair checks every number of a table
    that stands in a chart, and copies it with each: a minute for 40,000 cells."""
    found: dict[str, list[Row]] = {}
    token = _tables.set(found)
    try:
        yield found
    finally:
        _tables.reset(token)


def _table(data: list[Row]) -> alt.NamedData | alt.InlineData:
    known = _tables.get()
    if known is None:  # a chart for itself
        return alt.InlineData(values=data)
    words = json.dumps(data, separators=(",", ":"), sort_keys=True)
    name = f"rows-{sha256(words.encode()).hexdigest()[:16]}"
    known[name] = data
    return alt.NamedData(name=name)


def picture(base: alt.Chart, width: str, height: str, **mark: object) -> alt.Chart:
    """Images of index ``datum.shown`` with their upper left corner at (left, top)."""
    url = f"datum.shown >= 0 && datum.shown < length(pictures) ? pictures[datum.shown] : {_BLANK}"
    base = base.transform_calculate(picture=url)
    size = {"width": alt.ExprRef(width), "height": alt.ExprRef(height)}
    return base.mark_image(align="left", baseline="top", aspect=False, **size, **mark).encode(
        _at("left", alt.X), _at("top", alt.Y), url="picture:N"
    )


_BLANK = "blank"  # a param: one transparent pixel


def box(base: alt.Chart, fill: str | None = None, **mark: object) -> alt.Chart:
    """Rectangles from (left, top) to (right, bottom); ``fill`` may be a field that holds the colour."""
    encoded = base.mark_rect(**mark).encode(_at("left", alt.X), _at("top", alt.Y), x2="right:Q", y2="bottom:Q")
    return encoded.encode(fill=alt.Fill(f"{fill}:N", scale=None, legend=None)) if fill else encoded


def words(base: alt.Chart, text: str, **mark: object) -> alt.Chart:
    """Text of the field ``text`` at (left, top). Markup in it is text too: Vega makes text nodes."""
    look = {"align": "left", "baseline": "top", "fontSize": 12, "font": FONT, "color": INK, **mark}
    return base.mark_text(**look).encode(_at("left", alt.X), _at("top", alt.Y), text=f"{text}:N")


def ring(base: alt.Chart, selected: str, **mark: object) -> alt.Chart:
    """A ring around (left, top, right, bottom) where ``selected`` holds."""
    look = {"fillOpacity": 0, "stroke": ACCENT, "strokeWidth": 2.5, **mark}
    return box(base, strokeOpacity=alt.ExprRef(f"{selected} ? 1 : 0"), **look)


def panel_labels(element: Element, geometry: Geometry) -> list[alt.Chart]:
    if not labelled(element):
        return []
    place = {"left": geometry.x, "top": f"{geometry.y} - 20", "words": "datum.frame.label"}
    limit = alt.ExprRef(str(geometry.width))
    return [words(chart(element, rows(element), **place), "words", fontWeight=600, fontSize=12.5, limit=limit)]


def cells(element: Element) -> bool:
    """True where a map's own cells are what to point at: slots row-major over the panel's shape."""
    return bool(element.selects) and not element.targets and any(panel.shape != (0, 0) for panel in element.panels)


CHIP = 17  # pixels that a chip takes before a label


def coloured(element: Element) -> bool:
    """True where atoms have colours of their own: groups."""
    return any(colour for panel in element.panels for frame in panel.frames for colour in frame.colours)


def chips(element: Element, data: list[dict[str, object]], place: dict[str, str]) -> list[alt.Chart]:
    """A square in each slot's own colour with its corner at (left, top)."""
    if not coloured(element):
        return []
    corners = {"right": "datum.left + (datum.colour ? 12 : 0)", "bottom": "datum.top + (datum.colour ? 12 : 0)"}
    base = chart(element, data, **place, colour="datum.frame.colours[datum.slot]", **corners)
    return [box(base, fill="colour", cornerRadius=2, **fading(element))]


def fading(element: Element) -> dict[str, object]:
    """The opacity of marks of groups: those that are not at the position pointed at fade."""
    if not coloured(element):
        return {}
    name = identifier(element.id)
    return {"opacity": alt.ExprRef(f"length(faded_{name}) && datum.atom >= 0 ? faded_{name}[datum.atom] : 1")}


def target_layers(element: Element, geometry: Geometry, theme: Theme, spots: bool = False) -> list[alt.Chart]:
    """Cells to point at over whole panels: a marker per grid of cells, and what takes the pointer. ``spots``: the cell
    at the place ``spot_<element>`` is marked in every panel, whatever its size."""
    if not element.targets and not cells(element):
        return []
    name = identifier(element.id)
    grids = _grids(element)
    which = f"selected_{name}[datum.target]"
    at = f"{which} >= 0 ? indexof(datum.cells ? datum.cells : datum.frame.atoms, {which}) : -1"
    if spots:
        spot = f"floor(spot_{name}[1] * datum.deep) * datum.wide + floor(spot_{name}[0] * datum.wide)"
        at = f"length(spot_{name}) ? {spot} : {at}"
    place = "max(datum.cell, 0)"  # a marker that is not seen stays inside: outside it would move the whole picture
    spot = {"cell": at, **_cell_box(geometry, f"{place} % datum.wide", f"floor({place} / datum.wide)")}
    base = chart(element, grids, **spot)  # dark and light together are seen on every photo
    layers = []
    for stroke, width in (("#000", 5), ("#fff", 2)):
        marker = ring(base, "datum.cell >= 0", stroke=stroke, strokeWidth=width)
        layers.append(marker.properties(name=f"front_{width}_{name}"))
    if theme.standalone:
        finest = max(grids, key=lambda grid: grid["wide"] * grid["deep"])["target"]
        spots = [
            {**grid, "cell": cell, "cells": grid["cells"] and grid["cells"][cell]}
            for grid in grids
            if grid["target"] == finest
            for cell in range(grid["wide"] * grid["deep"])
        ]
        place = _cell_box(geometry, "datum.cell % datum.wide", "floor(datum.cell / datum.wide)")
        atom = "datum.cells === null ? datum.frame.atoms[datum.cell] : datum.cells"
        return [*layers, hit(element, chart(element, spots, atom=atom, **place))]
    whole = {  # page.js finds the cell of every grid under the pointer
        "left": geometry.x,
        "top": geometry.y,
        "right": f"datum.left + {geometry.width}",
        "bottom": f"datum.top + {geometry.height}",
    }
    return [*layers, hit(element, chart(element, [{**row, "grid": True} for row in rows(element)], **whole))]


def _grids(element: Element) -> list[dict[str, Any]]:
    """One row per panel and grid of cells; ``cells`` are its atoms, None where they change with the state."""
    if element.targets:
        return [
            {**row, "target": k, "deep": grid.shape[0], "wide": grid.shape[1], "cells": list(grid.atoms)}
            for k, grid in enumerate(element.targets)
            for row in rows(element)
        ]
    shapes = [panel.shape for panel in element.panels]
    return [
        {**row, "target": k, "deep": shape[0], "wide": shape[1], "cells": None}
        for k in range(len(element.selects))
        for row, shape in zip(rows(element), shapes, strict=True)
        if shape != (0, 0)
    ]


def hit(element: Element, base: alt.Chart) -> alt.Chart:
    """The transparent layer that takes the pointer."""
    return box(base, color="transparent", cursor="pointer").properties(name=f"front_hit_{identifier(element.id)}")


def _cell_box(geometry: Geometry, column: str, row: str) -> dict[str, str]:
    wide, deep = f"({geometry.width} / datum.wide)", f"({geometry.height} / datum.deep)"
    return {
        "left": f"{geometry.x} + ({column}) * {wide}",
        "top": f"{geometry.y} + ({row}) * {deep}",
        "right": f"datum.left + {wide}",
        "bottom": f"datum.top + {deep}",
    }


def _at(name: str, channel: type) -> object:
    return channel(f"{name}:Q", scale=None, axis=None)

"""A network from top to bottom: boxes of layers with their shapes and numbers, lines for what enters what."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import altair as alt

from bbilang.runtime.charts.words import LEVELS, colours_of, is_light
from bbilang.runtime.vega.colours import stops
from bbilang.runtime.vega.geometry import Geometry, least, quantity
from bbilang.runtime.vega.marks import (
    Theme,
    box,
    domain,
    hit,
    labelled,
    number_words,
    panel_labels,
    ring,
    rows,
    words,
)
from bbilang.runtime.vega.marks import (
    chart as layer,
)
from bbilang.runtime.view.model import Element

HIGH, PITCH, BETWEEN, NARROW = 40, 62, 12, 130  # pixels: a box; row to row; box to box; a box without its number
LANE, LANES = 13, 5  # pixels between lines that go round, and how many of them have room
EDGE = "#8a93a3"


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    places: Sequence[Any] = element.options["places"]  # type: ignore[assignment]
    edges: Sequence[Any] = element.options["edges"]  # type: ignore[assignment]
    shapes: Sequence[str] = element.options["shapes"]  # type: ignore[assignment]
    deep, across = 1 + max((row for row, *_ in places), default=0), max((many for *_, many in places), default=1)
    lanes = _lanes(edges, places)
    side = LANE * (min(max(lanes.values(), default=-1), LANES - 1) + 2) if lanes else 0
    geometry = theme.geometry(element)
    width = least(geometry.room, 300 + side if across == 1 else 190 * across + side)
    geometry.flow(len(element.panels), width, quantity(deep * PITCH - PITCH + HIGH + 2), labelled(element), gutter=30)
    wide = geometry.named("box", least(280, (geometry.width - side) / across - BETWEEN))
    low, high = domain(element)
    signed = element.legend is not None and element.legend.signed
    colours = colours_of(stops(signed, over=not signed))
    inks = ["#111" if is_light(colour) else "#fff" for colour in colours]
    name = geometry.name
    data = [
        {**row, "row": places[s][0], "aside": places[s][1] - (places[s][2] - 1) / 2, "shape": shapes[s]}
        for row in rows(element, len(places))
        for s in (row["slot"],)
    ]
    level = f"round(clamp((datum.value - {low:g}) / {high - low:g}, 0, 1) * {LEVELS - 1})"
    node = {
        "atom": "datum.frame.atoms[datum.slot]",
        "value": "datum.frame.values[datum.slot][0]",
        "left": _left(geometry, wide, side, "datum.aside"),
        "right": f"datum.left + {wide}",
        "top": f"{geometry.y} + datum.row * {PITCH} + 1",
        "bottom": f"datum.top + {HIGH}",
        "colour": f"isValid(datum.value) ? {json.dumps(colours)}[{level}] : '#e8eaee'",
        "ink": f"isValid(datum.value) ? {json.dumps(inks)}[{level}] : '#111'",
    }
    full = f"datum.atom >= 0 ? atoms_{name}[datum.atom] : ''"
    narrow = f"{wide} < {NARROW}"  # the last part of a name is the one that tells it from its neighbours
    head = {
        **node,
        "full": full,
        "words": f"{narrow} ? slice(datum.full, lastindexof(datum.full, '.') + 1) : datum.full",
    }
    digits = f"isValid(datum.value) && !({narrow}) ? {number_words(element, 'datum.value')} : ''"
    shape, number = {**node, "words": "datum.shape"}, {**node, "words": digits}
    layers = [
        *panel_labels(element, geometry),
        *_edges(element, geometry, wide, side, places, edges, lanes),
        box(layer(element, data, **node), fill="colour", cornerRadius=4, stroke=EDGE, strokeWidth=0.5),
        _text(layer(element, data, **_at(head, "datum.left", 13)), wide, 1, fontWeight=600, fontSize=12.5),
        _text(layer(element, data, **_at(shape, "datum.left", 29)), wide, f"({narrow} ? 1 : 0.68)"),
        _text(layer(element, data, **_at(number, "datum.right - 18", 29)), wide, 0.32, align="right"),
    ]
    if element.selects:
        base = layer(element, data, **node)
        layers.append(ring(base, f"indexof(selected_{name}, datum.atom) >= 0"))
        layers.append(ring(base, f"cursor_{name} == datum.atom", stroke="currentColor", strokeDash=[3, 3]))
        layers.append(hit(element, base))
    return alt.layer(*layers)


def _at(place: dict[str, str], x: str, y: int) -> dict[str, str]:
    """The same row with a place for its words, inside of the box."""
    return {**place, "x1": f"{x} + 9", "y1": f"datum.top + {y}"}


def _text(base: alt.Chart, wide: Any, share: float | str, **look: Any) -> alt.Chart:
    """The words of each row, cut where they take more than their share of the box."""
    limit = alt.ExprRef(f"{wide} * {share} - 14")
    made = words(base, "words", limit=limit, **{"baseline": "middle", "fontSize": 11.5, **look})
    place = {"x": alt.X("x1:Q", scale=None, axis=None), "y": alt.Y("y1:Q", scale=None, axis=None)}
    return made.encode(**place, color=alt.Color("ink:N", scale=None, legend=None))


def _left(geometry: Geometry, wide: Any, side: float, aside: str) -> str:
    """The left end of a box ``aside`` places from the middle of its row."""
    return f"{geometry.x} + ({geometry.width} - {side}) / 2 + ({aside}) * ({wide} + {BETWEEN}) - {wide} / 2"


def _lanes(edges: Sequence[Any], places: Sequence[Any]) -> dict[tuple[int, int], int]:
    """Edge -> the lane at the side in which it goes round the rows between; edges that share no row share a lane."""
    taken: list[list[tuple[int, int]]] = []
    found = {}
    for a, b in sorted(edges, key=lambda edge: places[edge[1]][0] - places[edge[0]][0]):
        first, last = places[a][0], places[b][0]
        if last - first < 2:
            continue
        lane = next((i for i, spans in enumerate(taken) if all(last <= s or e <= first for s, e in spans)), len(taken))
        if lane == len(taken):
            taken.append([])
        taken[lane].append((first, last))
        found[a, b] = lane
    return found


def _edges(
    element: Element, geometry: Geometry, wide: Any, side: float, places: Sequence[Any], edges: Sequence[Any],
    lanes: dict[tuple[int, int], int],
) -> list[alt.Chart]:  # fmt: skip
    """Straight lines to the next row; those that go round leave a box at its right side and come back to it."""
    middle = [place[1] - (place[2] - 1) / 2 for place in places]
    data = []
    for panel in range(len(element.panels)):
        for number, (a, b) in enumerate(edges):
            own = {"panel": panel, "own": panel, "slot": number}
            lane = lanes.get((a, b))
            if lane is None:
                bends = [(middle[a], 0.5, HIGH + places[a][0] * PITCH), (middle[b], 0.5, places[b][0] * PITCH)]
                data += [{**own, "bend": i, "aside": m, "share": s, "off": 0, "down": y}
                         for i, (m, s, y) in enumerate(bends)]  # fmt: skip
                continue
            start, end = places[a][0] * PITCH + HIGH * 0.72, places[b][0] * PITCH + HIGH * 0.28
            out = LANE * (min(lane, LANES - 1) + 1)
            turns = ((middle[a], 0, start), (None, out, start), (None, out, end), (middle[b], 0, end))
            data += [{**own, "bend": i, "aside": m, "share": 1, "off": off, "down": y}
                     for i, (m, off, y) in enumerate(turns)]  # fmt: skip
    if not data:
        return []
    edge = f"{geometry.x} + {geometry.width} - {side} + datum.off"
    place = {
        "left": f"isValid(datum.aside) ? {_left(geometry, wide, side, 'datum.aside')} + datum.share * {wide} : {edge}",
        "top": f"{geometry.y} + datum.down + 1",
        "trace": "datum.panel + ' ' + datum.slot",
    }
    base = layer(element, data, **place)
    x, y = alt.X("left:Q", scale=None, axis=None), alt.Y("top:Q", scale=None, axis=None)
    line = base.mark_line(color=EDGE, strokeWidth=1.4, strokeJoin="round")
    return [line.encode(x, y, detail="trace:N", order="bend:Q")]

"""Rows of swatches, a row per class: the stronger the evidence, the more opaque; for two classes their net too."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.vega.colours import series_colour
from bbilang.runtime.vega.geometry import Geometry, balanced, ceil, floor, least, quantity
from bbilang.runtime.vega.marks import (
    Theme,
    box,
    domain,
    hit,
    labelled,
    number_format,
    panel_labels,
    ring,
    rows,
    series,
    slots,
    words,
)
from bbilang.runtime.vega.marks import (
    chart as layer,
)
from bbilang.runtime.view.model import Element

CELL, LINE, HEAD, BELOW = 76, 22, 20, 18  # pixels: a column; a row; the columns' names; under a block


def lines_of(element: Element) -> int:
    """A line for each class; of two also their net, which comes first."""
    classes = series(element)
    return classes + (classes == 2)


def line_rows(element: Element, count: int) -> list[dict[str, object]]:
    """One row of data for each line and slot, with the colour of its class."""
    net = series(element) == 2
    return [
        {**row, "line": line, "own_colour": series_colour(line - net)}
        for line in range(lines_of(element))
        for row in rows(element, count)
    ]


def amounts(element: Element) -> dict[str, str]:
    """What a swatch says at (slot, line): ``value``, the ``number`` in digits, ``colour`` and ``share``, its opacity:
    the magnitude as a share of the largest. The net has no sign, but the colour of the class that it speaks for."""
    signed = number_format(element)
    low, high = domain(element)
    value, colour, digits = "datum.v[datum.line]", "datum.own_colour", f"'{signed}'"
    if series(element) == 2:
        net = "isValid(datum.v[0]) && isValid(datum.v[1]) ? abs(datum.v[0] - datum.v[1]) : null"
        value = f"datum.line > 0 ? datum.v[datum.line - 1] : {net}"
        winner = f"datum.v[0] >= datum.v[1] ? '{series_colour(0)}' : '{series_colour(1)}'"
        colour = f"datum.line == 0 ? ({winner}) : datum.own_colour"
        digits = f"datum.line > 0 ? '{signed}' : '{signed.lstrip('+')}'"
    return {
        "v": "datum.frame.values[datum.slot]",
        "value": value,
        "colour": colour,
        "share": f"isValid(datum.value) ? min(1, abs(datum.value) / {max(-low, high):g}) : 0",
        "number": f"isValid(datum.value) ? format(datum.value, {digits}) : ''",
    }


def name_of_line(element: Element) -> str:
    """What a line is called, as an expression."""
    if series(element) != 2:
        return "datum.frame.series[datum.line]"
    return "datum.line > 0 ? datum.frame.series[datum.line - 1] : 'net evidence'"


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    count, lines = max(slots(element), 1), lines_of(element)
    geometry = _place(element, theme, count, lines)
    name = geometry.name
    column, block = f"datum.slot % {geometry.columns}", f"floor(datum.slot / {geometry.columns})"
    slot = {
        "atom": "datum.frame.atoms[datum.slot]",
        "x0": f"{geometry.x} + names_{name} + {column} * {CELL}",
        "y0": f"{geometry.y} + {block} * {LINE * lines + HEAD + BELOW}",
    }
    words_of_line = name_of_line(element)
    cell = {**slot, **amounts(element), "line_top": f"datum.y0 + {HEAD} + datum.line * {LINE}"}
    data = line_rows(element, count)
    swatch = {
        **cell,
        "left": "datum.x0",
        "right": "datum.x0 + 16",
        "top": "datum.line_top + 2",
        "bottom": "isValid(datum.value) ? datum.line_top + 18 : datum.top",
    }
    number = {**cell, "left": f"datum.x0 + {CELL - 18}", "top": "datum.line_top + 10"}
    head = {**slot, "left": "datum.x0", "top": "datum.y0", "words": f"datum.atom >= 0 ? atoms_{name}[datum.atom] : ''"}
    titles = [
        {"panel": panel, "own": panel, "line": line, "block": block}
        for panel in range(len(element.panels))
        for line in range(lines)
        for block in range(count)
    ]
    title = {
        "left": geometry.x,
        "top": f"{geometry.y} + datum.block * {LINE * lines + HEAD + BELOW} + {HEAD} + datum.line * {LINE} + 10",
        "words": f"datum.block < blocks_{name} ? ({words_of_line}) : ''",
    }
    opacity = alt.ExprRef("datum.share")
    layers = [
        *panel_labels(element, geometry),
        box(
            layer(element, data, **swatch),
            fill="colour",
            fillOpacity=opacity,
            stroke="currentColor",
            strokeOpacity=0.25,
        ),
        words(layer(element, data, **number), "number", align="right", baseline="middle"),
        words(layer(element, rows(element, count), **head), "words", limit=CELL - 6, fontSize=11.5, opacity=0.8),
        words(
            layer(element, titles, **title),
            "words",
            baseline="middle",
            fontSize=12.5,
            limit=alt.ExprRef(f"names_{name} - 12"),
        ),
    ]
    if element.selects:
        whole = {
            **slot,
            "left": "datum.x0 - 5",
            "right": f"datum.left + (datum.atom >= 0 ? {CELL - 8} : 0)",
            "top": "datum.y0 - 4",
            "bottom": f"datum.y0 + {LINE * lines + HEAD + 2}",
        }
        base = layer(element, rows(element, count), **whole)
        layers.append(ring(base, f"datum.atom >= 0 && indexof(selected_{name}, datum.atom) >= 0", strokeWidth=1.5))
        pointed = f"datum.atom >= 0 && cursor_{name} == datum.atom"
        layers.append(ring(base, pointed, stroke="currentColor", strokeDash=[3, 3]))
        layers.append(hit(element, base))
    return alt.layer(*layers)


def _place(element: Element, theme: Theme, count: int, lines: int) -> Geometry:
    """A column for the rows' names, then as many columns as fit."""
    geometry = theme.geometry(element)
    labels = [label for panel in element.panels for frame in panel.frames for label in frame.series]
    longest = max((len(label) for label in [*labels, "net evidence"]), default=8)
    names = geometry.named("names", least(min(longest * 6.8 + 14, 180), geometry.room * 0.36))
    geometry.columns = geometry.named("columns", balanced(count, floor((geometry.room - names) / CELL)))
    blocks = geometry.named("blocks", ceil(quantity(count) / geometry.columns))
    height = blocks * (LINE * lines + HEAD + BELOW) - BELOW
    wide = names + geometry.columns * CELL
    return geometry.flow(len(element.panels), wide, height, labelled(element), gutter=28)

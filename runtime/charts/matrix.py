"""Rows by columns of coloured cells with their numbers; rows of groups have the groups' chips."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.vega import colours as colour
from bbilang.runtime.vega.geometry import Geometry, floor, least, most, quantity
from bbilang.runtime.vega.marks import (
    CHIP,
    Theme,
    box,
    chips,
    coloured,
    domain,
    fading,
    hit,
    labelled,
    number_words,
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

LINE, CELL, NARROW = 30, 62, 38  # pixels: a row; a column at most; a column too narrow for its numbers
SLANT = 40  # degrees that the columns' names are turned


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    count, columns = max(slots(element), 1), series(element)
    geometry, head, text = _place(element, theme, count, columns)
    name, wide = geometry.name, geometry.columns
    low, high = domain(element)
    signed = element.legend is not None and element.legend.signed
    row = {"atom": "datum.frame.atoms[datum.slot]", "y0": f"{geometry.y} + {head} + datum.slot * {LINE}"}
    there = f"datum.atom >= 0 && datum.line < length(datum.frame.values[datum.slot]) && datum.line < {columns}"
    cell = {
        **row,
        "value": f"{there} ? datum.frame.values[datum.slot][datum.line] : null",
        "number": f"isValid(datum.value) && {wide} >= {NARROW} ? {number_words(element, 'datum.value')} : ''",
        "share": f"(clamp(datum.value, {low:g}, {high:g}) - {low:g}) / {high - low:g}",
        "ink": ("abs(datum.share - 0.5) > 0.36" if signed else "datum.share < 0.6") + " ? '#fff' : '#16181c'",
        "also": "datum.line < length(datum.frame.series_atoms) ? datum.frame.series_atoms[datum.line] : -1",
        "left": f"{geometry.x} + names_{name} + datum.line * {wide}",
        "top": "datum.y0",
        "right": f"datum.left + {wide} - 2",
        "bottom": f"datum.atom >= 0 ? datum.y0 + {LINE - 2} : datum.top",
    }
    data = [{**one, "line": line} for line in range(columns) for one in rows(element, count)]
    shades = colour.shades(signed)  # a scale beside the chips' own colours is more than Vega-Lite can merge
    cell["shade"] = f"isValid(datum.value) ? {list(shades)}[round(datum.share * {len(shades) - 1})] : 'transparent'"
    base = layer(element, data, **cell)
    shown = box(base, fill="shade", opacity=alt.ExprRef(f"isValid(datum.value) ? {_faded(element)} : 0"))
    number = {**cell, "left": f"{cell['left']} + {wide} / 2 - 1", "top": f"datum.y0 + {LINE / 2 - 1}"}
    aside = CHIP if coloured(element) else 0
    label = {
        **row,
        "left": f"{geometry.x} + names_{name} - {8 + aside}",
        "top": f"datum.y0 + {LINE / 2 - 1}",
        "words": f"datum.atom >= 0 ? atoms_{name}[datum.atom] : ''",
    }
    heads = [{"panel": p, "own": p, "line": line} for p in range(len(element.panels)) for line in range(columns)]
    column = {
        "left": f"{geometry.x} + names_{name} + (datum.line + 0.5) * {wide}",
        "top": f"{geometry.y} + {head} - 6",
        "words": "datum.line < length(datum.frame.series) ? datum.frame.series[datum.line] : ''",
    }
    chip = {**row, "left": f"{geometry.x} + names_{name} - 20", "top": f"datum.y0 + {LINE / 2 - 7}"}
    layers = [
        *panel_labels(element, geometry),
        shown,
        words(
            layer(element, data, **number),
            "number",
            align="center",
            baseline="middle",
            fontSize=11.5,
            **fading(element),
        ).encode(color=alt.Color("ink:N", scale=None, legend=None)),
        words(
            layer(element, rows(element, count), **label),
            "words",
            align="right",
            baseline="middle",
            fontSize=12.5,
            limit=alt.ExprRef(f"names_{name} - {10 + aside}"),
            **fading(element),
        ),
        words(layer(element, heads, **column), "words", angle=360 - SLANT, baseline="middle", fontSize=12, limit=text),
        *chips(element, rows(element, count), chip),
    ]
    if element.selects:
        base = layer(element, rows(element, count), **_row_box(geometry, row, columns))
        layers.append(ring(base, f"datum.atom >= 0 && indexof(selected_{name}, datum.atom) >= 0", strokeWidth=2))
        layers.append(ring(base, f"datum.atom >= 0 && cursor_{name} == datum.atom", stroke="currentColor"))
        ended = layer(element, heads, **_column_box(geometry, head, count))
        layers.append(ring(ended, f"datum.also >= 0 && indexof(selected_{name}, datum.also) >= 0", strokeWidth=2))
        layers.append(hit(element, layer(element, [*data, *_names(element, count)], **_reach(geometry, cell))))
    return alt.layer(*layers)


def _faded(element: Element) -> str:
    faded = fading(element)
    return f"({faded['opacity'].expr})" if faded else "1"


def _names(element: Element, count: int) -> list[dict[str, object]]:
    """A row's name takes the pointer too."""
    return [{**one, "line": -1} for one in rows(element, count)]


def _reach(geometry: Geometry, cell: dict[str, str]) -> dict[str, str]:
    left = f"datum.line < 0 ? {geometry.x} : {cell['left']}"
    right = f"datum.line < 0 ? {geometry.x} + names_{geometry.name} : datum.left + {geometry.columns}"
    also = f"datum.line < 0 ? -1 : ({cell['also']})"
    return {"atom": cell["atom"], "y0": cell["y0"], "also": also, "left": left, "top": "datum.y0", "right": right,
            "bottom": f"datum.atom >= 0 ? datum.y0 + {LINE} : datum.top"}  # fmt: skip


def _row_box(geometry: Geometry, row: dict[str, str], columns: int) -> dict[str, str]:
    return {
        **row,
        "left": f"{geometry.x} - 3",
        "top": "datum.y0 - 1",
        "right": f"{geometry.x} + names_{geometry.name} + {columns} * {geometry.columns}",
        "bottom": f"datum.atom >= 0 ? datum.y0 + {LINE - 1} : datum.top",
    }


def _column_box(geometry: Geometry, head: float, count: int) -> dict[str, str]:
    return {
        "also": "datum.line < length(datum.frame.series_atoms) ? datum.frame.series_atoms[datum.line] : -1",
        "left": f"{geometry.x} + names_{geometry.name} + datum.line * {geometry.columns} - 1",
        "top": f"{geometry.y} + {head} - 1",
        "right": f"datum.left + {geometry.columns}",
        "bottom": f"datum.top + {count * LINE}",
    }


def _place(element: Element, theme: Theme, count: int, columns: int) -> tuple[Geometry, float, float]:
    """Geometry, height of the columns' names, and their longest in pixels."""
    geometry = theme.geometry(element)
    longest = max((len(atom.label) for atom in element.atoms), default=8)
    heads = [label for panel in element.panels for frame in panel.frames for label in frame.series]
    text = min(max((len(label) for label in heads), default=0) * 6.4 + 6, 150)
    head = round(text * 0.66 + 12) if any(heads) else 4
    aside = text * 0.77  # the last column's name leans to the right
    aside_chip = CHIP if coloured(element) else 0
    names = least(min(longest * 6.8 + 18 + aside_chip, 210), geometry.room * 0.36)
    names = geometry.named("names", names)
    fit = floor((geometry.room - names - aside * 0.6) / columns)
    geometry.columns = geometry.named("columns", most(8, least(CELL, fit)))
    wide = least(geometry.room, names + geometry.columns * columns + aside * 0.75)
    height = quantity(head + count * LINE)
    geometry.flow(len(element.panels), wide, height, labelled(element), gutter=28)
    return geometry, head, text

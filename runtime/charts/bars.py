"""Horizontal bars in the order given, with their values; several series as bars of their own colour."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.colour import series_colour
from bbilang.runtime.geometry import Geometry, least, quantity
from bbilang.runtime.marks import (
    CHIP,
    Theme,
    bar_colour,
    box,
    chips,
    coloured,
    domain,
    fading,
    hit,
    identifier,
    labelled,
    number_format,
    panel_labels,
    ring,
    rows,
    series,
    slots,
    words,
)
from bbilang.runtime.marks import (
    chart as layer,
)
from bbilang.runtime.viewmodel import Element

BAR, SPACE, KEY, NUMBER = 15, 9, 19, 52  # pixels: a bar; between slots; a line of the key; a value's digits
VALUE = "#7a869a"


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    count, lines = max(slots(element), 1), series(element)
    geometry = _place(element, theme, count, lines)
    name = geometry.name
    low, high = domain(element)
    pitch = max(BAR * lines, 16) + SPACE
    slot = {
        "atom": "datum.frame.atoms[datum.slot]",
        "y0": f"{geometry.y} + datum.slot * {pitch} + (datum.slot >= {element.gap} ? {16 if element.gap else 0} : 0)",
    }
    at = {
        **slot,
        "value": "datum.frame.values[datum.slot][datum.line]",
        "number": f"isValid(datum.value) ? format(datum.value, '{number_format(element)}') : ''",
        "track": f"{geometry.x} + names_{name} + 10",
        "long": f"{geometry.width} - names_{name} - {NUMBER + 10}",
        "zero": f"datum.track + datum.long * {-low / (high - low):g}",
        "end": f"datum.track + datum.long * (clamp(datum.value, {low:g}, {high:g}) - {low:g}) / {high - low:g}",
        "line_top": f"datum.y0 + datum.line * {BAR} + {(pitch - SPACE - BAR * lines) / 2}",
    }
    data = [
        {**row, "line": line, "own_colour": series_colour(line)}
        for line in range(lines)
        for row in rows(element, count)
    ]
    bar = {
        **at,
        "colour": bar_colour(element, VALUE),
        "left": "min(datum.zero, datum.end)",
        "right": "max(datum.zero, datum.end)",
        "top": "datum.line_top + 2",
        "bottom": f"isValid(datum.value) ? datum.line_top + {BAR - 2} : datum.top",
    }
    number = {**at, "left": f"{geometry.x} + {geometry.width}", "top": f"datum.line_top + {BAR / 2}"}
    axis = {
        **at,
        "left": "datum.zero - 0.5",
        "right": "datum.zero + 0.5",
        "top": "datum.y0 - 2",
        "bottom": f"isValid(datum.value) ? datum.y0 + {pitch - SPACE + 2} : datum.top",
    }
    label = {
        **slot,
        "left": f"{geometry.x} + names_{name} - {CHIP if coloured(element) else 0}",
        "top": f"datum.y0 + {(pitch - SPACE) / 2}",
        "words": f"datum.atom >= 0 ? atoms_{name}[datum.atom] : ''",
    }
    limit = alt.ExprRef(f"names_{name} - {CHIP if coloured(element) else 0}")
    chip = {**slot, "left": f"{geometry.x} + names_{name} - 12", "top": f"datum.y0 + {(pitch - SPACE) / 2 - 6}"}
    layers = [
        *panel_labels(element, geometry),
        *(key(element) if lines > 1 else []),
        box(layer(element, data, **bar), fill="colour", **fading(element)),
        box(layer(element, data, **axis), color="currentColor", opacity=0.45),
        *chips(element, rows(element, count), chip),
        words(layer(element, data, **number), "number", align="right", baseline="middle"),
        words(
            layer(element, rows(element, count), **label),
            "words",
            align="right",
            baseline="middle",
            limit=limit,
            fontSize=12.5,
        ),
    ]
    if element.selects:
        whole = {
            **slot,
            "left": f"{geometry.x} - 4",
            "right": f"datum.left + (datum.atom >= 0 ? {geometry.width} + 8 : 0)",
            "top": f"datum.y0 - {SPACE / 2}",
            "bottom": f"datum.y0 + {pitch - SPACE / 2}",
        }
        base = layer(element, rows(element, count), **whole)
        chosen = f"datum.atom >= 0 && indexof(selected_{name}, datum.atom) >= 0"
        pointed = f"datum.atom >= 0 && cursor_{name} == datum.atom"
        layers += [ring(base, chosen, strokeWidth=1.5), ring(base, pointed, stroke="currentColor", strokeDash=[3, 3])]
        layers.append(hit(element, base))
    return alt.layer(*layers)


def _place(element: Element, theme: Theme, count: int, lines: int) -> Geometry:
    """Panels side by side where each can be 260 pixels wide; a column for names as wide as the longest needs."""
    geometry = theme.geometry(element)
    longest = max((len(atom.label) for atom in element.atoms), default=8)
    wide = least(560 if len(element.panels) == 1 else 300, geometry.room)
    geometry.named("names", least(min(longest * 6.8 + 4, 210), wide * 0.4))
    height = quantity(count * (max(BAR * lines, 16) + SPACE) - SPACE + (16 if element.gap else 0) + 4)
    top = KEY * lines + 10 if lines > 1 else 2
    return geometry.flow(len(element.panels), wide, height, labelled(element), gutter=36, top=top)


def key(element: Element) -> list[alt.Chart]:
    """Which colour is which series: in the chart, since it changes with what is picked."""
    data = [{"panel": 0, "own": 0, "line": i, "colour": series_colour(i)} for i in range(series(element))]
    place = {"left": "0", "top": f"datum.line * {KEY} + 3", "right": "10", "bottom": f"datum.line * {KEY} + 13"}
    text = {"left": "17", "top": f"datum.line * {KEY} + 2", "words": "datum.frame.series[datum.line]"}
    limit = alt.ExprRef(f"total_{identifier(element.id)} - 17")
    return [
        box(layer(element, data, **place), fill="colour"),
        words(layer(element, data, **text), "words", limit=limit, fontSize=12.5),
    ]

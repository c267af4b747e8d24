"""Horizontal bars in the order given, with their values; several series as bars of their own colour."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from bbilang.runtime.vega.colours import series_colour
from bbilang.runtime.vega.geometry import Geometry, least, quantity
from bbilang.runtime.vega.marks import (
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

BAR, SPACE, KEY, NUMBER = 15, 9, 19, 52  # pixels: a bar; between slots; a line of the key; a value's digits
OFF, CAP = 50, 3  # pixels: the digits after ±; half the height of a whisker's ends
VALUE = "#7a869a"


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    count, whiskers = max(slots(element), 1), off_by(element)
    shown = [line for line in range(series(element)) if line not in whiskers]
    lines = len(shown)
    digits = NUMBER + (OFF if len(whiskers) == 1 else 0)
    geometry = _place(element, theme, count, lines, len(whiskers))
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
        "number": f"isValid(datum.value) ? {_number(element, whiskers)} : ''",
        "track": f"{geometry.x} + names_{name} + 10",
        "long": f"{geometry.width} - names_{name} - {digits + 10}",
        "zero": f"datum.track + datum.long * {-low / (high - low):g}",
        "end": f"datum.track + datum.long * (clamp(datum.value, {low:g}, {high:g}) - {low:g}) / {high - low:g}",
        "line_top": f"datum.y0 + datum.place * {BAR} + {(pitch - SPACE - BAR * lines) / 2}",
    }
    data = [
        {**row, "line": line, "place": place, "own_colour": series_colour(place) if lines > 1 else VALUE}
        for place, line in enumerate(shown)
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
        *(key(element, shown if lines > 1 else [], whiskers) if lines > 1 or whiskers else []),
        box(layer(element, data, **bar), fill="colour", **fading(element)),
        *_whiskers(element, whiskers, rows(element, count), at, (low, high)),
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


def off_by(element: Element) -> list[int]:
    """The series that say how far the first may be off: whiskers, and no bars."""
    found = element.options.get("whiskers", [])
    return [int(place) for place in found] if isinstance(found, list) else []


def _number(element: Element, whiskers: list[int]) -> str:
    """A bar's number, and how far it may be off, as an expression."""
    number = number_words(element, "datum.value")
    if len(whiskers) != 1:
        return number
    value = f"datum.frame.values[datum.slot][{whiskers[0]}]"
    unsigned = number_format(element).lstrip("+")
    return f"{number} + (datum.line == 0 && isValid({value}) ? ' ±' + format({value}, '{unsigned}') : '')"


def _whiskers(
    element: Element, whiskers: list[int], data: list[dict[str, object]], at: dict[str, str], ends: tuple[float, float]
) -> list[alt.Chart]:
    """For each a line from value - it to value + it over the bar, with short ends."""
    low, high = ends
    found = []
    for place, line in enumerate(whiskers):
        own = [{**row, "line": 0, "place": 0} for row in data]
        shift = (place - (len(whiskers) - 1) / 2) * 4
        reach = {
            **at,
            "off": f"datum.frame.values[datum.slot][{line}]",
            "there": "isValid(datum.value) && isValid(datum.off)",
            "from": f"datum.track + datum.long * (clamp(datum.value - datum.off, {low:g}, {high:g}) - {low:g}) "
            f"/ {high - low:g}",
            "to": f"datum.track + datum.long * (clamp(datum.value + datum.off, {low:g}, {high:g}) - {low:g}) "
            f"/ {high - low:g}",
            "middle": f"datum.line_top + {BAR / 2 + shift}",
        }
        for start, stop, half in (("from", "to", 0.75), ("from", "from", CAP), ("to", "to", CAP)):
            stroke = {
                "left": f"datum.{start} - 0.75",
                "right": f"datum.there ? datum.{stop} + 0.75 : datum.left",
                "top": f"datum.middle - {half}",
                "bottom": f"datum.there ? datum.middle + {half} : datum.top",
            }
            found.append(box(layer(element, own, **reach, **stroke), color="currentColor"))
    return found


def _place(element: Element, theme: Theme, count: int, lines: int, whiskers: int = 0) -> Geometry:
    """Panels side by side where each can be 260 pixels wide; a column for names as wide as the longest needs."""
    geometry = theme.geometry(element)
    longest = max((len(atom.label) for atom in element.atoms), default=8)
    wide = least(560 if len(element.panels) == 1 else 300, geometry.room)
    geometry.named("names", least(min(longest * 6.8 + 4, 210), wide * 0.4))
    height = quantity(count * (max(BAR * lines, 16) + SPACE) - SPACE + (16 if element.gap else 0) + 4)
    keyed = (lines if lines > 1 else 0) + whiskers
    top = KEY * keyed + 10 if keyed else 2
    return geometry.flow(len(element.panels), wide, height, labelled(element), gutter=36, top=top)


def key(element: Element, shown: list[int] | None = None, whiskers: Sequence[int] = ()) -> list[alt.Chart]:
    """Which colour is which series, and what whiskers are: in the chart, since it changes with what is picked."""
    shown = list(range(series(element))) if shown is None else shown
    base = {"panel": 0, "own": 0}
    data = [{**base, "line": line, "place": i, "colour": series_colour(i)} for i, line in enumerate(shown)]
    thin = [{**base, "line": line, "place": len(shown) + i} for i, line in enumerate(whiskers)]
    middle = f"datum.place * {KEY} + 8"
    place = {"left": "0", "top": f"datum.place * {KEY} + 3", "right": "10", "bottom": f"datum.place * {KEY} + 13"}
    text = {"left": "17", "top": f"datum.place * {KEY} + 2", "words": "datum.frame.series[datum.line]"}
    limit = alt.ExprRef(f"total_{identifier(element.id)} - 17")
    found = [box(layer(element, data, **place), fill="colour")] if data else []
    for left, right, half in ((0, 12, 0.75), (0, 1.5, CAP), (10.5, 12, CAP)) if thin else ():
        stroke = {"left": f"{left}", "right": f"{right}", "top": f"{middle} - {half}", "bottom": f"{middle} + {half}"}
        found.append(box(layer(element, thin, **stroke), color="currentColor"))
    return [*found, words(layer(element, [*data, *thin], **text), "words", limit=limit, fontSize=12.5)]

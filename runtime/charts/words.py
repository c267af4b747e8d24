"""The words of a text, each on the colour of its number: what a heatmap of tokens looks like."""

from __future__ import annotations

import json
from itertools import pairwise

import altair as alt

from bbilang.runtime.vega.colours import stops
from bbilang.runtime.vega.geometry import Geometry, Quantity, floor, least, most
from bbilang.runtime.vega.marks import (
    Theme,
    box,
    domain,
    hit,
    labelled,
    panel_labels,
    ring,
    rows,
    slots,
    words,
)
from bbilang.runtime.vega.marks import (
    chart as layer,
)
from bbilang.runtime.view.model import Element

LETTER, PAD, LINE, GAP = 7.6, 8, 30, 3  # pixels: a letter, at most; around a word; from line to line; between words
WIDTHS = tuple(range(240, 745, 24))  # of a panel, in pixels, for which lines are broken ahead
LEVELS = 65


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    count, lengths = slots(element), _lengths(element)
    places = [_broken(lengths, width) for width in WIDTHS]
    geometry, step = _place(element, theme, places)
    low, high = domain(element)
    signed = element.legend is not None and element.legend.signed
    colours = colours_of(stops(signed, over=not signed))
    inks = ["#111" if is_light(colour) else "#fff" for colour in colours]
    name = geometry.name
    data = [
        {**row, "places": [place[row["slot"]] for place in places], "long": lengths[row["slot"]]}
        for row in rows(element, count)
    ]
    level = f"round(clamp((datum.value - {low:g}) / {high - low:g}, 0, 1) * {LEVELS - 1})"
    slot = {
        "atom": "datum.frame.atoms[datum.slot]",
        "value": "datum.frame.values[datum.slot][0]",
        "there": "datum.atom >= 0 && isValid(datum.value)",
        "left": f"{geometry.x} + datum.places[{step}][1]",
        "top": f"{geometry.y} + datum.places[{step}][0] * {LINE} + 2",
        "right": "datum.left + (datum.there ? datum.long : 0)",
        "bottom": f"datum.top + (datum.there ? {LINE - 4} : 0)",
        "colour": f"datum.there ? {json.dumps(colours)}[{level}] : 'transparent'",
    }
    text = {
        **slot,
        "words": f"datum.atom >= 0 ? atoms_{name}[datum.atom] : ''",
        "ink": f"datum.there ? {json.dumps(inks)}[{level}] : 'transparent'",
        "left": f"{geometry.x} + datum.places[{step}][1] + datum.long / 2",
        "top": f"{geometry.y} + datum.places[{step}][0] * {LINE} + {LINE / 2}",
    }
    shown = words(layer(element, data, **text), "words", align="center", baseline="middle", fontSize=13.5)
    base = layer(element, data, **slot)
    layers = [
        *panel_labels(element, geometry),
        box(base, fill="colour", cornerRadius=3),
        shown.encode(color=alt.Color("ink:N", scale=None, legend=None)),
    ]
    if element.selects:
        chosen = f"datum.atom >= 0 && indexof(selected_{name}, datum.atom) >= 0"
        pointed = f"datum.atom >= 0 && cursor_{name} == datum.atom"
        layers += [ring(base, chosen, strokeWidth=2), ring(base, pointed, stroke="currentColor", strokeDash=[3, 3])]
        layers.append(hit(element, base))
    return alt.layer(*layers)


def _lengths(element: Element) -> list[float]:
    """Pixels that each slot's word takes: the longest that any state shows there."""
    lengths = [0.0] * slots(element)
    for panel in element.panels:
        for frame in panel.frames:
            for slot, atom in enumerate(frame.atoms):
                letters = len(element.atoms[atom].label) if atom >= 0 else 0
                lengths[slot] = max(lengths[slot], letters * LETTER + PAD)
    return [round(length, 1) for length in lengths]


def _broken(lengths: list[float], width: int) -> list[tuple[int, float]]:
    """(line, x) of each word, as text runs in lines of this width."""
    line, x, found = 0, 0.0, []
    for length in lengths:
        if x and x + length > width:
            line, x = line + 1, 0.0
        found.append((line, round(x, 1)))
        x += length + GAP
    return found


def _place(element: Element, theme: Theme, places: list[list[tuple[int, float]]]) -> tuple[Geometry, Quantity]:
    """The geometry, and which of the ways to break lines is in force."""
    geometry = theme.geometry(element)
    width = most(WIDTHS[0], least(WIDTHS[-1], geometry.room))
    step = floor((width - WIDTHS[0]) / (WIDTHS[1] - WIDTHS[0]))
    step = geometry.named("step", step)
    heights = [(place[-1][0] + 1) * LINE if place else LINE for place in places]
    height = Quantity(f"{json.dumps(heights)}[{step}]", heights[int(step.value)])
    geometry.flow(len(element.panels), width, height, labelled(element), gutter=30)
    return geometry, step


def colours_of(scale: tuple[str, ...]) -> list[str]:
    """A scale's nine colours, with as many between that steps do not show."""
    each = (LEVELS - 1) // (len(scale) - 1)
    found = []
    for first, last in pairwise(scale):
        a, b = ([int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in (first, last))
        for part in range(each):
            mixed = [round(x + (y - x) * part / each) for x, y in zip(a, b, strict=True)]
            found.append("#" + "".join(f"{value:02x}" for value in mixed))
    return [*found, scale[-1]]


def is_light(colour: str) -> bool:
    """Whether dark letters read better on it (relative luminance, WCAG 2)."""
    linear = [(int(colour[i : i + 2], 16) / 255) ** 2.2 for i in (1, 3, 5)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.18

"""Numbers as numbers: a line for each atom, a column for each series."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.vega.geometry import Geometry, floor, least, most, quantity
from bbilang.runtime.vega.marks import (
    CHIP,
    Theme,
    box,
    chips,
    coloured,
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

LINE, COLUMN = 26, 110  # pixels: a line; a column at most


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    count, columns = max(slots(element), 1), series(element)
    named = any(label for panel in element.panels for frame in panel.frames for label in frame.series)
    head = 24 if named else 2
    geometry = _place(element, theme, count, columns, head)
    name, wide = geometry.name, geometry.columns
    row = {"atom": "datum.frame.atoms[datum.slot]", "y0": f"{geometry.y} + {head} + datum.slot * {LINE}"}
    data = [{**one, "line": line} for line in range(columns) for one in rows(element, count)]
    right = f"{geometry.x} + names_{name} + (datum.line + 1) * {wide} - 4"
    number = {
        **row,
        "value": "datum.frame.values[datum.slot][datum.line]",
        "words": f"isValid(datum.value) ? format(datum.value, '{number_format(element)}') : ''",
        "left": right,
        "top": f"datum.y0 + {LINE / 2}",
    }
    aside = CHIP if coloured(element) else 0
    label = {
        **row,
        "left": f"{geometry.x} + {4 + aside}",
        "top": f"datum.y0 + {LINE / 2}",
        "words": f"datum.atom >= 0 ? atoms_{name}[datum.atom] : ''",
    }
    heads = [{"panel": p, "own": p, "line": line} for p in range(len(element.panels)) for line in range(columns)]
    column = {"left": right, "top": f"{geometry.y} + 4", "words": "datum.frame.series[datum.line]"}
    rule = {
        **row,
        "left": geometry.x,
        "right": f"datum.left + (datum.atom >= 0 ? {geometry.width} : 0)",
        "top": "datum.y0 - 0.5",
        "bottom": "datum.y0 + 0.5",
    }
    chip = {**row, "left": f"{geometry.x} + 2", "top": f"datum.y0 + {LINE / 2 - 6}"}
    lines = rows(element, count)
    layers = [
        *panel_labels(element, geometry),
        box(layer(element, lines, **rule), color="currentColor", opacity=0.22),
        words(layer(element, data, **number), "words", align="right", baseline="middle", fontSize=12.5),
        words(
            layer(element, lines, **label),
            "words",
            baseline="middle",
            fontSize=12.5,
            limit=alt.ExprRef(f"names_{name} - {8 + aside}"),
        ),
        words(
            layer(element, heads, **column),
            "words",
            align="right",
            fontSize=12,
            fontWeight=600,
            limit=alt.ExprRef(f"{wide} - 8"),
        ),
        *chips(element, lines, chip),
    ]
    if element.selects:
        whole = {**rule, "top": "datum.y0", "bottom": f"datum.atom >= 0 ? datum.y0 + {LINE} : datum.top"}
        base = layer(element, lines, **whole)
        layers.append(ring(base, f"datum.atom >= 0 && indexof(selected_{name}, datum.atom) >= 0", strokeWidth=2))
        layers.append(ring(base, f"datum.atom >= 0 && cursor_{name} == datum.atom", stroke="currentColor"))
        layers.append(hit(element, base))
    return alt.layer(*layers)


def _place(element: Element, theme: Theme, count: int, columns: int, head: int) -> Geometry:
    geometry = theme.geometry(element)
    longest = max((len(atom.label) for atom in element.atoms), default=8)
    names = least(min(longest * 6.8 + 12 + (CHIP if coloured(element) else 0), 230), geometry.room * 0.42)
    names = geometry.named("names", names)
    fit = floor((geometry.room - names) / columns)
    geometry.columns = geometry.named("columns", most(40, least(COLUMN, fit)))
    wide = names + geometry.columns * columns
    return geometry.flow(len(element.panels), wide, quantity(head + count * LINE + 2), labelled(element), gutter=30)

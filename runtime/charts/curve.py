"""Lines along an ordered axis, from zero, a colour and a name for each."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.charts.bars import KEY, VALUE, key
from bbilang.runtime.vega.colours import series_colour
from bbilang.runtime.vega.geometry import Geometry, least, quantity
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

PLOT, FOOT, SIDE = 200, 84, 52  # pixels: the plot's height; names of places below it at most; numbers beside it


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    count, lines = max(slots(element), 1), series(element)
    geometry = _place(element, theme, lines)
    name = geometry.name
    low, high = domain(element)
    step = f"({geometry.width} - {SIDE + 24}) / {max(count - 1, 1)}"
    at = {
        "atom": "datum.frame.atoms[datum.slot]",
        "x0": f"{geometry.x} + {SIDE} + {'datum.slot * ' + step if count > 1 else step + ' / 2'}",
        "value": "datum.frame.values[datum.slot][datum.line]",
        "left": "datum.x0",
        "top": f"{geometry.y} + 6 + ({PLOT} - 12) * (1 - (datum.value - {low:g}) / {high - low:g})",
        "trace": "datum.panel + ' ' + datum.line",
    }
    data = [
        {**row, "line": line, "colour": series_colour(line) if lines > 1 else VALUE}
        for line in range(lines)
        for row in rows(element, count)
    ]
    x, y = alt.X("left:Q", scale=None, axis=None), alt.Y("top:Q", scale=None, axis=None)
    colour = alt.Color("colour:N", scale=None, legend=None)
    points = layer(element, data, **at).transform_filter("isValid(datum.value)")
    trace = points.mark_line(strokeWidth=2).encode(x, y, colour, detail="trace:N", order="slot:Q")
    dots = points.mark_circle(size=46, opacity=1).encode(x, y, colour)
    ticks = [{**one, "at": share} for share in sorted({low, 0.0, high}) for one in rows(element)]
    height = f"{geometry.y} + 6 + ({PLOT} - 12) * (1 - (datum.at - {low:g}) / {high - low:g})"
    rule = {
        "left": f"{geometry.x} + {SIDE - 6}",
        "right": f"{geometry.x} + {geometry.width}",
        "top": f"{height} - 0.5",
        "bottom": "datum.top + 1",
    }
    tick = {
        "left": f"{geometry.x} + {SIDE - 10}",
        "top": height,
        "words": f"format(datum.at, '{number_format(element)}')",
    }
    place = {
        "atom": at["atom"],
        "left": f"{at['x0']} + 4",
        "top": f"{geometry.y} + {PLOT + 8}",
        "words": f"datum.atom >= 0 ? atoms_{name}[datum.atom] : ''",
    }
    limit = alt.ExprRef(f"min({FOOT * 1.3}, 400)")
    shown = "true" if count <= 14 else f"datum.slot % {-(-count // 14)} == 0"
    place["words"] = f"{shown} ? ({place['words']}) : ''"
    layers = [
        *panel_labels(element, geometry),
        *(key(element) if lines > 1 else []),
        box(layer(element, ticks, **rule), color="currentColor", opacity=0.25),
        words(layer(element, ticks, **tick), "words", align="right", baseline="middle", fontSize=11.5),
        trace,
        dots,
        words(
            layer(element, rows(element, count), **place),
            "words",
            angle=320,
            align="right",
            baseline="middle",
            fontSize=11.5,
            limit=limit,
        ),
    ]
    if element.selects:
        band = {
            "atom": at["atom"],
            "x0": at["x0"],
            "left": f"datum.x0 - {step} / 2",
            "right": f"datum.left + (datum.atom >= 0 ? {step} : 0)",
            "top": geometry.y,
            "bottom": f"datum.top + {PLOT}",
        }
        base = layer(element, rows(element, count), **band)
        layers.append(ring(base, f"datum.atom >= 0 && indexof(selected_{name}, datum.atom) >= 0", strokeWidth=1.5))
        layers.append(ring(base, f"datum.atom >= 0 && cursor_{name} == datum.atom", stroke="currentColor"))
        layers.append(hit(element, base))
    return alt.layer(*layers)


def _place(element: Element, theme: Theme, lines: int) -> Geometry:
    geometry = theme.geometry(element)
    wide = least(620 if len(element.panels) == 1 else 360, geometry.room)
    top = KEY * lines + 10 if lines > 1 else 2
    foot = min(FOOT, 24 + 4.2 * max((len(atom.label) for atom in element.atoms), default=0))
    return geometry.flow(len(element.panels), wide, quantity(PLOT + foot), labelled(element), gutter=36, top=top)

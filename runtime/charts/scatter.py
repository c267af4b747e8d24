"""Atoms as points at their two numbers, both axes on one scale; the one pointed at has its name, and its icon."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.vega.colours import ACCENT, SERIES
from bbilang.runtime.vega.geometry import Geometry, least
from bbilang.runtime.vega.marks import (
    Theme,
    box,
    coloured,
    domain,
    hit,
    labelled,
    number_format,
    panel_labels,
    picture,
    ring,
    rows,
    slots,
    words,
)
from bbilang.runtime.vega.marks import (
    chart as layer,
)
from bbilang.runtime.view.model import Element

SIDE, FOOT, ICON, NEAR = 46, 40, 84, 9  # pixels: numbers left of and below the plot; an icon; reach of a point


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    count = max(slots(element), max((len(f.atoms) for p in element.panels for f in p.frames), default=1))
    geometry = _place(element, theme)
    name = geometry.name
    low, high = domain(element)
    plot = f"({geometry.width} - {SIDE})"
    there = "isArray(datum.v) && isValid(datum.v[0]) && isValid(datum.v[1])"
    at = {
        "atom": "datum.frame.atoms[datum.slot]",
        "v": "datum.frame.values[datum.slot]",
        "there": there,
        "x0": f"datum.there ? {geometry.x} + {SIDE} + {plot} * (datum.v[0] - {low:g}) / {high - low:g} : {geometry.x}",
        "y0": f"datum.there ? {geometry.y} + {plot} * (1 - (datum.v[1] - {low:g}) / {high - low:g}) : {geometry.y}",
    }
    x, y = alt.X("left:Q", scale=None, axis=None), alt.Y("top:Q", scale=None, axis=None)
    own = "datum.frame.colours[datum.slot]" if coloured(element) else f"'{SERIES[0]}'"
    dot = layer(element, rows(element, count), **at, left="datum.x0", top="datum.y0", colour=own)
    chosen = f"datum.atom >= 0 && (indexof(selected_{name}, datum.atom) >= 0 || cursor_{name} == datum.atom)"
    points = dot.mark_circle(
        size=alt.ExprRef(f"datum.there ? ({chosen} ? 130 : 52) : 0"), opacity=0.8, strokeWidth=2,
        stroke=alt.ExprRef(f"{chosen} ? '{ACCENT}' : 'transparent'"),
    ).encode(x, y, fill=alt.Fill("colour:N", scale=None, legend=None))  # fmt: skip
    return alt.layer(
        *panel_labels(element, geometry),
        *_axes(element, geometry, plot),
        points,
        *_named(element, geometry, count, at, chosen),
        *([hit(element, layer(element, rows(element, count), **at, **_near()))] if element.selects else []),
    )


def _near() -> dict[str, str]:
    return {
        "left": f"datum.x0 - (datum.there ? {NEAR} : 0)",
        "right": f"datum.x0 + (datum.there ? {NEAR} : 0)",
        "top": f"datum.y0 - {NEAR}",
        "bottom": f"datum.y0 + {NEAR}",
    }


def _axes(element: Element, geometry: Geometry, plot: str) -> list[alt.Chart]:
    """Lines at zero, the numbers at the ends, and what each axis is."""
    low, high = domain(element)
    share = -low / (high - low)
    right, bottom = f"{geometry.x} + {geometry.width}", f"{geometry.y} + {plot}"
    lines = [
        {"left": f"{geometry.x} + {SIDE}", "right": right, "top": f"{geometry.y} + {plot} * {1 - share:g} - 0.5",
         "bottom": "datum.top + 1"},
        {"left": f"{geometry.x} + {SIDE} + {plot} * {share:g} - 0.5", "right": "datum.left + 1", "top": geometry.y,
         "bottom": bottom},
    ]  # fmt: skip
    made = [box(layer(element, rows(element), **line), color="currentColor", opacity=0.35) for line in lines]
    number = f"format(datum.at, '{number_format(element)}')"
    ends = [
        {**one, "at": value, "share": (value - low) / (high - low)} for value in (low, high) for one in rows(element)
    ]
    along = {"left": f"{geometry.x} + {SIDE} + {plot} * datum.share", "top": f"{bottom} + 6", "words": number}
    up = {"left": f"{geometry.x} + {SIDE - 6}", "top": f"{geometry.y} + {plot} * (1 - datum.share)", "words": number}
    first = {"left": f"{geometry.x} + {SIDE} + {plot} / 2", "top": f"{bottom} + 20", "words": "datum.frame.series[0]"}
    second = {"left": f"{geometry.x} + 12", "top": f"{geometry.y} + {plot} / 2", "words": "datum.frame.series[1]"}
    inside = alt.ExprRef(plot)
    return [
        *made,
        words(layer(element, ends, **along), "words", align=alt.ExprRef("datum.share > 0.5 ? 'right' : 'left'")),
        words(layer(element, ends, **up), "words", align="right", baseline=alt.ExprRef("datum.share > 0.5 ? 'top' : 'bottom'")),  # noqa: E501
        words(layer(element, rows(element), **first), "words", align="center", limit=inside, fontWeight=600),
        words(layer(element, rows(element), **second), "words", align="center", baseline="middle", angle=270,
              limit=inside, fontWeight=600),
    ]  # fmt: skip


def _named(element: Element, geometry: Geometry, count: int, at: dict[str, str], chosen: str) -> list[alt.Chart]:
    """The name of the point pointed at, and its icon where it has one; on the side where there is room."""
    name = geometry.name
    inner = f"datum.x0 > {geometry.x} + {geometry.width} * 0.6"
    label = {
        **at,
        "left": f"datum.x0 + ({inner} ? -12 : 12)",
        "top": "datum.y0",
        "words": f"{chosen} ? atoms_{name}[datum.atom] : ''",
    }
    made = [
        words(
            layer(element, rows(element, count), **label), "words", align=alt.ExprRef(f"{inner} ? 'right' : 'left'"),
            baseline="middle", fontSize=12.5, fontWeight=600, limit=alt.ExprRef(f"{geometry.width} * 0.55"),
        ).properties(name=f"front_label_{name}")
    ]  # fmt: skip
    if any(frame.pictures for panel in element.panels for frame in panel.frames):
        place = {
            **at,
            "side": f"{chosen} ? {ICON} : 0",
            "left": f"{inner} ? datum.x0 - {ICON + 12} : datum.x0 + 12",
            "top": f"datum.y0 > {geometry.y} + {geometry.width} / 2 ? datum.y0 - {ICON + 12} : datum.y0 + 12",
            "shown": f"{chosen} ? datum.frame.pictures[datum.slot] : -1",
            "right": "datum.left + datum.side",
            "bottom": "datum.top + datum.side",
        }
        base = layer(element, rows(element, count), **place)
        made.append(picture(base, "datum.side", "datum.side").properties(name=f"front_icon_{name}"))
        made.append(ring(base, "datum.side > 0", strokeWidth=2).properties(name=f"front_frame_{name}"))
    return made


def _place(element: Element, theme: Theme) -> Geometry:
    geometry = theme.geometry(element)
    wide = geometry.named("plot", least(460 if len(element.panels) == 1 else 330, geometry.room))
    return geometry.flow(len(element.panels), wide, wide - (SIDE - FOOT), labelled(element), gutter=30)

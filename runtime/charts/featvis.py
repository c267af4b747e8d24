"""Icons: a row that wraps, each with its label and its value as a bar, of several classes as swatches; or a grid."""

from __future__ import annotations

import altair as alt

from bbilang.runtime.charts import grid, swatches
from bbilang.runtime.charts.bars import KEY, key
from bbilang.runtime.vega.colours import series_colour
from bbilang.runtime.vega.geometry import ICON_GUTTER as GUTTER
from bbilang.runtime.vega.geometry import Geometry, ceil, floor, icon_columns, icon_side, if_zero, least, quantity
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
    number_words,
    panel_labels,
    picture,
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

# Pixels: between icons; an icon's label; a line of values; a remark; under a slot.
LABEL, BAR, NOTE, BELOW = 22, 17, 16, 16
GAP = 30  # pixels for the dots where slots are left out
NUMBER = 44  # pixels for a value's digits
VALUE = "#7a869a"  # bars of a single series


def chart(element: Element, theme: Theme) -> alt.LayerChart:
    if any(panel.shape != (0, 0) for panel in element.panels):
        return grid.chart(element, theme)
    return _row(element, theme)


def _row(element: Element, theme: Theme) -> alt.LayerChart:
    count = max(slots(element), 1)
    swatched = series(element) > 1 and "color" not in element.options
    lines = (swatches.lines_of(element) if swatched else series(element)) if _has_values(element) else 0
    geometry = _place(element, theme, count, lines)
    slot = _slot(element, geometry)
    layers = [*panel_labels(element, geometry)]
    if lines > 1:
        layers += _swatch_key(element) if swatched else key(element)
    layers += _icons(element, geometry, count, slot)
    layers += _labels(element, geometry, count, slot)
    if lines:
        layers += (_swatches if swatched else _values)(element, geometry, count, slot)
    layers += _notes(element, geometry, count, lines, slot)
    if element.gap:
        layers.append(_dots(element, geometry))
    if element.selects:
        layers.append(_hit(element, geometry, count, slot))
    return alt.layer(*layers)


def _hit(element: Element, geometry: Geometry, count: int, slot: dict[str, str]) -> alt.Chart:
    """All of a slot takes the pointer: icon, label and values."""
    deep = f"block_{geometry.name} - {BELOW}"
    corners = {
        "left": "datum.x0",
        "top": "datum.y0",
        "right": f"datum.x0 + (datum.atom >= 0 ? {geometry.unit} : 0)",
        "bottom": f"datum.y0 + (datum.atom >= 0 ? {deep} : 0)",
    }
    return hit(element, layer(element, rows(element, count), **slot, **corners))


def _has_values(element: Element) -> bool:
    return any(frame.values for panel in element.panels for frame in panel.frames)


def _has_notes(element: Element) -> bool:
    return any(note for panel in element.panels for frame in panel.frames for note in frame.notes)


def _place(element: Element, theme: Theme, count: int, lines: int) -> Geometry:
    """Named quantities of a row of icons: columns, the extra width or height of a gap, panels in rows."""
    geometry = theme.geometry(element)
    wanted = float(element.options.get("icon") or icon_side(count))
    geometry.columns = geometry.named("columns", icon_columns(geometry.room, count, wanted))
    # the dots stand in a row, or between two rows where a row ends there
    dots = GAP if element.gap else 0
    inside = geometry.named("inside", if_zero(quantity(element.gap) % geometry.columns, 0, dots))
    between = geometry.named("between", quantity(dots) - inside)
    fit = (geometry.room - inside + GUTTER) / geometry.columns - GUTTER
    geometry.unit = geometry.named("unit", floor(least(wanted, fit)))
    pitch = geometry.unit + GUTTER
    notes = NOTE if _has_notes(element) else 0
    height = geometry.named("block", geometry.unit + (LABEL + BAR * lines + notes + BELOW))
    deep = ceil(quantity(count) / geometry.columns) * height - BELOW + between
    wide = geometry.columns * pitch - GUTTER + inside
    top = KEY * lines + 10 if lines > 1 else 0
    return geometry.flow(len(element.panels), wide, deep, labelled(element), gutter=34, top=top)


def _slot(element: Element, geometry: Geometry) -> dict[str, str]:
    """Corner of a slot's icon, and what stands in it."""
    after = f"datum.slot >= {element.gap} && {element.gap} > 0"
    line = f"floor(datum.slot / {geometry.columns})"
    same = f"{line} == floor({element.gap} / {geometry.columns})"
    return {
        "atom": "datum.frame.atoms[datum.slot]",
        "x0": f"{geometry.x} + datum.slot % {geometry.columns} * ({geometry.unit} + {GUTTER})"
        f" + ({after} && {same} ? inside_{geometry.name} : 0)",
        "y0": f"{geometry.y} + {line} * block_{geometry.name} + ({after} ? between_{geometry.name} : 0)",
    }


def _icons(element: Element, geometry: Geometry, count: int, slot: dict[str, str]) -> list[alt.Chart]:
    """The icons, scaled by area where sizes are given, and a ring around those that are selected."""
    side = f"{geometry.unit} * sqrt(datum.frame.sizes[datum.slot])"
    corner = {
        "left": f"datum.x0 + ({geometry.unit} - datum.side) / 2",
        "top": f"datum.y0 + ({geometry.unit} - datum.side) / 2",
    }
    where = {**slot, "side": f"isValid(datum.frame.sizes[datum.slot]) ? {side} : {geometry.unit}", **corner}
    shown = layer(element, rows(element, count), **where, shown="datum.frame.pictures[datum.slot]")
    around = {
        **where,
        "left": f"{corner['left']} - 3",
        "top": f"{corner['top']} - 3",
        "right": "datum.left + datum.side + 6",
        "bottom": "datum.top + datum.side + 6",
    }
    result = [picture(shown, "datum.side", "datum.side", **fading(element))]
    if element.selects:
        chosen = f"datum.atom >= 0 && indexof(selected_{geometry.name}, datum.atom) >= 0"
        result.append(ring(layer(element, rows(element, count), **around), chosen))
        pointed = f"datum.atom >= 0 && cursor_{geometry.name} == datum.atom"
        dashed = {"stroke": "currentColor", "strokeDash": [3, 3], "strokeWidth": 1.5}
        result.append(ring(layer(element, rows(element, count), **around), pointed, **dashed))
    return result


def _labels(element: Element, geometry: Geometry, count: int, slot: dict[str, str]) -> list[alt.Chart]:
    name = f"atoms_{geometry.name}[datum.atom]"  # what stands above the panel is not said again under each icon
    name = f"(datum.frame.label ? replace({name}, datum.frame.label + ', ', '') : {name})"
    text = f"datum.atom >= 0 ? {name} : ''"
    aside = CHIP if coloured(element) else 0
    top = f"datum.y0 + {geometry.unit} + 7"
    place = {**slot, "left": f"datum.x0 + {aside}", "top": top, "words": text}
    limit = alt.ExprRef(f"{geometry.unit} - {aside}")
    label = words(layer(element, rows(element, count), **place), "words", limit=limit, fontSize=12.5)
    return [label, *chips(element, rows(element, count), {**slot, "left": "datum.x0", "top": f"{top} + 1"})]


def _swatches(element: Element, geometry: Geometry, count: int, slot: dict[str, str]) -> list[alt.Chart]:
    """A line per class under each icon, and one for the net of two: the stronger, the more opaque; with the number."""
    data = swatches.line_rows(element, count)
    top = f"datum.y0 + {geometry.unit} + {LABEL + 2} + datum.line * {BAR}"
    at = {**slot, **swatches.amounts(element), "line_top": top}
    swatch = {
        **at,
        "left": "datum.x0",
        "right": "datum.x0 + 13",
        "top": "datum.line_top",
        "bottom": "isValid(datum.value) ? datum.line_top + 13 : datum.top",
    }
    number = {**at, "left": f"datum.x0 + min({geometry.unit}, 20 + {NUMBER - 4})", "top": "datum.line_top + 0.5"}
    look = {"fillOpacity": alt.ExprRef("datum.share"), "stroke": "currentColor", "strokeOpacity": 0.25}
    return [
        box(layer(element, data, **swatch), fill="colour", **look),
        words(layer(element, data, **number), "number", align="right", fontSize=12),
    ]


def _swatch_key(element: Element) -> list[alt.Chart]:
    """What the lines of swatches are, in their order; the net takes the colour of the class that it speaks for."""
    net = series(element) == 2
    data = [
        {"panel": 0, "own": 0, "line": i, "part": part, "colour": series_colour(part if net and not i else i - net)}
        for i in range(swatches.lines_of(element))
        for part in range(2 if net and not i else 1)
    ]
    place = {"left": "datum.part * 5", "top": f"datum.line * {KEY} + 3", "bottom": f"datum.line * {KEY} + 13"}
    right = f"{'datum.line == 0 ? datum.left + 5 : 10' if net else '10'}"
    name = f"({swatches.name_of_line(element)})"
    text = {"left": "17", "top": f"datum.line * {KEY} + 2", "words": name}
    limit = alt.ExprRef(f"total_{identifier(element.id)} - 17")
    lines = [row for row in data if row["part"] == 0]
    return [
        box(layer(element, data, **place, right=right), fill="colour"),
        words(layer(element, lines, **text), "words", limit=limit, fontSize=12.5),
    ]


def _values(element: Element, geometry: Geometry, count: int, slot: dict[str, str]) -> list[alt.Chart]:
    """A line per series under each icon: a bar from zero in the colour of the series, the number at the right."""
    low, high = domain(element)
    data = [
        {**row, "line": line, "own_colour": series_colour(line)}
        for line in range(series(element))
        for row in rows(element, count)
    ]
    track = f"({geometry.unit} - {NUMBER})"
    at = {
        **slot,
        "value": "datum.frame.values[datum.slot][datum.line]",
        "number": f"isValid(datum.value) ? {number_words(element, 'datum.value')} : ''",
        "held": f"clamp(datum.value, {low:g}, {high:g})",
        "zero": f"datum.x0 + {track} * {-low / (high - low):g}",
        "end": f"datum.x0 + {track} * (datum.held - {low:g}) / {high - low:g}",
        "line_top": f"datum.y0 + {geometry.unit} + {LABEL + 4} + datum.line * {BAR}",
    }
    bar = {
        **at,
        "colour": bar_colour(element, VALUE),
        "left": "min(datum.zero, datum.end)",
        "right": "max(datum.zero, datum.end)",
        "top": "datum.line_top",
        "bottom": "isValid(datum.value) ? datum.line_top + 9 : datum.line_top",
    }
    axis = {
        **at,
        "left": "datum.zero - 0.5",
        "right": "datum.zero + 0.5",
        "top": "datum.line_top - 3",
        "bottom": f"isValid(datum.value) ? datum.line_top + {BAR - 4} : datum.top",
    }
    number = {**at, "left": f"datum.x0 + {geometry.unit}", "top": "datum.line_top - 1.5"}
    return [
        box(layer(element, data, **bar), fill="colour"),
        box(layer(element, data, **axis), color="currentColor", opacity=0.45),
        words(layer(element, data, **number), "number", align="right", fontSize=12),
    ]


def _notes(element: Element, geometry: Geometry, count: int, lines: int, slot: dict[str, str]) -> list[alt.Chart]:
    if not _has_notes(element):
        return []
    top = f"datum.y0 + {geometry.unit} + {LABEL + BAR * lines + 2}"
    place = {
        **slot,
        "left": "datum.x0",
        "top": top,
        "words": "isValid(datum.frame.notes[datum.slot]) ? datum.frame.notes[datum.slot] : ''",
    }
    limit = alt.ExprRef(str(geometry.unit))
    return [words(layer(element, rows(element, count), **place), "words", limit=limit, fontSize=11, opacity=0.72)]


def _dots(element: Element, geometry: Geometry) -> alt.Chart:
    """Three dots where slots between are left out."""
    name, pitch = geometry.name, f"({geometry.unit} + {GUTTER})"
    data = [{**row, "slot": element.gap} for row in rows(element)]
    beside = f"{element.gap} % {geometry.columns} * {pitch} + {(GAP - GUTTER) / 2}"
    place = {
        "left": f"inside_{name} > 0 ? {geometry.x} + {beside} : {geometry.x} + {geometry.width} / 2",
        "top": f"{geometry.y} + floor({element.gap} / {geometry.columns}) * block_{name} + "
        f"(inside_{name} > 0 ? {geometry.unit} / 2 : {GAP / 2 - BELOW})",
        "words": "'\u22ef'",
    }
    return words(layer(element, data, **place), "words", align="center", baseline="middle", fontSize=24, opacity=0.75)

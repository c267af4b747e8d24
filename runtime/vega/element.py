"""Properties of an element that every chart needs: its name in Vega, its scale, number formats, slots and series."""

from __future__ import annotations

import re
from typing import TypeAlias

from bbilang.runtime.json_types import JsonObject
from bbilang.runtime.vega.colours import DIVERGING, shades
from bbilang.runtime.view.model import Element
from bbilang.runtime.view.scales import decimals_of
from bbilang.runtime.view.states import layered
from bbilang.runtime.view.styles import Styles, is_map, style_of

Row: TypeAlias = JsonObject  # a row of Vega data: any JSON values

MAX_LABEL = 200  # letters of a label in a chart; Vega measures each again and again to find where it has to be cut


def identifier(name: str) -> str:
    """Return an element's name as part of a Vega signal's name; different names stay different."""
    if re.fullmatch(r"\w+", name, re.ASCII) and not re.search(r"_[0-9a-f]+_", name):
        return name
    return re.sub(r"[^A-Za-z0-9]", lambda match: f"_{ord(match[0]):x}_", name)  # no other name looks like this


def clipped(label: str) -> str:
    """Truncate a label to ``MAX_LABEL`` letters."""
    return label if len(label) <= MAX_LABEL else f"{label[: MAX_LABEL - 1]}\u2026"


def domain(element: Element) -> tuple[float, float]:
    """Return the ends of the element's scale: its legend's, or the extremes of its values; zero is always inside."""
    if element.legend:
        low, high = element.legend.domain
    else:
        values = [v for p in element.panels for f in p.frames for slot in f.values for v in slot if v is not None]
        low, high = min(values, default=0.0), max(values, default=1.0)
    low, high = min(low, 0.0), max(high, 0.0)
    return (low, high) if high > low else (0.0, 1.0)


def is_signed(element: Element) -> bool:
    """Return whether the element's numbers can be negative, by its legend."""
    return element.legend is not None and element.legend.signed


def number_format(element: Element) -> str:
    """Return the digits that suit the scale: two decimals, fewer for hundreds, more for thousandths; a sign where both
    occur."""
    low, high = domain(element)
    return f"{'+' if low < 0 < high else ''}.{decimals_of((low, high))}f"


def number_width(element: Element) -> int:
    """Return the pixels that the longest number of the scale takes in the usual font."""
    form = number_format(element)
    return round(7.5 * max(len(format(end, form)) for end in domain(element))) + 3


def number_text(element: Element, value: str) -> str:
    """Return a Vega expression that prints ``value``: in the element's `number_format`; with one significant digit
    where that would round to zero."""
    form = number_format(element)
    least = 0.5 * 10.0 ** -int(form.rpartition(".")[2][:-1])
    small = f"{form[0] if form[0] == '+' else ''}.1r"
    return f"format({value}, {value} != 0 && abs({value}) < {least:g} ? '{small}' : '{form}')"


def slots(element: Element) -> int:
    """Return the most slots that any frame fills."""
    frames = (frame for panel in element.panels for frame in panel.frames)
    return max((max(len(f.atoms), len(f.values), len(f.pictures)) for f in frames), default=0)


def series(element: Element) -> int:
    """Return the most series that any frame has."""
    return max((len(frame.series) for panel in element.panels for frame in panel.frames), default=1)


def rows(element: Element, count: int = 1) -> list[Row]:
    """Return one row per panel and slot."""
    return [{"panel": p, "own": p, "slot": s} for p in range(len(element.panels)) for s in range(count)]


def bar_colour(element: Element, plain: str) -> str:
    """Return the colour of a bar as an expression over ``datum.value``: its series' own, else what `color=`
    requests."""
    how = element.options.get("color")
    if series(element) > 1 or how not in ("value", "sign"):
        return "datum.own_colour" if series(element) > 1 else f"'{plain}'"
    low, high = domain(element)
    if how == "sign":
        return f"datum.value < 0 ? '{DIVERGING[1]}' : '{DIVERGING[7]}'"
    signed = is_signed(element)
    largest = max(-low, high)
    low, high = (-largest, largest) if signed else (low, high)
    steps = shades(signed)
    share = f"clamp((datum.value - {low:g}) / {high - low:g}, 0, 1)"
    return f"isValid(datum.value) ? {list(steps)}[round({share} * {len(steps) - 1})] : 'transparent'"


def labelled(element: Element) -> bool:
    """Return whether the element's panels have labels above them."""
    return any(panel.label or panel.labels for panel in element.panels)


def coloured(element: Element) -> bool:
    """Return whether the element's atoms have their own colours, as groups do."""
    return any(colour for panel in element.panels for frame in panel.frames for colour in frame.colours)


def chipped(element: Element) -> bool:
    """Return whether the element's series have their own colours, which chips explain."""
    return any(frame.series_colours for panel in element.panels for frame in panel.frames)


def cells(element: Element) -> bool:
    """Return whether the pointer selects a map's own cells: slots row-major over the panel's shape."""
    return bool(element.selects) and not element.targets and is_map(element)


def readable(element: Element) -> bool:
    """Return whether a position of the element's panels has a value to read: a map's own, or that of a map over it."""
    frames = [(panel, frame) for part in layered(element) for panel in part.panels for frame in panel.frames]
    return any(panel.shape != (0, 0) and (frame.coarse or frame.values) for panel, frame in frames)


def longest_label(element: Element) -> int:
    """Return the number of letters of the longest label of an atom."""
    return max((len(atom.label) for atom in element.atoms), default=8)


def preferred_width(element: Element, styles: Styles) -> int:
    """Return the width in pixels that an element would like: its share of a row."""
    own = style_of(element, styles).preferred_width(element)
    if own is not None:
        return own
    return map_width(element) if is_map(element) else 560


def map_width(element: Element) -> int:
    """Return the width in pixels that the panels of a map or picture would like."""
    return 400 if len(element.panels) == 1 else min(240 * len(element.panels), 960)

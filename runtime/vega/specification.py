"""View model to Vega-Lite: one specification per element, what is drawn over it included.

Whatever changes with the state is a table indexed by the integer param ``state_<element>``; nothing is filtered out.
The tables are attached after Altair's validation, which would take a second for a thousand states.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace

from bbilang.runtime.json_types import JsonObject
from bbilang.runtime.vega.element import clipped, identifier, series, slots
from bbilang.runtime.vega.geometry import value_of
from bbilang.runtime.vega.marks import tables
from bbilang.runtime.vega.sankey_layout import flows
from bbilang.runtime.vega.theme import BLANK, FONT, Theme
from bbilang.runtime.view.model import Element, Frame, View
from bbilang.runtime.view.states import elements, layered, shown_at_start, start_choices
from bbilang.runtime.view.styles import Styles, is_map, style_of

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
PAD = 6  # pixels around a chart, for rings


def charts(view: View, styles: Styles, theme: Theme | None = None) -> dict[str, JsonObject]:
    """Return element id -> Vega-Lite specification with its tables and start states.

    The param ``pictures`` is empty: it is to hold ``picture_uris(view)``, one table for the whole page. Raises
    ValueError for a style that is not among ``styles``.
    """
    specifications = layouts(view, styles, theme)
    tables = {identifier(element.id): table(element) for element in elements(view)}
    for specification in specifications.values():
        attach(specification, {f"frames_{name}": frames for name, frames in tables.items()})
    return specifications


def layouts(view: View, styles: Styles, theme: Theme | None = None, with_points: bool = True) -> dict[str, JsonObject]:
    """Return the specifications without tables: the page's script adds them, since it needs them too. with_points: also
    those of point sets, which the page does without."""
    every = (e for interface in view.interfaces for e in interface.elements if with_points or e.points is None)
    return {element.id: layout(view, element, styles, theme or Theme()) for element in every}


def layout(view: View, element: Element, styles: Styles, theme: Theme) -> JsonObject:
    """Return the specification of one element, without tables."""
    ratios = tuple(picture.height / picture.width if picture.width else 1.0 for picture in view.pictures)
    states = shown_at_start(view, element)
    theme = replace(theme, ratios=ratios, states=states)
    return _specification(element, styles, theme, states, selected_atoms(view))


def attach(specification: JsonObject, values: Mapping[str, object]) -> None:
    """Give params of a specification their values; names that it does not have are skipped."""
    for param in specification["params"]:
        if param["name"] in values:
            param["value"] = values[param["name"]]


def picture_uris(view: View) -> list[str]:
    return [f"data:{picture.mime};base64,{b64encode(picture.data).decode()}" for picture in view.pictures]


def table(element: Element) -> list[list[JsonObject]]:
    """Return [panel][state] -> what is drawn; every frame has the same number of slots, and one more frame draws
    nothing."""
    count, lines = 0 if is_map(element) else slots(element), series(element)
    empty = Frame(series=("",) * lines)
    made = [
        [
            _frame(frame, count, lines, panel.labels[state] if state < len(panel.labels) else panel.label)
            for state, frame in enumerate((*panel.frames, empty))
        ]
        for panel in element.panels
    ]
    if any(frame.columns for panel in element.panels for frame in panel.frames):
        for panel, laid_out in zip(made, flows(element), strict=True):
            for frame, flow in zip(panel, laid_out, strict=False):
                frame["flow"] = flow
    return made


def selected_atoms(view: View) -> dict[str, list[int]]:
    """Return element id -> the chosen atom (or -1) of each of its targets, then of each selection that its atoms
    drive."""
    selections = {selection.id: selection for selection in view.selections}
    chosen = start_choices(view)
    result = {}
    for element in elements(view):
        index = {atom.key: i for i, atom in enumerate(element.atoms)}
        names = [*(target.selection for target in element.targets), *element.selects]
        choices = ((selections[name].atoms, chosen[name]) for name in names)
        result[element.id] = [-1 if i is None else index.get(atoms[i].key, -1) for atoms, i in choices]
    return result


def _frame(frame: Frame, count: int, lines: int, label: str) -> JsonObject:
    values = [[_number(value) for value in slot] for slot in frame.values]
    return {
        "label": label,
        "atoms": [*frame.atoms, *[-1] * (count - len(frame.atoms))],
        "pictures": [*frame.pictures, *[-1] * (count - len(frame.pictures))],
        "values": [
            *([*slot, *[None] * (lines - len(slot))] for slot in values),
            *[[None] * lines] * (count - len(values)),
        ],
        "series": [*frame.series, *[""] * (lines - len(frame.series))],
        "notes": list(frame.notes),
        "sizes": [_number(size) for size in frame.sizes],
        "colours": list(frame.colours),
        "series_atoms": list(frame.series_atoms),
        "series_colours": list(frame.series_colours),
        "series_pictures": list(frame.series_pictures),
        "words": [list(row) for row in frame.words],
        "partners": list(frame.partners),
        "spots": list(frame.spots),
        "remark": frame.remark,
        "budget": frame.budget,
        "coarse": [list(row) for row in frame.coarse],
    }


def _number(value: float | None) -> float | None:
    """Round to five significant digits, shorter on the page; None for what JSON cannot hold."""
    if value is None or value != value or value in (float("inf"), float("-inf")):
        return None
    short = float(f"{value:.5g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def _specification(
    element: Element,
    styles: Styles,
    theme: Theme,
    states: Mapping[str, int],
    selected: Mapping[str, list[int]],
) -> JsonObject:
    """Draw one element and its overlays: base, overlays, and in front what is pointed at."""
    datasets: JsonObject = {}
    back = _layers(element, styles, theme, datasets)
    geometry = theme.geometries[element.id]
    over = theme.over(element)
    drawn = list(layered(element))
    for overlay in drawn[1:]:
        back += _layers(overlay, styles, over, datasets)
    front = [layer for layer in back if str(layer.get("name", "")).startswith("front_")]
    params: list[JsonObject] = [
        {"name": "pictures", "value": []},
        {"name": "blank", "value": BLANK},
        {"name": "room", "value": theme.room},
    ]
    for part in drawn:
        name = identifier(part.id)
        params += [
            {"name": f"state_{name}", "value": states[part.id]},
            {"name": f"selected_{name}", "value": selected[part.id]},
            {"name": f"cursor_{name}", "value": -1},
            {"name": f"faded_{name}", "value": []},
            {"name": f"spot_{name}", "value": []},
            {"name": f"lens_{name}", "value": []},
            {"name": f"atoms_{name}", "value": [clipped(atom.label) for atom in part.atoms]},
            {"name": f"frames_{name}", "value": []},
        ]
    for name, number in geometry.params.items():  # without the page script a width is not going to change
        params.append({"name": name, **({"value": number.value} if theme.standalone else {"expr": number.text})})
    return {
        "$schema": SCHEMA,
        "description": element.alt or element.title,
        "width": max(1, round(value_of(geometry.total))),
        "height": max(1, round(value_of(geometry.tall))),
        "padding": PAD,
        "autosize": "none",
        "background": "transparent",
        "params": params,
        "datasets": datasets,
        "layer": [layer for layer in back if layer not in front] + front,
        "config": {"aria": False, "font": FONT, "view": {"stroke": None}},
    }


def _layers(element: Element, styles: Styles, theme: Theme, datasets: JsonObject) -> list[JsonObject]:
    with tables() as rows:
        made = style_of(element, styles).chart(element, theme)
        plain = made if isinstance(made, dict) else made.to_dict()
    datasets.update(plain.get("datasets", {}))
    datasets.update(rows)
    parts = plain.get("layer", [plain])
    own = ("data", "transform", "mark", "encoding", "name", "layer")
    shared = {"data": plain["data"]} if "data" in plain else {}  # Altair lifts what all layers have in common
    return [{**shared, **{key: part[key] for key in own if key in part}} for part in parts]

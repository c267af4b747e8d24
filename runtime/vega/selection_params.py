"""Selections as Vega-Lite parameters, for specifications without a page script: menus, sliders, hover and click."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bbilang.runtime.json_types import JsonObject
from bbilang.runtime.vega.element import identifier
from bbilang.runtime.view.implicit_selections import cell_middles
from bbilang.runtime.view.model import Element, Selection, View
from bbilang.runtime.view.states import elements, layered, start_in
from bbilang.runtime.view.styles import Styles, enlarges_cells, style_of


def interact(view: View, styles: Styles, params: dict[str, JsonObject], parts: list[JsonObject]) -> None:
    """Replace the fixed states by expressions over parameters that a menu, a slider or the pointer sets."""
    selections = {selection.id: selection for selection in view.selections}
    hits = {layer["name"]: layer for layer in _named(parts)}
    for selection in view.selections:
        name = identifier(selection.id)
        start: str = str(-1 if selection.start is None else selection.start)
        source = next((e for e in elements(view) if e.id == selection.start_of), None)
        if source is not None:
            count = max((len(panel.frames) for panel in source.panels), default=0) + 1  # one more draws nothing
            starts = [start_in(source, selection, state) for state in range(count)]
            values = [-1 if value is None else value for value in starts]
            params[f"starts_{name}"] = {"name": f"starts_{name}", "value": values}
            start = f"starts_{name}[state_{identifier(source.id)}]"
        if selection.kind in ("pick", "slider"):
            params[f"now_{name}"] = {
                "name": f"now_{name}",
                "value": int(start) if source is None else 0,
                "bind": _bind(selection),
            }
            continue
        views = _pointed(view, selection, hits, params)
        if views:
            on = "pointerover" if selection.kind == "hover" else "click"
            clear = "pointerout" if selection.leaves else "dblclick"
            select = {"type": "point", "on": on, "fields": [f"of_{name}"], "toggle": False, "clear": clear}
            params[f"point_{name}"] = {"name": f"point_{name}", "select": select, "views": views}
            start = f"isValid(point_{name}.of_{name}) ? point_{name}.of_{name}[0] : {start}"
        params[f"now_{name}"] = {"name": f"now_{name}", "expr": start}
    shown = _tabs(view, params)
    for element in elements(view):
        name = identifier(element.id)
        state = _state(element, selections)
        if element.id in shown and element.panels:
            state = f"{shown[element.id]} ? ({state}) : {len(element.panels[0].frames)}"
        params[f"state_{name}"] = {"name": f"state_{name}", "expr": state}
        driven = [*(target.selection for target in element.targets), *element.selects]
        back = []
        for each in driven:
            key = identifier(each)
            numbers = {atom.key: i for i, atom in enumerate(element.atoms)}
            inverse = [numbers.get(atom.key, -1) for atom in selections[each].atoms]
            params[f"back_{name}_{key}"] = {"name": f"back_{name}_{key}", "value": inverse}
            back.append(f"now_{key} >= 0 ? back_{name}_{key}[now_{key}] : -1")
        params[f"selected_{name}"] = {"name": f"selected_{name}", "expr": f"[{', '.join(back)}]"}
    _same_position(view, styles, params)
    _fade(view, styles, params)


def _tabs(view: View, params: dict[str, JsonObject]) -> dict[str, str]:
    """Add a choice for each picture with several maps over it. Returns the id of a map -> when it is in front."""
    shown: dict[str, str] = {}
    for host in (element for interface in view.interfaces for element in interface.elements):
        over = list(layered(host))[1:]
        if len(over) > 1:
            name = f"tab_{identifier(host.id)}"
            labels = [*(element.title for element in over), "none"]
            bind = {"input": "radio", "options": list(range(len(labels))), "labels": labels, "name": f"{host.title}: "}
            params[name] = {"name": name, "value": 0, "bind": bind}
            shown |= {element.id: f"{name} == {number}" for number, element in enumerate(over)}
    return shown


def _same_position(view: View, styles: Styles, params: dict[str, JsonObject]) -> None:
    """Make every grid of icons mark the cell at the chosen position, as in the page."""
    grids = [element for element in elements(view) if enlarges_cells(element, styles)]
    middles = cell_middles(view) if grids else {}
    spot = "[]"
    for selection in reversed(view.selections):
        if selection.kind == "hover" and any(atom.key in middles for atom in selection.atoms):
            name = identifier(selection.id)
            table = [list(middles.get(atom.key, ())) for atom in selection.atoms]
            params[f"middle_{name}"] = {"name": f"middle_{name}", "value": table}
            spot = f"now_{name} >= 0 && length(middle_{name}[now_{name}]) > 0 ? middle_{name}[now_{name}] : ({spot})"
    for element in grids:
        name = identifier(element.id)
        params[f"spot_{name}"] = {"name": f"spot_{name}", "expr": spot}


def _fade(view: View, styles: Styles, params: dict[str, JsonObject]) -> None:
    """Fade groups that are not at the position chosen on masks, in every element that shows them, as in the page."""
    for masks in elements(view):
        if not style_of(masks, styles).fades_groups or not any(frame.values for frame in masks.panels[0].frames):
            continue
        own, chosen = identifier(masks.id), "-1"
        frame = f"frames_{own}[0][state_{own}]"
        driven = [*(target.selection for target in masks.targets), *masks.selects]
        for k in range(len(driven)):
            at = f"indexof({frame}.atoms, selected_{own}[{k}])"
            chosen = f"selected_{own}[{k}] >= 0 && {at} >= 0 ? {at} : ({chosen})"
        params[f"cell_{own}"] = {"name": f"cell_{own}", "expr": chosen}
        numbers = {atom.key: i for i, atom in enumerate(masks.atoms)}
        for element in elements(view):
            if element.id == masks.id or not any(atom.key in numbers for atom in element.atoms):
                continue
            weights, name = f"{frame}.values[cell_{own}]", identifier(element.id)
            shares = []
            for atom in element.atoms:
                at = f"indexof({frame}.series_atoms, {numbers.get(atom.key, -2)})"
                share = f"0.15 + 0.85 * max(0, {weights}[{at}]) / max(1e-12, extent({weights})[1])"
                shares.append(f"({at} >= 0 ? {share} : 1)")
            faded = f"cell_{own} >= 0 ? [{', '.join(shares)}] : []"
            params[f"faded_{name}"] = {"name": f"faded_{name}", "expr": faded}


def _state(element: Element, selections: Mapping[str, Selection]) -> str:
    """Return the row-major index, or that of the frame that draws nothing."""
    index, valid = "0", []
    for name in element.states:
        now = f"now_{identifier(name)}"
        index = f"({index} * {len(selections[name].atoms)} + {now})"
        valid.append(f"{now} >= 0")
    nothing = len(element.panels[0].frames) if element.panels else 0
    return f"{' && '.join(valid)} ? {index} : {nothing}" if valid else "0"


def _pointed(
    view: View, selection: Selection, hits: Mapping[str, JsonObject], params: dict[str, JsonObject]
) -> list[str]:
    """Give the layers that take the pointer for this selection the index of its atom. Returns their names."""
    name, layers = identifier(selection.id), []
    for element in elements(view):
        layer = hits.get(f"front_hit_{identifier(element.id)}")
        driven = [*(target.selection for target in element.targets), *element.selects]
        if layer is None or selection.id not in driven:
            continue
        key = f"map_{identifier(element.id)}_{name}"
        params[key] = _map(element, selection)
        layer["transform"].append({"calculate": f"datum.atom >= 0 ? {key}[datum.atom] : -1", "as": f"of_{name}"})
        layers.append(layer["name"])
    return layers


def _map(element: Element, selection: Selection) -> JsonObject:
    """Return the table from the index of an element's atom to the index of the selection's."""
    known = {atom.key: index for index, atom in enumerate(selection.atoms)}
    value = [known.get(atom.key, -1) for atom in element.atoms]
    return {"name": f"map_{identifier(element.id)}_{identifier(selection.id)}", "value": value}


def _bind(selection: Selection) -> JsonObject:
    title = re.sub(r"\s+", " ", selection.title or selection.id) + " "
    if selection.kind == "slider":
        return {"input": "range", "min": 0, "max": len(selection.atoms) - 1, "step": 1, "name": title}
    labels = [atom.label for atom in selection.atoms]
    return {"input": "select", "options": list(range(len(labels))), "labels": labels, "name": title}


def _named(parts: list[JsonObject]) -> list[JsonObject]:
    """Return every layer that has a name, however deep."""
    layers = []
    for part in parts:
        if "name" in part and "mark" in part:
            layers.append(part)
        for key in ("vconcat", "hconcat", "layer"):
            layers += _named(part.get(key, []))
    return layers

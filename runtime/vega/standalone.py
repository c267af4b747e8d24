"""A whole page as one Vega-Lite specification that needs no page script: for notebooks, editors and static pictures."""

from __future__ import annotations

import re
import textwrap
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bbilang.compiler.check.captions import REFERENCE
from bbilang.compiler.contract import ColourScale
from bbilang.runtime.vega.colours import colour_map_png
from bbilang.runtime.vega.element import chipped, clipped, identifier, preferred_width
from bbilang.runtime.vega.specification import SCHEMA, attach, layout, table
from bbilang.runtime.vega.theme import BLANK, FONT, Theme
from bbilang.runtime.view.implicit_selections import cell_middles
from bbilang.runtime.view.model import Element, Layout, Selection, View
from bbilang.runtime.view.states import elements, layered
from bbilang.runtime.view.styles import Styles, enlarges_cells, style_of

WIDTH, GAP, CHIP = 1080, 44, 104  # pixels: of the picture; between elements; of a chip and its word
SHARED = ("pictures", "blank", "room")


def specification(view: View, pictures: Sequence[str], styles: Styles, live: bool = True) -> dict[str, Any]:
    """One concatenated specification; ``pictures`` are their addresses.

    Live, its menus, sliders and what is pointed at or clicked set its states; else it shows the start states. A click
    does not reset, of several grids of cells on one picture the finest takes the pointer, and no cell is enlarged.
    """
    params: dict[str, dict[str, Any]] = {
        "pictures": {"name": "pictures", "value": list(pictures)},
        "blank": {"name": "blank", "value": BLANK},
    }
    datasets: dict[str, Any] = {}
    parts = []
    for interface in view.interfaces:
        by_id = {element.id: element for element in interface.elements}
        placed: set[str] = set()

        def part(
            node: Layout, room: float, by_id: dict[str, Element] = by_id, placed: set[str] = placed
        ) -> dict[str, Any]:
            if isinstance(node, str):
                placed.add(node)
                return _element(view, by_id[node], int(room), styles, params, datasets)
            kind, inner = node
            if kind == "column":
                return {"vconcat": [part(child, room) for child in inner], "spacing": GAP}
            weights = [_width(child, by_id, styles) for child in inner]
            rooms = [(room - GAP * (len(inner) - 1)) * share / sum(weights) for share in weights]
            return {"hconcat": [part(child, width) for child, width in zip(inner, rooms, strict=True)], "spacing": GAP}

        body = [part(interface.layout, WIDTH)]
        body += [part(element.id, WIDTH) for element in interface.elements if element.id not in placed]
        several = len(view.interfaces) > 1 and interface.title
        if several:
            parts.append({"vconcat": body, "spacing": GAP, **_title(interface.title, [], 18, WIDTH)})
        else:
            parts += body
    if live:
        _interact(view, styles, params, parts)
    return _plainly({
        "$schema": SCHEMA,
        **_title(view.title, _says(view), 26, WIDTH),
        "background": "white",
        "padding": 28,
        "params": list(params.values()),
        "datasets": datasets,
        "vconcat": [*parts, _footer(view)],
        "spacing": GAP,
        "config": {"aria": False, "font": FONT, "view": {"stroke": None}, "concat": {"spacing": GAP}},
    })  # fmt: skip


def _width(node: Layout, by_id: Mapping[str, Element], styles: Styles) -> int:
    if isinstance(node, str):
        return preferred_width(by_id[node], styles)
    weights = [_width(child, by_id, styles) for child in node[1]]
    return sum(weights) if node[0] == "row" else max(weights, default=1)


def _element(
    view: View,
    element: Element,
    room: int,
    styles: Styles,
    params: dict[str, dict[str, Any]],
    datasets: dict[str, Any],
) -> dict[str, Any]:
    """An element's layers under its title, its parameters and data handed up to the whole."""
    one = layout(view, element, styles, Theme(room=room, standalone=True))
    attach(one, {f"frames_{identifier(part.id)}": _clipped(table(part)) for part in layered(element)})
    params.update({param["name"]: param for param in one["params"] if param["name"] not in SHARED})
    datasets.update(one["datasets"])
    chart = {key: one[key] for key in ("width", "height", "layer")}
    lines = [line for part in layered(element) for line in _words(part, room, part is not element)]
    scales = [(part, _scale_of(part, styles, over=part is not element)) for part in layered(element)]
    keys = [_scale(part, light=scale == "light") for part, scale in scales if scale]
    keys += [_chips(part, room) for part in layered(element) if chipped(part)]
    chart |= _title(element.title, lines, 14, room)
    return {"vconcat": [chart, *keys], "spacing": 8} if keys else chart


def _clipped(frames: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    for frame in (frame for panel in frames for frame in panel):
        frame["label"], frame["series"] = clipped(frame["label"]), list(map(clipped, frame["series"]))
    return frames


def _words(element: Element, room: int, named: bool) -> list[str]:
    words = [element.title] if named and element.title else []
    if element.caption:
        words.append(REFERENCE.sub(r"\1", element.caption))
    if element.legend:
        it = element.legend
        words.append(
            f"{it.quantity}{f' in {it.unit}' if it.unit else ''}, {it.domain[0]:g} to {it.domain[1]:g}"
            + "".join(f"; {part}" for part in (it.scope, *it.notes) if part)
            + "."
        )
        words = [*(f"\u26a0 {warning}" for warning in it.warnings), *words]
        words += [f"{one.title} ({one.source}): {one.words}. {one.means.capitalize()}." for one in it.trust]
    return [line for word in words for line in textwrap.wrap(word, max(24, int(room / 5.6)))]


def _scale_of(element: Element, styles: Styles, over: bool) -> ColourScale:
    return style_of(element, styles).colour_scale(element, over) if element.legend is not None else ""


def _scale(element: Element, light: bool) -> dict[str, Any]:
    """A strip with the colours of a map, from the lower to the upper end of its scale."""
    low, high = element.legend.domain if element.legend else (0.0, 1.0)
    strip = colour_map_png(
        np.linspace(low, high, 128)[None], (low, high), bool(element.legend and element.legend.signed), light
    )
    place = {"x": {"value": 40}, "y": {"value": 0}}
    text = {"type": "text", "baseline": "top", "fontSize": 11}
    image = {"type": "image", "width": 120, "height": 10, "aspect": False, "align": "left", "baseline": "top"}
    url = f"data:image/png;base64,{b64encode(strip).decode()}"
    return {
        "data": {"values": [{}]},
        "width": 200,
        "height": 12,
        "layer": [
            {"mark": {**image, "url": url}, "encoding": place},
            {"mark": {**text, "text": f"{low:g}", "align": "right"}, "encoding": {**place, "x": {"value": 34}}},
            {"mark": {**text, "text": f"{high:g}", "align": "left"}, "encoding": {**place, "x": {"value": 166}}},
        ],
    }


def _chips(element: Element, room: int) -> dict[str, Any]:
    """Which colour is which group or component, in the state shown."""
    name = identifier(element.id)
    frame = f"frames_{name}[0][state_{name}]"
    most = max(len(frame.series) for panel in element.panels for frame in panel.frames)
    across = max(1, room // CHIP)
    place = {
        "data": {"values": [{"series": i, "x": i % across * CHIP, "y": i // across * 20} for i in range(most)]},
        "width": min(most, across) * CHIP,
        "height": -(-most // across) * 20,
    }
    known = f"datum.series < length({frame}.series)"
    made = {"colour": f"{known} ? {frame}.series_colours[datum.series] : 'transparent'"}
    made["words"] = f"{known} ? {frame}.series[datum.series] : ''"
    at = {"x": {"field": "x", "type": "quantitative", "scale": None, "axis": None},
          "y": {"field": "y", "type": "quantitative", "scale": None, "axis": None}}  # fmt: skip
    square = {"type": "square", "size": 140, "opacity": 1, "xOffset": 7, "yOffset": 8, "fill": {"expr": "datum.colour"}}
    text = {"type": "text", "align": "left", "baseline": "middle", "fontSize": 11.5, "dx": 19, "dy": 8}
    return {
        **place,
        "transform": [{"calculate": value, "as": key} for key, value in made.items()],
        "layer": [
            {"mark": square, "encoding": at},
            {"mark": text, "encoding": {**at, "text": {"field": "words", "type": "nominal"}}},
        ],
    }


def _title(text: str, lines: list[str], size: int, room: float) -> dict[str, Any]:
    look = {
        "anchor": "start",
        "fontSize": size,
        "subtitleFontSize": 11.5,
        "subtitleColor": "#565d68",
        "subtitlePadding": 5,
        "frame": "group",
    }
    own = textwrap.wrap(text, max(12, int(room / (size * 0.6))))  # a title does not make the picture wider
    return {"title": {"text": own if len(own) > 1 else "".join(own), "subtitle": lines, "offset": 12, **look}}


# Vega looks a text up among its signals, in an object that knows these of its own: nothing would be drawn.
INHERITED = frozenset(
    "constructor hasOwnProperty isPrototypeOf propertyIsEnumerable toLocaleString toString valueOf __proto__ "
    "__defineGetter__ __defineSetter__ __lookupGetter__ __lookupSetter__".split()
)


def _plainly(specification: dict[str, Any]) -> dict[str, Any]:
    """The specification with every such text as the value of a parameter."""
    params: list[dict[str, Any]] = specification["params"]

    def kept(words: Any) -> Any:
        if INHERITED.isdisjoint([words] if isinstance(words, str) else words):
            return words
        params.append({"name": f"words_{len(params)}", "value": words})
        return {"expr": params[-1]["name"]}

    def walk(part: dict[str, Any]) -> None:
        for place, names in ((part.get("title"), ("text", "subtitle")), (part.get("mark"), ("text",))):
            for name in names:
                if isinstance(place, dict) and isinstance(place.get(name), str | list):
                    place[name] = kept(place[name])
        for key in ("vconcat", "hconcat", "layer"):
            for inner in part.get(key, ()):
                walk(inner)

    walk(specification)
    return specification


def _says(view: View) -> list[str]:
    lines = []
    if view.provenance.random:
        lines.append("THE WEIGHTS ARE RANDOM: this network has learned nothing.")
    if view.provenance.draft:
        lines.append("Draft: made with fewer steps; icons and numbers may change.")
    lines += view.warnings
    for prediction in view.predictions:
        of = f" of {prediction.input}" if len(view.predictions) > 1 else ""
        top = ", ".join(f"{label} {prediction.words(share)}" for label, share in prediction.top[:5])
        lines.append(f"The model says{of}: {top}")
    return [part for line in lines for part in textwrap.wrap(line, 170)]


def _footer(view: View) -> dict[str, Any]:
    it = view.provenance
    versions = ", ".join(f"{name} {value}" for name, value in it.versions)
    settings = "; ".join(f"{name}: {value}" for name, value in it.settings)
    facts = [f"{it.model}, {it.weights}, {it.fingerprint}", f"seed {it.seed}", it.device, it.passes, settings, versions]
    lines = textwrap.wrap(" · ".join(fact for fact in facts if fact), 180) or [""]
    mark = {"type": "text", "text": lines, "align": "left", "baseline": "top", "fontSize": 11, "color": "#565d68"}
    return {
        "data": {"values": [{}]},
        "width": WIDTH,
        "height": 14 * len(lines),
        "mark": mark,
        "encoding": {"x": {"value": 0}, "y": {"value": 0}},
    }


# ---- selections as Vega-Lite parameters ------------------------------------------------------------------------------


def _interact(view: View, styles: Styles, params: dict[str, dict[str, Any]], parts: list[dict[str, Any]]) -> None:
    """Replaces the fixed states by expressions over parameters that a menu, a slider or the pointer sets."""
    selections = {selection.id: selection for selection in view.selections}
    hits = {layer["name"]: layer for layer in _named(parts)}
    for selection in view.selections:
        name = identifier(selection.id)
        start: str = str(-1 if selection.start is None else selection.start)
        source = next((e for e in elements(view) if e.id == selection.start_of), None)
        if source is not None:
            own = identifier(source.id)
            params[f"map_{own}_{name}"] = _map(source, selection)
            first = f"map_{own}_{name}[max(0, frames_{own}[0][state_{own}].atoms[0])]"
            start = f"(frames_{own}[0][state_{own}].atoms[0] >= 0 ? {first} : {start})"
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
    for element in elements(view):
        name = identifier(element.id)
        params[f"state_{name}"] = {"name": f"state_{name}", "expr": _state(element, selections)}
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


def _same_position(view: View, styles: Styles, params: dict[str, dict[str, Any]]) -> None:
    """Every grid of icons marks the cell at the position that is chosen, as in page.js."""
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


def _fade(view: View, styles: Styles, params: dict[str, dict[str, Any]]) -> None:
    """Groups that are not at the position chosen on masks fade, in every element that shows them, as in page.js."""
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
    """Row-major index, or that of the frame that draws nothing."""
    index, valid = "0", []
    for name in element.states:
        now = f"now_{identifier(name)}"
        index = f"({index} * {len(selections[name].atoms)} + {now})"
        valid.append(f"{now} >= 0")
    nothing = len(element.panels[0].frames) if element.panels else 0
    return f"{' && '.join(valid)} ? {index} : {nothing}" if valid else "0"


def _pointed(
    view: View, selection: Selection, hits: Mapping[str, dict[str, Any]], params: dict[str, dict[str, Any]]
) -> list[str]:
    """Gives the layers that take the pointer for this selection the index of its atom; their names."""
    name, found = identifier(selection.id), []
    for element in elements(view):
        layer = hits.get(f"front_hit_{identifier(element.id)}")
        driven = [*(target.selection for target in element.targets), *element.selects]
        if layer is None or selection.id not in driven:
            continue
        key = f"map_{identifier(element.id)}_{name}"
        params[key] = _map(element, selection)
        layer["transform"].append({"calculate": f"datum.atom >= 0 ? {key}[datum.atom] : -1", "as": f"of_{name}"})
        found.append(layer["name"])
    return found


def _map(element: Element, selection: Selection) -> dict[str, Any]:
    """Index of an element's atom -> index of the selection's."""
    known = {atom.key: index for index, atom in enumerate(selection.atoms)}
    value = [known.get(atom.key, -1) for atom in element.atoms]
    return {"name": f"map_{identifier(element.id)}_{identifier(selection.id)}", "value": value}


def _bind(selection: Selection) -> dict[str, Any]:
    title = re.sub(r"\s+", " ", selection.title or selection.id) + " "
    if selection.kind == "slider":
        return {"input": "range", "min": 0, "max": len(selection.atoms) - 1, "step": 1, "name": title}
    labels = [atom.label for atom in selection.atoms]
    return {"input": "select", "options": list(range(len(labels))), "labels": labels, "name": title}


def _named(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every layer that has a name, however deep."""
    found = []
    for part in parts:
        if "name" in part and "mark" in part:
            found.append(part)
        for key in ("vconcat", "hconcat", "layer"):
            found += _named(part.get(key, []))
    return found

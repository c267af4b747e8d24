"""A whole page as one Vega-Lite specification that needs no page script: for notebooks, editors and static pictures."""

from __future__ import annotations

import textwrap
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence

from bbilang.compiler.check.captions import REFERENCE
from bbilang.compiler.contract import ColourScale
from bbilang.runtime.json_types import JsonObject
from bbilang.runtime.vega.colours import SPOTLIGHT, stops, strip_png
from bbilang.runtime.vega.element import chipped, clipped, identifier, preferred_width
from bbilang.runtime.vega.selection_params import interact
from bbilang.runtime.vega.specification import SCHEMA, attach, layout, table
from bbilang.runtime.vega.theme import BLANK, FONT, TEXT, Theme
from bbilang.runtime.view.model import Element, Layout, View
from bbilang.runtime.view.states import answer_of, budget_of, layered, start_choices
from bbilang.runtime.view.styles import Styles, style_of

WIDTH, GAP, CHIP = 1080, 44, 104  # pixels: of the picture; between elements; of a chip and its word
SHARED = ("pictures", "blank", "room")


def specification(view: View, pictures: Sequence[str], styles: Styles, live: bool = True) -> JsonObject:
    """Return all elements as one concatenated specification; ``pictures`` are their addresses.

    Live, its menus, sliders and what is pointed at or clicked set its states; else it shows the start states. A click
    does not reset, of several grids of cells on one picture the finest takes the pointer, and no cell is enlarged.
    """
    params: dict[str, JsonObject] = {
        "pictures": {"name": "pictures", "value": list(pictures)},
        "blank": {"name": "blank", "value": BLANK},
    }
    datasets: JsonObject = {}
    parts = []
    for interface in view.interfaces:
        by_id = {element.id: element for element in interface.elements}
        placed: set[str] = set()

        def part(node: Layout, room: float, by_id: dict[str, Element] = by_id, placed: set[str] = placed) -> JsonObject:
            if isinstance(node, str):
                placed.add(node)
                return _element(view, by_id[node], int(room), styles, params, datasets, live)
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
            parts.append({"vconcat": body, "spacing": GAP, **_title(interface.title, [], 20, WIDTH)})
        else:
            parts += body
    if live:
        interact(view, styles, params, parts)
    return _plainly({
        "$schema": SCHEMA,
        **_title(view.title, _says(view), 32, WIDTH),
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
    params: dict[str, JsonObject],
    datasets: JsonObject,
    live: bool,
) -> JsonObject:
    """Return an element's layers under its title, with its parameters and data moved up to the whole."""
    one = layout(view, element, styles, Theme(room=room, standalone=True))
    tables = {part.id: _clipped(table(part)) for part in layered(element)}
    leading = {interface.lead for interface in view.interfaces}
    told = [
        _following(part, tables[part.id], room, key, words)
        for part in layered(element)
        for key, words in (("answer", answer_of), ("budget", budget_of))
        if key != "answer" or not part.caption or part.id in leading
    ]
    attach(one, {f"frames_{identifier(name)}": frames for name, frames in tables.items()})
    params.update({param["name"]: param for param in one["params"] if param["name"] not in SHARED})
    datasets.update(one["datasets"])
    chart = {key: one[key] for key in ("width", "height", "layer")}
    chosen = {part.id: "" if live else _chosen(view, part) for part in layered(element)}
    lines = [line for part in layered(element) for line in _words(part, room, part is not element, chosen[part.id])]
    scales = [(part, _scale_of(part, styles, over=part is not element)) for part in layered(element)]
    keys = [words for words in told if words]
    keys += [_scale(part, scale) for part, scale in scales if scale]
    keys += [_chips(part, room) for part in layered(element) if chipped(part)]
    chart |= _title(_named(element.title, chosen[element.id]), lines, 16, room)
    return {"vconcat": [chart, *keys], "spacing": 8} if keys else chart


def _clipped(frames: list[list[JsonObject]]) -> list[list[JsonObject]]:
    for frame in (frame for panel in frames for frame in panel):
        frame["label"], frame["series"] = clipped(frame["label"]), list(map(clipped, frame["series"]))
    return frames


def _chosen(view: View, element: Element) -> str:
    """Return what the element shows of, as beside its title on a page: the atoms pointed at or clicked at first."""
    now = start_choices(view)
    places = [(s, now[s.id]) for s in view.selections if s.id in element.states and s.kind in ("hover", "click")]
    atoms = [selection.atoms[place].label for selection, place in places if place is not None]
    return ", ".join(filter(None, map(clipped, atoms)))


def _named(title: str, chosen: str) -> str:
    """ "What contributes to channel 3" where the title leads up to it, else "Where it is active (channel 3)"."""
    if not chosen or not title:
        return title or chosen
    return f"{title} {chosen}" if title.endswith((" to", " of", " for", " at", " in")) else f"{title} ({chosen})"


def _words(element: Element, room: int, named: bool, chosen: str) -> list[str]:
    words = []
    name = _named(element.title, chosen) if named and element.title else ""
    if element.caption:
        words.append(REFERENCE.sub(r"\1", element.caption))
    if element.legend:
        it = element.legend
        start = f"{name}: {it.quantity}" if name else it.quantity[:1].upper() + it.quantity[1:]
        words.append(
            f"{start}{it.measured}, {_number(it.domain[0])} to {_number(it.domain[1])}"
            + "".join(f"; {part}" for part in (it.scope, *it.notes) if part)
            + "."
        )
        words = [*(f"\u26a0 {warning}" for warning in it.warnings), *words]
        words += [f"{one.title} ({one.source}): {one.words}. {one.means.capitalize()}." for one in it.trust]
    elif name:
        words.insert(0, f"{name}.")
    return [line for word in words for line in textwrap.wrap(word, max(24, int(room / 6.4)))]


def _number(value: float) -> str:
    return f"{value:g}".replace("-", "\u2212")


def _scale_of(element: Element, styles: Styles, over: bool) -> ColourScale:
    return style_of(element, styles).colour_scale(element, over) if element.legend is not None else ""


def _scale(element: Element, scale: ColourScale) -> JsonObject:
    """Return a strip with the colours of a map, from the lower to the upper end of its scale."""
    low, high = element.legend.domain if element.legend else (0.0, 1.0)
    signed = bool(element.legend and element.legend.signed)
    strip = strip_png(SPOTLIGHT if scale == "spotlight" else stops(signed))
    corner = {"x": {"value": 40}, "y": {"value": 0}}
    text = {"type": "text", "baseline": "top", "fontSize": TEXT}
    image = {"type": "image", "width": 120, "height": 10, "aspect": False, "align": "left", "baseline": "top"}
    url = f"data:image/png;base64,{b64encode(strip).decode()}"
    return {
        "data": {"values": [{}]},
        "width": 200,
        "height": 12,
        "layer": [
            {"mark": {**image, "url": url}, "encoding": corner},
            {"mark": {**text, "text": _number(low), "align": "right"}, "encoding": {**corner, "x": {"value": 34}}},
            {"mark": {**text, "text": _number(high), "align": "left"}, "encoding": {**corner, "x": {"value": 166}}},
        ],
    }


def _chips(element: Element, room: int) -> JsonObject:
    """Return the key of the groups' or components' colours in the state shown."""
    name = identifier(element.id)
    frame = f"frames_{name}[0][state_{name}]"
    most = max(len(frame.series) for panel in element.panels for frame in panel.frames)
    across = max(1, room // CHIP)
    base = {
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
    text = {"type": "text", "align": "left", "baseline": "middle", "fontSize": TEXT, "dx": 19, "dy": 8}
    return {
        **base,
        "transform": [{"calculate": value, "as": key} for key, value in made.items()],
        "layer": [
            {"mark": square, "encoding": at},
            {"mark": text, "encoding": {**at, "text": {"field": "words", "type": "nominal"}}},
        ],
    }


def _following(
    element: Element, frames: list[list[JsonObject]], room: int, key: str, words_of: Callable[[Element, int], str]
) -> JsonObject | None:
    """Return words that follow the state shown, wrapped into the first panel's frames as ``key``; None for nothing."""
    most = 0
    for state, frame in enumerate(frames[0] if frames else []):
        lines = words_of(element, state).split("\n")
        wrapped = [part for line in lines for part in textwrap.wrap(line, max(24, int(room / 5.6)))]
        frame[key] = wrapped
        most = max(most, len(wrapped))
    if not most:
        return None
    name = identifier(element.id)
    words = {"expr": f"frames_{name}[0][state_{name}].{key}"}
    mark = {"type": "text", "align": "left", "baseline": "top", "fontSize": 11.5, "lineHeight": 15, "text": words}
    corner = {"x": {"value": 0}, "y": {"value": 0}}
    return {"data": {"values": [{}]}, "width": room, "height": 15 * most, "mark": mark, "encoding": corner}


def _title(text: str, lines: list[str], size: int, room: float) -> JsonObject:
    style = {
        "anchor": "start",
        "fontSize": size,
        "subtitleFontSize": TEXT,
        "subtitleColor": "#565d68",
        "subtitlePadding": 5,
        "frame": "group",
    }
    own = textwrap.wrap(text, max(12, int(room / (size * 0.6))))  # a title does not make the picture wider
    return {"title": {"text": own if len(own) > 1 else "".join(own), "subtitle": lines, "offset": 12, **style}}


# Vega looks a text up among its signals, in an object that knows these of its own: nothing would be drawn.
INHERITED = frozenset(
    "constructor hasOwnProperty isPrototypeOf propertyIsEnumerable toLocaleString toString valueOf __proto__ "
    "__defineGetter__ __defineSetter__ __lookupGetter__ __lookupSetter__".split()
)


def _plainly(specification: JsonObject) -> JsonObject:
    """Replace every such text in the specification by the value of a parameter."""
    params: list[JsonObject] = specification["params"]

    def as_parameter(words: str | list[str]) -> str | list[str] | JsonObject:
        if INHERITED.isdisjoint([words] if isinstance(words, str) else words):
            return words
        params.append({"name": f"words_{len(params)}", "value": words})
        return {"expr": params[-1]["name"]}

    def walk(part: JsonObject) -> None:
        for texts, names in ((part.get("title"), ("text", "subtitle")), (part.get("mark"), ("text",))):
            for name in names:
                if isinstance(texts, dict) and isinstance(texts.get(name), str | list):
                    texts[name] = as_parameter(texts[name])
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
        of = f" of {prediction.input}" if len({one.input for one in view.predictions}) > 1 else ""
        top = ", ".join(f"{label} {prediction.words(share)}" for label, share in prediction.top[:5])
        lines.append(f"{prediction.model or 'The model'} says{of}: {top}")
    return [part for line in lines for part in textwrap.wrap(line, 150)]


def _footer(view: View) -> JsonObject:
    it = view.provenance
    versions = ", ".join(f"{name} {value}" for name, value in it.versions)
    settings = "; ".join(f"{name}: {value}" for name, value in it.settings)
    facts = [f"{it.model}, {it.weights}, {it.fingerprint}", f"seed {it.seed}", it.device, it.passes, settings, versions]
    lines = textwrap.wrap(" · ".join(fact for fact in facts if fact), 150) or [""]
    mark = {"type": "text", "text": lines, "align": "left", "baseline": "top", "fontSize": TEXT, "color": "#565d68"}
    return {
        "data": {"values": [{}]},
        "width": WIDTH,
        "height": 16 * len(lines),
        "mark": mark,
        "encoding": {"x": {"value": 0}, "y": {"value": 0}},
    }

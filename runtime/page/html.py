"""Render a view as one HTML file that makes no network requests, and extract the .bbi text from such a file."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from bbilang.compiler.check.captions import REFERENCE
from bbilang.runtime.inputs.arguments import wrong
from bbilang.runtime.page import javascript as bundle
from bbilang.runtime.page.packing import KEYS, Lists, sheeted
from bbilang.runtime.page.script import script
from bbilang.runtime.vega import colours as colour
from bbilang.runtime.vega.element import cells, chipped, identifier, preferred_width
from bbilang.runtime.vega.specification import layouts, picture_uris, table
from bbilang.runtime.view.caption_references import refers
from bbilang.runtime.view.implicit_selections import IMPLICIT_TITLES
from bbilang.runtime.view.model import Element, Interface, Layout, Legend, Selection, View
from bbilang.runtime.view.states import elements, layered
from bbilang.runtime.view.styles import Styles, enlarges_cells, style_of

NOTHING_ELSE = "base-uri 'none'; form-action 'none'"
SOURCE = re.compile(r'<script type="text/plain" id="bbi-source"[^>]*>(.*?)</script>', re.DOTALL)


def render(view: View, styles: Styles) -> str:
    """The page of a View as HTML: the same View gives the same bytes. Raises ValueError for an unknown style."""
    text = script()
    libraries = bundle.javascript()
    return (
        _template()
        .render(
            view=view,
            thumbnails=picture_uris(view),
            interfaces=[_interface(view, interface, styles) for interface in view.interfaces],
            policy=_policy(libraries, text),
            style=Markup(_text("page.css")),
            libraries=Markup(libraries),
            script=Markup(text),
            data=Markup(_json(_data(view, styles))),
            source=Markup(_pack(view.source)),
        )
        .lstrip()
    )


def extract(html: str) -> str:
    """The .bbi text that a page was made from; nothing in the page is run. Raises ValueError where there is none,
    BbiError E423 for what is no str."""
    if not isinstance(html, str):
        wrong("html", html, "a str: the text of the page")
    match = SOURCE.search(html)
    if match is None:
        raise ValueError("this file carries no .bbi source: it is not a page made by bbi, or its source was removed")
    return match[1].replace("&#13;", "\r").replace("&lt;", "<").replace("&amp;", "&")


def _pack(source: str) -> str:
    """Readable in the file, and nothing in it can end the script element. A bare CR would not survive HTML's parser."""
    return source.replace("&", "&amp;").replace("<", "&lt;").replace("\r", "&#13;")


def _json(value: object) -> str:
    """JSON that may stand in a script element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _policy(*scripts: str) -> str:
    """Content security policy: these scripts, no others, no evaluation of text, no request."""
    hashes = " ".join(f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts)
    return f"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src {hashes}; {NOTHING_ELSE}"


def _data(view: View, styles: Styles) -> dict[str, Any]:
    """What the page's script works on."""
    hosts = {part.id: e.id for i in view.interfaces for e in i.elements for part in layered(e)}
    lists = Lists()
    pictures, sheets = sheeted(view.pictures)
    return {
        "selections": [
            {
                "id": s.id,
                "kind": s.kind,
                "title": s.title,
                "spoken": s.title if s.title in IMPLICIT_TITLES else "",  # others are named as a variable of the text
                "atoms": [[a.key, a.label] for a in s.atoms],
                "start": s.start,
                "startOf": s.start_of,
                "resets": s.resets,
                "leaves": s.leaves,
            }
            for s in view.selections
        ],
        "elements": [
            {
                "id": e.id,
                "name": identifier(e.id),
                "title": e.title,
                "host": hosts[e.id],
                "states": e.states,
                "selects": e.selects,
                "atoms": [[a.key, a.label] for a in e.atoms],
                "slotAxis": e.slot_axis,
                "seriesAxis": e.series_axis,
                "facetAxis": e.facet_axis,
                "frames": [[lists.numbers(frame) for frame in panel] for panel in table(e)],
                "grid": enlarges_cells(e, styles),
                "fades": style_of(e, styles).fades_groups,
                "shapes": [panel.shape for panel in e.panels],
                "targets": [{"selection": t.selection, "shape": t.shape, "atoms": t.atoms} for t in e.targets],
            }
            for e in elements(view)
        ],
        "specs": layouts(view, styles),
        "keys": list(KEYS),
        "lists": lists.values,
        "pictures": pictures,
        "sheets": sheets,
    }


def _interface(view: View, interface: Interface, styles: Styles) -> dict[str, Any]:
    """What the template lays out: a tree of rows, columns and figures; the menus of this interface."""
    by_id = {element.id: element for element in interface.elements}
    inside = [inner for element in interface.elements for inner in layered(element)]
    used = {name for element in inside for name in (*element.states, *element.selects)}
    used |= {target.selection for element in inside for target in element.targets}
    placed: set[str] = set()

    def tree(layout: Layout) -> dict[str, Any]:
        if isinstance(layout, str):
            placed.add(layout)
            return _figure(view, by_id[layout], used, styles)
        kind, parts = layout
        return {"kind": kind, "parts": [tree(part) for part in parts]}

    root = tree(interface.layout)
    rest = [tree(element.id) for element in interface.elements if element.id not in placed]
    return {
        "title": interface.title,
        "layout": {"kind": "column", "parts": [root, *rest]} if rest else root,
        "controls": [
            *(_control(s) for s in view.selections if s.id in used and s.kind in ("pick", "slider")),
            *_flows(interface, view.selections, styles),
        ],
    }


def _control(selection: Selection) -> dict[str, Any]:
    """A menu, a slider, or for the numbers 0 and 1 a switch."""
    labels = [atom.label for atom in selection.atoms]
    kind = "switch" if selection.kind == "slider" and labels == ["0", "1"] else selection.kind
    return {"kind": kind, "id": selection.id, "title": selection.title, "options": list(enumerate(labels))}


def _flows(interface: Interface, selections: Sequence[Selection], styles: Styles) -> Iterator[dict[str, Any]]:
    """For each flow that ends in several classes a menu of them: what clicking a class does, where it is not drawn."""
    drawn = [element for element in interface.elements if style_of(element, styles).follows_links]
    for element in drawn:
        for selection in selections:
            if selection.kind != "click" or not selection.resets or selection.id not in element.selects:
                continue
            own = {atom.key for atom in element.atoms}
            classes = [(i, atom.label) for i, atom in enumerate(selection.atoms)
                       if atom.key in own and re.fullmatch(r"\S*output class=\d+", atom.key)]  # fmt: skip
            if len(classes) > 1:
                title = "what leads to" if len(drawn) == 1 else f"{element.title}: what leads to"
                yield {"kind": "flow", "id": selection.id, "title": title, "options": [(-1, "all of them"), *classes]}


def _figure(view: View, element: Element, used: set[str], styles: Styles) -> dict[str, Any]:
    related = [selection for selection in view.selections if selection.id in used]
    kinds = {selection.id: selection.kind for selection in view.selections}
    parts = list(layered(element))
    pointed = [*element.selects, *(target.selection for target in element.targets)]
    slot = element.slot_axis.replace(".", " ") or "part of it"
    thing = "a position" if element.targets or cells(element) else f"a {slot}"
    return {
        "kind": "element",
        "element": element,
        "weight": preferred_width(element, styles),
        "caption": _caption(element.caption, related),
        "legend": _legend(element, styles, over=False),
        "chips": chipped(element),
        "remarks": remarks(element),
        "budget": budgeted(element),
        "overlays": [
            {
                "element": overlay,
                "caption": _caption(overlay.caption, related),
                "legend": _legend(overlay, styles, over=True),
                "chips": chipped(overlay),
                "remarks": remarks(overlay),
                "budget": budgeted(overlay),
            }
            for overlay in parts[1:]
        ],
        "tables": [part for part in parts if any(f.values for p in part.panels for f in p.frames)],
        "live": {part.id: any(kinds[name] in ("hover", "click") for name in part.states) for part in parts},
        "hint": _hint([kinds[name] for name in pointed if name in kinds], thing),
        "pointed": bool(pointed),
    }


def remarks(element: Element) -> bool:
    """Whether some state has a remark of its own."""
    return any(frame.remark for panel in element.panels for frame in panel.frames)


def budgeted(element: Element) -> bool:
    """Whether the numbers of some state add up to something."""
    return any(frame.budget for panel in element.panels for frame in panel.frames)


def _hint(kinds: list[str], thing: str) -> str:
    if not kinds:
        return ""
    verb = "Point at or tap" if "hover" in kinds else "Click or tap"
    if {"hover", "click"} <= set(kinds):
        verb = "Point at, click or tap"
    return f"{verb} {thing}, or use the arrow keys."


def _legend(element: Element, styles: Styles, over: bool) -> dict[str, Any] | None:
    legend: Legend | None = element.legend
    if legend is None:
        return None
    low, high = legend.domain
    scale = style_of(element, styles).colour_scale(element, over)
    return {
        "quantity": legend.quantity,
        "unit": legend.unit,
        "scope": legend.scope,
        "notes": legend.notes,
        "trust": legend.trust,
        "low": _number(low),
        "high": _number(high),
        "zero": 100 * -low / (high - low) if low < 0 < high else None,
        "colours": colour.stops(legend.signed, over=scale == "light") if scale else (),
    }


def _number(value: float) -> str:
    return f"{value:.4g}".replace("-", "−")


def _caption(caption: str, selections: list[Selection]) -> list[tuple[str, str]]:
    """Pieces of a caption: (words, JSON of [[selection, index], ...]), the latter empty for plain text."""
    pieces, end = [], 0
    for match in REFERENCE.finditer(caption):
        pieces.append((caption[end : match.start()], ""))
        pieces.append((match[1], _targets(match[2].strip(), selections)))
        end = match.end()
    return [piece for piece in (*pieces, (caption[end:], "")) if piece[0]]


def _targets(reference: str, selections: list[Selection]) -> str:
    targets = []
    for selection in selections:
        index = next((i for i, atom in enumerate(selection.atoms) if refers(reference, atom)), None)
        if index is not None:
            targets.append([selection.id, index])
    return json.dumps(targets) if targets else ""


@lru_cache(maxsize=1)
def _template():
    environment = Environment(
        loader=FunctionLoader(_text), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["code"] = with_code
    return environment.get_template("page.html")


def with_code(words: str) -> Markup:
    """Words with what stands between backticks set as code. Everything else in them stays text."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(words))))


@lru_cache(maxsize=8)
def _text(name: str) -> str:
    return (files("bbilang.runtime.page") / name).read_text(encoding="utf-8")

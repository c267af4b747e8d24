"""Render a view as one HTML file that makes no network requests, and extract the .bbi text from such a file."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from bbilang.compiler.check.present import INPUT_PICKER
from bbilang.runtime.inputs.arguments import wrong
from bbilang.runtime.json_types import JsonObject
from bbilang.runtime.page import javascript as bundle
from bbilang.runtime.page.figures import ask, laid_out
from bbilang.runtime.page.packing import KEYS, Lists, packed, sheeted, sounds_of, unpacked
from bbilang.runtime.page.point_header import following_header, point_header
from bbilang.runtime.page.script import script
from bbilang.runtime.page.size import check_size
from bbilang.runtime.page.space import letter, page_colour
from bbilang.runtime.vega.drawable import beyond
from bbilang.runtime.vega.element import identifier
from bbilang.runtime.vega.specification import layouts, picture_uris, table
from bbilang.runtime.view.model import Element, Selection, View
from bbilang.runtime.view.states import elements, layered, start_states
from bbilang.runtime.view.styles import Styles, enlarges_cells, style_of

NOTHING_ELSE = "base-uri 'none'; form-action 'none'"
GLANCE = 4  # predictions, one below the other
SAVES = 50_000  # bytes that compressing the data must save: what can be read in the file stays so else
DATA = re.compile(r'<script type="[a-z/]*" id="bbi-data"( data-packed="gzip")?>(.*?)</script>', re.DOTALL)
SOURCE = re.compile(r'<script type="text/plain" id="bbi-source"[^>]*>(.*?)</script>', re.DOTALL)


def render(view: View, styles: Styles) -> str:
    """Render a View as HTML, deterministically. Raises ValueError for an unknown style,
    BbiError E312 for a page too large to open."""
    data = _data(view, styles)
    vega = any(map(beyond, data["specs"].values()))
    sets = {identifier(e.id): b64encode(packed.payload).decode() for e in elements(view)
            if (packed := e.points or e.follows) is not None}  # fmt: skip
    detailed = any(e.details for e in elements(view))
    sounding = any(picture.sound for picture in view.pictures)
    film = any(selection.times for selection in view.selections)
    space = any(e.grids for e in elements(view))
    text, states = script(vega, bool(sets), detailed, sounding, film, space), start_states(view)
    html = (
        _template()
        .render(
            view=view,
            thumbnails=picture_uris(view),
            followed=_followed(view),
            interfaces=[laid_out(view, interface, styles, states) for interface in view.interfaces],
            policy=_policy(*([bundle.announced()] if vega else []), text, sounding=sounding),
            style=style_sheet(space),
            libraries=Markup(bundle.packed() if vega else ""),
            script=Markup(text),
            data=_block(_json(data)),
            points=sets,
            source=Markup(_pack(view.source)),
        )
        .lstrip()
    )
    check_size(html, view, sum(map(len, sets.values())))
    return html


def _followed(view: View) -> str:
    """Return the id of the choice among inputs where predictions follow it: of a film, and of more inputs than are
    read at a glance; empty where each has its own line."""
    pickers = (s for s in view.selections if s.id == INPUT_PICKER)
    return next((s.id for s in pickers if s.times or len(s.atoms) > GLANCE), "")


def extract(html: str) -> str:
    """Extract the .bbi text that a page was made from, without running any code in it. Raises ValueError if there is
    none, BbiError E423 for an argument that is not a str."""
    if not isinstance(html, str):
        wrong("html", html, "a str: the text of the page")
    match = SOURCE.search(html)
    if match is None:
        raise ValueError("this file carries no .bbi source: it is not a page made by bbi, or its source was removed")
    return match[1].replace("&#13;", "\r").replace("&lt;", "<").replace("&amp;", "&")


def _pack(source: str) -> str:
    """Escape a script so that it stays readable and cannot end its element. A bare CR would not survive HTML's
    parser."""
    return source.replace("&", "&amp;").replace("<", "&lt;").replace("\r", "&#13;")


def _json(value: object) -> str:
    """Write JSON that is safe in a script element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _block(json: str) -> Markup:
    """Return the page's data as an element, compressed if that saves ``SAVES`` bytes."""
    text = packed(json)
    if len(text) + SAVES < len(json.encode()):
        return Markup(f'<script type="text/plain" id="bbi-data" data-packed="gzip">{text}</script>')
    return Markup(f'<script type="application/json" id="bbi-data">{json}</script>')


def data_of(html: str) -> JsonObject:
    """Return the data of a page's script. Raises ValueError if there is none."""
    match = DATA.search(html)
    if match is None:
        raise ValueError("this file carries no data: it is not a page made by bbi")
    return json.loads(unpacked(match[2]) if match[1] else match[2])


def _policy(*scripts: str, sounding: bool = False) -> str:
    """Return the content security policy: these scripts, no others, no evaluation of text, no request. ``sounding``:
    the page carries sounds."""
    hashes = " ".join(f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts)
    images = "img-src data: blob:" + ("; media-src data:" if sounding else "")
    return f"default-src 'none'; {images}; style-src 'unsafe-inline'; script-src {hashes}; {NOTHING_ELSE}"


def addresses(selections: Sequence[Selection]) -> dict[str, str]:
    """Return the name of each selection in the page's address: its title if that is unique, else its id."""
    ids = {selection.id for selection in selections}
    titles = Counter(selection.address for selection in selections)
    return {s.id: s.address if s.address and titles[s.address] == 1 and s.address not in ids else s.id
            for s in selections}  # fmt: skip


def _data(view: View, styles: Styles) -> JsonObject:
    """Return the data of the page's script."""
    hosts = {part.id: e.id for i in view.interfaces for e in i.elements for part in layered(e)}
    lists = Lists()
    pictures, sheets = sheeted(view.pictures)
    names = addresses(view.selections)
    return {
        "selections": [
            {
                "id": s.id,
                "kind": s.kind,
                "title": s.title,
                "spoken": s.title if s.spoken else "",
                "address": names[s.id],
                "ask": ask(s, view),
                "atoms": [[a.key, a.label, a.text, *([a.more] if a.more else [])] for a in s.atoms],
                "start": s.start,
                "startOf": s.start_of,
                "startNumber": s.start_number,
                "resets": s.resets,
                "leaves": s.leaves,
                **({"zooms": s.zooms} if s.zooms else {}),
                **({"times": s.times} if s.times else {}),
            }
            for s in view.selections
        ],
        "elements": [_element(e, hosts[e.id], lists, styles) for e in elements(view)],
        "specs": layouts(view, styles, with_points=False),
        "keys": list(KEYS),
        "lists": lists.values,
        "pictures": pictures,
        "sheets": sheets,
        **sounds_of(view.pictures),
        **({"alts": [p.alt for p in view.pictures]} if any(e.details for e in elements(view)) else {}),
    }


def _element(e: Element, host: str, lists: Lists, styles: Styles) -> JsonObject:
    """Return what the page's script knows of one element. ``host``: the element whose chart draws it."""
    return {
        "id": e.id,
        "name": identifier(e.id),
        "title": e.title,
        "host": host,
        "states": e.states,
        "selects": e.selects,
        "atoms": [[a.key, a.label, a.text, *([a.more] if a.more else [])] for a in e.atoms],
        "pipe": e.pipe,
        "classPipe": e.class_pipe,
        "groupPipe": e.group_pipe,
        "layerPipes": e.layer_pipes,
        **({"objection": e.objection} if e.objection else {}),
        "slotAxis": e.slot_axis,
        "seriesAxis": e.series_axis,
        "facetAxis": e.facet_axis,
        "unit": _unit(e),
        "facetKeys": [panel.key for panel in e.panels],
        "frames": [[lists.numbers(frame) for frame in panel] for panel in table(e)],
        "grid": enlarges_cells(e, styles),
        "fades": style_of(e, styles).fades_groups,
        "shapes": [panel.shape for panel in e.panels],
        "answers": [lists.number([[p.words, p.atom] if p.atom >= 0 else p.words for p in a]) for a in e.answers],
        "targets": [{"selection": t.selection, "shape": t.shape, "atoms": t.atoms} for t in e.targets],
        **({"points": point_header(e.points)} if e.points else {}),
        **({"follows": following_header(e.follows)} if e.follows else {}),
        **({"details": list(map(astuple, e.details))} if e.details else {}),
        **({"time": astuple(e.over_time)} if e.over_time else {}),
        **{name: e.options[name] for name in ("sides", "bins", "asides") if name in e.options},
    }


def _unit(element: Element) -> str:
    """Return the unit in the head of a table, or the quantity if there is no unit."""
    legend = element.legend
    return "" if legend is None else legend.table_unit or legend.quantity


def style_sheet(space: bool) -> Markup:
    """Return the style of a page. ``space``: it has grids of where pages lie."""
    return Markup(_text("page.css") + (_text("space.css") if space else ""))


@lru_cache(maxsize=1)
def _template():
    return environment().get_template("page.html")


def environment() -> Environment:
    """Return what fills the templates of this folder."""
    made = Environment(
        loader=FunctionLoader(_text), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {"code": with_code, "letter": letter, "page_colour": page_colour}
    return made


def with_code(words: str) -> Markup:
    """Escape words, and set text between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(words))))


@lru_cache(maxsize=8)
def _text(name: str) -> str:
    return (files("bbilang.runtime.page") / name).read_text(encoding="utf-8")

"""The layout data for the page template: interfaces as trees of rows, columns and figures, with their menus."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from bbilang.compiler.check.captions import REFERENCE
from bbilang.compiler.contract import ColourScale
from bbilang.runtime.vega import colours as colour
from bbilang.runtime.vega.element import cells, chipped, preferred_width, readable
from bbilang.runtime.view.atom_words import refers
from bbilang.runtime.view.implicit_selections import EVERY
from bbilang.runtime.view.model import Element, Interface, Layout, Legend, Selection, View
from bbilang.runtime.view.states import answer_of, layered
from bbilang.runtime.view.styles import Styles, style_of

POINT_HINT = (
    "Drag to move, scroll with Ctrl or pinch to zoom, drag with Shift (or “lasso”) to choose points. Keys: arrows go "
    "from point to point, + and − zoom, 0 shows all, R draws a rectangle that chooses points, Escape lets go."
)

ZOOM_HINT = " The buttons, + and − or Ctrl with the wheel zoom."

Variables: TypeAlias = dict[str, Any]  # of the templates


def laid_out(view: View, interface: Interface, styles: Styles, states: Mapping[str, int]) -> Variables:
    """Build what the template lays out: a tree of rows, columns and figures; the menus of this interface. ``states``:
    the initial frame of each element."""
    by_id = {element.id: element for element in interface.elements}
    inside = [inner for element in interface.elements for inner in layered(element)]
    used = {name for element in inside for name in (*element.states, *element.selects)}
    used |= {target.selection for element in inside for target in element.targets}
    placed: set[str] = set()
    hinted = False  # how to point is said once

    def tree(layout: Layout) -> Variables:
        nonlocal hinted
        if isinstance(layout, str):
            placed.add(layout)
            figure = _figure(view, interface, by_id[layout], used, styles, states)
            said = figure["pointed"] and bool(figure["hint"])
            figure["hinted"], hinted = said and not hinted, hinted or said
            return figure
        kind, parts = layout
        return {"kind": kind, "parts": [tree(part) for part in parts]}

    root = tree(interface.layout)
    rest = [tree(element.id) for element in interface.elements if element.id not in placed]
    return {
        "title": interface.title,
        "leading": next((by_id[name].title for name in (interface.lead,) if name), ""),
        "lead": next((_answer(by_id[name], states, leads=True) for name in (interface.lead,) if name), None),
        "layout": {"kind": "column", "parts": [root, *rest]} if rest else root,
        "controls": [
            *(_control(s) for s in view.selections if s.id in used and not s.zooms and s.kind in ("pick", "slider")),
            *_flows(interface, view.selections, styles),
        ],
    }


def _control(selection: Selection) -> Variables:
    """Return a menu, a slider, for the numbers 0 and 1 a switch, or for frames a player."""
    labels = [atom.label for atom in selection.atoms]
    kind: str = "player" if selection.times else selection.kind
    if kind == "slider" and labels == ["0", "1"]:
        kind = "switch"
    return {"kind": kind, "id": selection.id, "title": selection.title, "options": list(enumerate(labels))}


def _flows(interface: Interface, selections: Sequence[Selection], styles: Styles) -> Iterator[Variables]:
    """Yield a menu of the classes for each flow that ends in several. Choosing a class, drawn or not, does what
    clicking it does."""
    drawn = [element for element in interface.elements if style_of(element, styles).follows_links]
    for element in drawn:
        for selection in selections:
            if selection.kind != "click" or not selection.resets or selection.id not in element.selects:
                continue
            own = {atom.key for atom in element.atoms}
            classes = [(i, atom.label) for i, atom in enumerate(selection.atoms)
                       if atom.key in own and re.fullmatch(r"\S*output class=\d+", atom.key)]  # fmt: skip
            if len(classes) > 1:
                title = "What leads to" if len(drawn) == 1 else f"{element.title}: what leads to"
                every = [(i, atom.label) for i, atom in enumerate(selection.atoms) if atom == EVERY]
                every = every or [(-1, EVERY.label)]  # the selection's start, where no class is selected then
                yield {"kind": "flow", "id": selection.id, "title": title, "options": [*classes, *every]}


def _figure(
    view: View, interface: Interface, element: Element, used: set[str], styles: Styles, states: Mapping[str, int]
) -> Variables:
    related = [selection for selection in view.selections if selection.id in used]
    kinds = {selection.id: selection.kind for selection in view.selections}
    parts = list(layered(element))
    pointed = drives(element)
    slot = {"query": "word"}.get(element.slot_axis, element.slot_axis.replace(".", " ") or "part of it")
    thing = "a position" if element.targets or cells(element) else f"{'an' if slot[0] in 'aeiou' else 'a'} {slot}"
    hint = POINT_HINT if element.points else _hint([kinds[name] for name in pointed if name in kinds], thing)
    zooms = next((selection for selection in related if selection.zooms == element.id), None)
    hint += ZOOM_HINT if zooms is not None and hint else ""
    read = readable(element) or "asides" in element.options
    if read and not hint:
        thing = "a cell" if "asides" in element.options else "a position"
        hint = f"Point at or tap {thing} to read its value, or use the arrow keys."
    return {
        "kind": "element",
        "weight": preferred_width(element, styles),
        **_part(element, related, styles, None if element.id == interface.lead else _answer(element, states), False),
        "overlays": [_part(over, related, styles, _answer(over, states), over=True) for over in parts[1:]],
        "tables": [
            part for part in parts if part.points or any(f.values or f.coarse for p in part.panels for f in p.frames)
        ],
        "unsaved": any(pictured(part) for part in parts),
        "live": {part.id: any(kinds[name] in ("hover", "click") for name in part.states) for part in parts},
        "docked": docked(element, interface, styles),
        "photo": style_of(element, styles).shows_input,
        "hint": hint,
        "zooms": [atom.label for atom in zooms.atoms] if zooms is not None else [],
        "pointed": bool(pointed) or element.points is not None,
        "read": read,
        "sounding": [part.id for part in parts if sounding(part, view)],
        "copied": any(has_pipe(part) and (drives(part) or not cells(part)) for part in parts),
        "readable": bool(hint) or any(part.legend for part in parts),
    }


def _answer(element: Element, states: Mapping[str, int], leads: bool = False) -> Variables | None:
    """Return the element's sentence in the initial state; None if it has none, or a caption in its place. ``leads``: it
    stands under the title of the interface, whatever the caption."""
    if not element.answers or (element.caption and not leads):
        return None
    return {"id": element.id, "words": answer_of(element, states[element.id])}


def _part(
    element: Element, related: Sequence[Selection], styles: Styles, answer: Variables | None, over: bool
) -> Variables:
    """Build what stands below a picture for one element, or for an overlay."""
    return {
        "element": element,
        "caption": _caption(element.caption, related),
        "answer": answer,
        "legend": _legend(element, styles, over),
        "chips": chipped(element),
        "remarks": remarks(element),
        "budget": has_budget(element),
    }


def ask(selection: Selection, view: View) -> str:
    """Return the instruction for the reader, such as "point at a position in “The photo”"; empty for menus."""
    if selection.kind not in ("hover", "click"):
        return ""
    where = next((e.title for i in view.interfaces for e in i.elements for part in layered(e)
                  if selection.id in drives(part)), "")  # fmt: skip
    parts = set(re.findall(r" ([\w.]+)=", selection.atoms[0].key)) if selection.atoms else set()
    names = sorted(parts - {"y", "x"})
    thing = names[-1].replace(".", " ") if len(names) == 1 and not parts & {"y", "x"} else "position"
    thing = thing if parts <= {"y", "x"} or len(parts) == 1 else "neuron"
    verb = "point at" if selection.kind == "hover" else "click"
    return f"{verb} {'an' if thing[0] in 'aeiou' else 'a'} {thing}" + (f" in “{where}”" if where else "")


def has_pipe(element: Element) -> bool:
    """Return whether a pipe can be copied for some of the element's atoms."""
    return any(atom.text for atom in element.atoms) and any(
        (element.pipe, element.class_pipe, element.group_pipe, element.layer_pipes, element.objection)
    )


def drives(element: Element) -> list[str]:
    """Return the ids of the selections that the marks and positions of an element drive."""
    return [*element.selects, *(target.selection for target in element.targets)]


def docked(element: Element, interface: Interface, styles: Styles) -> bool:
    """Return whether a phone keeps the picture in view while the reader taps below it: it shows the input, and pointing
    at it changes what is below, or the other way round."""
    if not style_of(element, styles).shows_input:
        return False
    own = {name for part in layered(element) for name in part.states}
    order = list(_order(interface.layout))
    order += [other.id for other in interface.elements if other.id not in order]
    after = set(order[order.index(element.id) + 1 :])
    others = [part for other in interface.elements if other.id in after for part in layered(other)]
    return any(own & set(drives(other)) or set(drives(element)) & set(other.states) for other in others)


def _order(layout: Layout) -> Iterator[str]:
    """Return the ids of elements in the order of a narrow page, from top to bottom."""
    if isinstance(layout, str):
        yield layout
    else:
        for part in layout[1]:
            yield from _order(part)


def sounding(element: Element, view: View) -> bool:
    """Return whether some picture of the element is of a sound, which a reader can play."""
    shown = {number for panel in element.panels for frame in panel.frames for number in frame.pictures if number >= 0}
    return any(view.pictures[number].sound for number in shown)


def remarks(element: Element) -> bool:
    """Return whether some state has a remark of its own."""
    return any(frame.remark for panel in element.panels for frame in panel.frames)


def pictured(element: Element) -> bool:
    """Return whether the element shows numbers only as colours of a picture, so that the page has none to save."""
    frames = [frame for panel in element.panels if panel.shape != (0, 0) for frame in panel.frames]
    return element.legend is not None and bool(frames) and not any(frame.values or frame.coarse for frame in frames)


def has_budget(element: Element) -> bool:
    """Return whether the numbers of some state add up to something."""
    return any(frame.budget for panel in element.panels for frame in panel.frames)


def _hint(kinds: list[str], thing: str) -> str:
    if not kinds:
        return ""
    verb = "Point at or tap" if "hover" in kinds else "Click or tap"
    if {"hover", "click"} <= set(kinds):
        verb = "Point at, click or tap"
    return f"{verb} {thing}, or use the arrow keys."


def _legend(element: Element, styles: Styles, over: bool) -> Variables | None:
    legend: Legend | None = element.legend
    if legend is None:
        return None
    low, high = legend.domain
    scale = style_of(element, styles).colour_scale(element, over)
    return {
        "quantity": legend.quantity,
        "measured": legend.measured,
        "scope": legend.scope,
        "notes": legend.notes,
        "trust": legend.trust,
        "low": _number(low),
        "high": _number(high),
        "kind": f"{scale} signed" if legend.signed else scale,
        "colours": _colours(scale, legend.signed),
    }


def _colours(scale: ColourScale, signed: bool) -> tuple[str, ...]:
    """Return the colours of a legend's strip."""
    kinds = {"": (), "full": colour.stops(signed), "map": colour.see_through(signed), "spotlight": colour.SPOTLIGHT}
    return kinds[scale]


def _number(value: float) -> str:
    return f"{value:.4g}".replace("-", "−")


def _caption(caption: str, selections: Sequence[Selection]) -> list[tuple[str, str]]:
    """Split a caption into (words, JSON of [[selection, index], ...]), the latter empty for plain text."""
    pieces, end = [], 0
    for match in REFERENCE.finditer(caption):
        pieces.append((caption[end : match.start()], ""))
        pieces.append((match[1], _targets(match[2].strip(), selections)))
        end = match.end()
    return [piece for piece in (*pieces, (caption[end:], "")) if piece[0]]


def _targets(reference: str, selections: Sequence[Selection]) -> str:
    targets = []
    for selection in selections:
        index = next((i for i, atom in enumerate(selection.atoms) if refers(reference, atom)), None)
        if index is not None:
            targets.append([selection.id, index])
    return json.dumps(targets) if targets else ""

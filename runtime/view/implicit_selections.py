"""Selections that the text does not declare: cells of grids, groups, points, nodes, references in captions.

They add no states: nothing is computed for them, the charts react by themselves. They are cleared when the pointer
leaves. Where the text has a hover over the same atoms, that one is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bbilang.compiler.check.captions import references
from bbilang.compiler.ir.program import Node
from bbilang.runtime.view.atom_words import refers
from bbilang.runtime.view.model import LIKELIEST, Atom, Element, Frame, Kind, Selection, Target, View
from bbilang.runtime.view.states import elements
from bbilang.runtime.view.styles import Styles, selects_marks, selects_positions, style_of

POINTED, POSITION, FLOW = "pointed", "pointed-position", "flow"

IMPLICIT_TITLES = ("position", "pointed at", "flow through")
EVERY = Atom("every", "all of them")  # of a flow: nothing is selected


@dataclass(frozen=True)
class Pointing:
    """Elements with the selections that the page adds to them."""

    elements: dict[str, Element]
    selections: tuple[Selection, ...]


def pointing(
    parts: Mapping[str, Element], over: Mapping[str, str | None], known: Sequence[Selection], styles: Styles
) -> Pointing:
    """Add to the elements what a reader can point at in addition to the ``known`` selections.

    ``over``: the element that each is drawn into, None where it stands by itself.
    """
    hovered = {atom.key for s in known if s.kind == "hover" for atom in s.atoms}
    positions = _fresh(hovered, (_cells(e) for e in parts.values() if selects_positions(e, styles)))
    things = _fresh(hovered, (_things(e, styles) for e in parts.values()))
    things |= _fresh({a.key for s in known for a in s.atoms} | {*positions, *things}, [_mentioned(parts.values())])
    nodes = _fresh(set(), (e.atoms for e in parts.values() if style_of(e, styles).follows_links))
    taken = {s.id for s in known}
    kinds: tuple[tuple[str, Kind, str, dict[str, Atom]], ...] = (
        (POSITION, "hover", IMPLICIT_TITLES[0], positions),
        (POINTED, "hover", IMPLICIT_TITLES[1], things),
        (FLOW, "click", IMPLICIT_TITLES[2], nodes),
    )
    made = []
    for name, kind, title, atoms in kinds:
        if atoms:
            identity = name if name not in taken else f"{name}-2"
            leaves, start, source = kind == "hover", None, None
            if name == FLOW and (source := _scored_flow(parts.values(), styles)):
                atoms = {**atoms, EVERY.key: EVERY}
                start = len(atoms) - 1
            made.append(
                Selection(identity, kind, title, tuple(atoms.values()), start, source, LIKELIEST if source else 0,
                          not leaves, leaves, True)
            )  # fmt: skip
    result = {name: _selecting(element, made, styles) for name, element in parts.items()}
    for element in parts.values():
        host = over.get(element.id)
        if host is not None and positions and selects_positions(element, styles):
            result[host] = _with_cells(result[host], element, next(s for s in made if s.title == "position"))
        if element.follows is not None and (chosen := element.follows.by):  # after what is pointed at
            around = result[element.follows.map]
            result[around.id] = replace(around, selects=tuple(dict.fromkeys([*around.selects, chosen])))
    return Pointing(result, tuple(made))


def _scored_flow(parts: Iterable[Element], styles: Styles) -> str | None:
    """Return the id of the first flow to classes with scores, whose likeliest class is the page's initial choice."""
    scored = (it for it in parts if style_of(it, styles).follows_links and it.options.get("scored"))
    return next((it.id for it in scored if any(_several_ends(frame) for panel in it.panels for frame in panel.frames)),
                None)  # fmt: skip


def _several_ends(frame: Frame) -> bool:
    return bool(frame.columns) and frame.columns.count(max(frame.columns)) > 1


def cell_middles(view: View) -> dict[str, tuple[float, float]]:
    """Return key of a position -> (x, y) of its cell's centre, as shares of the picture."""
    middles = {}
    for element in elements(view):
        for panel in element.panels:
            deep, wide = panel.shape
            for i, atom in enumerate(panel.frames[0].atoms if wide and panel.frames else ()):
                if atom >= 0:
                    middles[element.atoms[atom].key] = ((i % wide + 0.5) / wide, (i // wide + 0.5) / deep)
    return middles


def _fresh(known: set[str], parts: Iterable[Iterable[Atom]]) -> dict[str, Atom]:
    """Return the atoms that are not known yet, by key."""
    return {atom.key: atom for atoms in parts for atom in atoms if atom.key not in known}


def _cells(element: Element) -> list[Atom]:
    frames = (frame for panel in element.panels for frame in panel.frames)
    return [element.atoms[a] for a in dict.fromkeys(a for frame in frames for a in frame.atoms) if a >= 0]


def _things(element: Element, styles: Styles) -> list[Atom]:
    """Return groups wherever they are drawn, and every mark of an element that says more about the hovered one."""
    if selects_marks(element, styles):
        return list(element.atoms)
    return [atom for atom in element.atoms if "group=" in atom.key]


def _mentioned(parts: Iterable[Element]) -> list[Atom]:
    """Return the atoms that captions refer to."""
    parts = list(parts)
    named = [reference for element in parts for reference in references(element.caption)]
    every = {atom.key: atom for element in parts for atom in element.atoms} if named else {}
    mentioned = (next((atom for atom in every.values() if refers(reference, atom)), None) for reference in named)
    return [atom for atom in mentioned if atom is not None]


def unmentioned(parts: Iterable[Element], selections: Iterable[Selection]) -> list[str]:
    """Describe the atoms that captions refer to and that the page does not show."""
    parts = list(parts)
    atoms = [atom for element in parts for atom in element.atoms]
    atoms += [atom for selection in selections for atom in selection.atoms]
    named = dict.fromkeys(reference for element in parts for reference in references(element.caption))
    lost = [reference for reference in named if not any(refers(reference, atom) for atom in atoms)]
    return [f"a caption points at `{reference}`, which this page does not show" for reference in lost]


def _selecting(element: Element, made: Iterable[Selection], styles: Styles) -> Element:
    keys = {atom.key for atom in element.atoms}
    own = [s for s in made if s.kind != "click" or style_of(element, styles).follows_links]
    fresh = [s.id for s in own if any(a.key in keys for a in s.atoms)]
    return replace(element, selects=tuple(dict.fromkeys([*element.selects, *fresh]))) if fresh else element


def _with_cells(host: Element, masks: Element, selection: Selection) -> Element:
    """Add the positions of masks to their host, as cells to hover over."""
    if selection.id in host.selects or any(target.selection == selection.id for target in host.targets):
        return host
    shape = masks.panels[0].shape
    numbers = {atom.key: i for i, atom in enumerate(host.atoms)}
    atoms = list(host.atoms)
    cells = []
    for a in masks.panels[0].frames[0].atoms:
        atom = masks.atoms[a]
        if atom.key not in numbers:
            numbers[atom.key] = len(atoms)
            atoms.append(atom)
        cells.append(numbers[atom.key])
    target = Target(selection.id, shape, tuple(cells))
    selects = tuple(dict.fromkeys([*host.selects, selection.id]))
    return replace(host, atoms=tuple(atoms), targets=(*host.targets, target), selects=selects)


def selection_words(node: Node) -> str:
    """Return the label of a menu without a title: the name of the binding, or of what is chosen from."""
    words = node["id"].removeprefix(f"{node.op}-").replace("-", " ").replace("_", " ")
    if not words[0].isalpha():  # a slider without a name
        words = node.op
    return words[0].upper() + words[1:]

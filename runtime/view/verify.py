"""Invariants of a view: plain numbers, words and images; every number points at something that is there."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from math import prod

from bbilang.grammar.verification import require
from bbilang.runtime.view.model import Element, Frame, Interface, Layout, View

PLAIN = (str, bytes, bool, int, float, type(None))


def verify_view(view: View) -> None:
    """Raise InvariantError if a view cannot be drawn."""
    _verify_plain(view, "view")
    states = {selection.id: len(selection.atoms) for selection in view.selections}
    require(len(states) == len(view.selections), "two selections have one id")
    for interface in view.interfaces:
        ids = {element.id for element in interface.elements}
        require(set(_named(interface.layout)) == ids, f"the layout of {interface.title!r} does not hold {sorted(ids)}")
        for element in _elements(interface):
            _verify_element(element, states, len(view.pictures))
    for prediction in view.predictions:
        require(-1 <= prediction.picture < len(view.pictures), "a prediction shows a picture that is not there")


def _verify_element(element: Element, states: dict[str, int], pictures: int) -> None:
    name, atoms = element.id, len(element.atoms)
    require(set(element.states) | set(element.selects) <= states.keys(), f"{name} has an unknown selection")
    count = prod(states[state] for state in element.states)
    for panel in element.panels:
        require(len(panel.frames) == count, f"{name} has {len(panel.frames)} frames for {count} states")
        require(len(panel.labels) in (0, count), f"{name} has labels for other states")
        for frame in panel.frames:
            _verify_frame(name, frame, atoms, pictures)
    require(len(element.details) in (0, atoms), f"{name} has details for other atoms")
    for detail in element.details:
        shown = [detail.picture, *(picture for picture, _ in detail.pictures)]
        require(all(-1 <= picture < pictures for picture in shown), f"{name} tells of a picture that is not there")
    for target in element.targets:
        require(target.selection in states, f"{name} drives an unknown selection")
        require(all(-1 <= atom < atoms for atom in target.atoms), f"{name} points at an atom that is not there")


def _verify_frame(name: str, frame: Frame, atoms: int, pictures: int) -> None:
    require(all(-1 <= atom < atoms for atom in frame.atoms), f"{name} draws an atom that is not there")
    require(all(-1 <= atom < atoms for atom in frame.series_atoms), f"{name} has a series that is not there")
    require(all(-1 <= picture < pictures for picture in frame.pictures), f"{name} shows a picture that is not there")
    require(all(number is None or number == number for row in frame.values for number in row), f"{name} draws NaN")
    require(all(0 <= size <= 1 for size in frame.sizes), f"{name} has a size out of 0 to 1")


def _elements(interface: Interface) -> list[Element]:
    """Yield every element, including overlays."""
    pending, elements = list(interface.elements), []
    while pending:
        element = pending.pop()
        elements.append(element)
        pending += element.overlays
    return elements


def _named(layout: Layout) -> list[str]:
    return [layout] if isinstance(layout, str) else [name for part in layout[1] for name in _named(part)]


def _verify_plain(value: object, path: str) -> None:
    """Check that a value is plain data, without tensors, arrays or other objects."""
    if is_dataclass(value) and not isinstance(value, type):
        for one in fields(value):
            _verify_plain(getattr(value, one.name), f"{path}.{one.name}")
    elif isinstance(value, tuple | list):
        for number, item in enumerate(value):
            _verify_plain(item, f"{path}[{number}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            _verify_plain(item, f"{path}[{key!r}]")
    else:
        require(type(value) in PLAIN, f"{path} is a {type(value).__name__}")

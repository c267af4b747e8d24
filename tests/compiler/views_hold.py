"""Invariants of every view model."""

from __future__ import annotations

import json
from dataclasses import asdict
from math import prod
from typing import Any

from bbilang.runtime.view.model import Element, View
from bbilang.runtime.view.states import elements, start_choices, start_states


def assert_consistent(view: View) -> None:
    selections = {selection.id: selection for selection in view.selections}
    assert len(selections) == len(view.selections), "ids are unique"
    ids = [element.id for element in elements(view)]
    assert len(set(ids)) == len(ids)
    for element in elements(view):
        count = prod(len(selections[name].atoms) for name in element.states)
        keys = [atom.key for atom in element.atoms]
        assert len(set(keys)) == len(keys)
        assert element.panels
        for panel in element.panels:
            assert len(panel.frames) == count, (element.id, len(panel.frames), count)
            assert len(panel.labels) in (0, count)
            for frame in panel.frames:
                _assert_frame(frame, panel, element, view)
        assert set(element.selects) <= selections.keys()
        for target in element.targets:
            assert len(target.atoms) == target.shape[0] * target.shape[1]
            assert all(-1 <= atom < len(element.atoms) for atom in target.atoms)
        assert element.gap < max((len(f.atoms) for p in element.panels for f in p.frames), default=1) or not element.gap
    for selection in view.selections:
        _assert_selection(selection, view, set(ids))
    for interface in view.interfaces:
        placed = list(_placed(interface.layout))
        assert sorted(placed) == sorted(element.id for element in interface.elements)
    data = [picture.data for picture in view.pictures]
    assert len(set(data)) == len(data), "equal pictures are one"
    counts = {element.id: prod(len(selections[s].atoms) for s in element.states) for element in elements(view)}
    assert all(0 <= state <= counts[name] for name, state in start_states(view).items())
    plain = asdict(view)
    for picture in plain["pictures"]:
        assert isinstance(picture.pop("data"), bytes)
    for element in (element for interface in plain["interfaces"] for element in interface["elements"]):
        for packed in (element["points"], element["follows"]):  # as a picture is
            assert packed is None or isinstance(packed.pop("payload"), bytes)
    _assert_plain(plain)
    assert json.dumps(plain, allow_nan=False)


def _assert_frame(frame: Any, panel: Any, element: Element, view: View) -> None:
    assert all(-1 <= atom < len(element.atoms) for atom in frame.atoms)
    assert all(-1 <= picture < len(view.pictures) for picture in frame.pictures)
    if element.style == "image":
        return
    slots = panel.shape[0] * panel.shape[1] if panel.shape != (0, 0) else len(frame.atoms)
    assert len(frame.atoms) in (0, slots) and len(frame.values) in (0, slots)
    assert all(len(row) == len(frame.series) for row in frame.values)
    if element.style in ("featvis", "grid") and panel.shape != (0, 0):
        assert len(frame.pictures) == 1  # one picture composed of the icons
    elif element.style == "featvis":
        assert len(frame.pictures) == slots
        for atom, picture in zip(frame.atoms, frame.pictures, strict=True):
            assert (atom >= 0) == (picture >= 0)
    if element.style == "heatmap" and panel.shape != (0, 0):
        assert len(frame.pictures) in (1, 2)  # alone, there is the input below it
    if element.style == "rgb":
        assert len(frame.pictures) == 1
    if element.style == "masks":
        assert len(frame.pictures) == 1 + len(frame.series) == 1 + len(frame.series_atoms)
    if element.style == "sankey":
        assert len(frame.columns) == slots and all(0 <= a < slots > b >= 0 for a, b, _ in frame.links)
    assert len(frame.series_atoms) in (0, len(frame.series)) and len(frame.colours) in (0, slots)
    assert len(frame.sizes) in (0, slots) and all(0 <= size <= 1 for size in frame.sizes)


def _assert_selection(selection: Any, view: View, ids: set[str]) -> None:
    keys = [atom.key for atom in selection.atoms]
    assert keys and len(set(keys)) == len(keys)
    assert selection.start is None or 0 <= selection.start < len(keys)
    assert selection.start_of is None or selection.start_of in ids
    choice = start_choices(view)[selection.id]
    assert choice is None or 0 <= choice < len(keys)
    if selection.kind in ("hover", "click"):
        shown = {
            element.atoms[atom].key
            for element in elements(view)
            for atom in _reachable(element, selection.id)
            if selection.id in (*element.selects, *(t.selection for t in element.targets))
        }
        assert shown & set(keys), f"nobody can {selection.kind} {selection.id}"


def _reachable(element: Element, selection: str) -> set[int]:
    inside = {atom for target in element.targets if target.selection == selection for atom in target.atoms}
    frames = [frame for panel in element.panels for frame in panel.frames]
    return {atom for atom in inside.union(*((*f.atoms, *f.series_atoms) for f in frames)) if atom >= 0}


def _placed(layout: Any) -> Any:
    if isinstance(layout, str):
        yield layout
    else:
        for part in layout[1]:
            yield from _placed(part)


def _assert_plain(value: Any) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            assert type(key) is str
            _assert_plain(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _assert_plain(item)
    else:
        assert value is None or type(value) in (bool, int, float, str), type(value)

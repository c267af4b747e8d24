"""Which frame an element shows, given the reader's choices. The page's script does the same in the browser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod

from bbilang.runtime.view.answers.pieces import plain
from bbilang.runtime.view.model import LIKELIEST, Element, Frame, Selection, View


def elements(view: View) -> Iterator[Element]:
    """Yield every element of the page, each overlay after the element that it is drawn into."""

    for interface in view.interfaces:
        for element in interface.elements:
            yield from layered(element)


def layered(element: Element) -> Iterator[Element]:
    """Yield an element and its overlays, from the bottom up."""
    yield element
    for overlay in element.overlays:
        yield from layered(overlay)


def state_count(element: Element, selections: Mapping[str, Selection]) -> int:
    return prod(len(selections[name].atoms) for name in element.states)


def state_index(element: Element, selections: Mapping[str, Selection], chosen: Mapping[str, int | None]) -> int:
    """Return the frame of these choices, row-major; the number of states if a selection is empty: nothing is drawn."""
    index = 0
    for name in element.states:
        choice = chosen[name]
        if choice is None:
            return state_count(element, selections)
        index = index * len(selections[name].atoms) + choice
    return index


def start_choices(view: View, chosen: Mapping[str, int] | None = None) -> dict[str, int | None]:
    """Return the index of the atom of every selection, or None, if the reader has chosen only ``chosen``."""
    selections = {selection.id: selection for selection in view.selections}
    by_id = {element.id: element for element in elements(view)}
    result: dict[str, int | None] = dict(chosen or {})

    def resolve(name: str) -> int | None:
        if name not in result:
            selection = selections[name]
            result[name] = selection.start  # also ends the recursion should selections start from one another
            if selection.start_of in by_id:
                element = by_id[selection.start_of]
                for state in element.states:
                    resolve(state)
                result[name] = start_in(element, selection, state_index(element, selections, result))
        return result[name]

    for name in selections:
        resolve(name)
    return result


def start_in(element: Element, selection: Selection, state: int) -> int | None:
    """Index in ``selection.atoms`` of the atom that the element starts it at in this state, of those that it draws and
    the selection knows; None where it draws nothing."""
    known = {atom.key: index for index, atom in enumerate(selection.atoms)}
    frames = [panel.frames[state] for panel in element.panels if state < len(panel.frames)]
    drawn = [
        (_score(frame, slot), known[element.atoms[atom].key])
        for frame in frames
        for slot, atom in enumerate(frame.atoms)
        if atom >= 0 and element.atoms[atom].key in known
    ]
    if selection.start_number == LIKELIEST:
        scored = [(score, index) for score, index in drawn if score is not None]
        return max(scored, key=lambda pair: pair[0])[1] if len(scored) > 1 else selection.start
    if drawn:
        return drawn[min(selection.start_number, len(drawn) - 1)][1]
    return None if draws_nothing(element, state) else selection.start


def _score(frame: Frame, slot: int) -> float | None:
    """Return the number of a node in a flow's last column."""
    last = frame.columns and frame.columns[slot] == max(frame.columns)
    return frame.values[slot][0] if last else None


def draws_nothing(element: Element, state: int) -> bool:
    """Return whether the element has slots and all of them are empty in this state."""
    frames = [panel.frames[state] for panel in element.panels if state < len(panel.frames)]
    return any(frame.atoms for frame in frames) and all(atom < 0 for frame in frames for atom in frame.atoms)


def answer_of(element: Element, state: int) -> str:
    """Describe in words what an element shows in one state; empty for nothing."""
    return plain(element.answers[state]) if state < len(element.answers) else ""


def budget_of(element: Element, state: int) -> str:
    """Return what the numbers of one state add up to, each distinct budget of the panels once."""
    budgets = (panel.frames[state].budget for panel in element.panels if state < len(panel.frames))
    return "\n".join(dict.fromkeys(filter(None, budgets)))


def start_states(view: View) -> dict[str, int]:
    """Return element id -> index of the frame that the page opens with."""
    selections = {selection.id: selection for selection in view.selections}
    chosen = start_choices(view)
    return {element.id: state_index(element, selections, chosen) for element in elements(view)}


def shown_at_start(view: View, element: Element) -> dict[str, int]:
    """Return id -> index of the initial frame of an element and its overlays. Of several overlays over one picture, the
    first that draws something is in front, and the others have the frame that draws nothing."""
    states = start_states(view)
    over = list(layered(element))[1:]
    if len(over) > 1:
        front = next((it for it in over if _draws(it, states[it.id])), over[0])
        states |= {it.id: len(it.panels[0].frames) for it in over if it is not front and it.panels}
    return states


def _draws(element: Element, state: int) -> bool:
    return any(
        max(panel.frames[state].pictures, default=-1) >= 0 for panel in element.panels if state < len(panel.frames)
    )

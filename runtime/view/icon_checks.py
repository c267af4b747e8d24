"""What a page says of icons that were checked against photographs (`featvis/dissociation/`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbilang.runtime.view.drawing import Drawing

if TYPE_CHECKING:
    from bbilang.runtime.featvis.icon import Check

REMARK = "may mislead"


def remark_of(drawing: Drawing, icon: int) -> str:
    """Return the remark below an icon: why it is grey, or that it may mislead; -1 is no icon."""
    if icon < 0:
        return ""
    made = drawing.results.icons[icon]
    return made.reason or (REMARK if made.check is not None and made.check.misleads else "")


def checks(drawing: Drawing) -> list[Check]:
    """Return the checks of an element's icons, each icon once."""
    icons = drawing.results.icon_sets.get(drawing.element.id)
    numbers = np.unique(icons.index.data) if icons is not None else np.empty(0, int)
    made = [drawing.results.icons[int(number)] for number in numbers if number >= 0]
    return [icon.check for icon in made if icon is not None and icon.check is not None]


def check_notes(drawing: Drawing) -> tuple[str, ...]:
    """Write notes for the legend: how many icons were checked, against what, and the result."""
    every = checks(drawing)
    if not every:
        return ()
    done = [check for check in every if check.misleads or not check.words]
    flagged = sum(check.misleads for check in done)
    notes = []
    if done:
        count = f"{len(done)} {'icon' if len(done) == 1 else 'icons'}"
        result = f"{flagged} may mislead" if flagged else "the inputs that drive them drive the photographs too"
        notes.append(f"{count} checked against {done[0].photographs:,} photographs: {result}")
    for words in dict.fromkeys(check.words for check in every if check.words and not check.misleads):
        number = sum(check.words == words for check in every)
        notes.append(f"{number} {'icon' if number == 1 else 'icons'} {words}")
    return tuple(notes)


def misleading(drawing: Drawing) -> tuple[str, ...]:
    """Write the warning of an element with icons that may mislead."""
    flagged = [check for check in checks(drawing) if check.misleads]
    if not flagged:
        return ()
    count = "one icon" if len(flagged) == 1 else f"{len(flagged)} icons"
    return (f"{count} may mislead: {flagged[0].words}",)

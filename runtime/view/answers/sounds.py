"""Sentences about maps along a sound: when the numbers are largest."""

from __future__ import annotations

import numpy as np

from bbilang.runtime.view.answers.maps import adjective, subject
from bbilang.runtime.view.answers.pieces import listed, sentence
from bbilang.runtime.view.answers.shown import Shown
from bbilang.runtime.view.model import Answer, OverTime

MOST = 4  # panels that are described one by one


def when(shown: Shown, values: np.ndarray, time: OverTime) -> Answer:
    """Say from when to when each map is strongest: around its peak, as long as it stays above half of it. ``values``:
    over (states, facet, row, frame), as `sound_maps.values_of` has them."""
    items = []
    for panel in range(min(len(shown.frames), MOST)):
        cells = np.nan_to_num(np.asarray(values[shown.index(panel)], np.float64))
        if (words := _peak(cells, time)) is not None:
            label = f" in {shown.labels[panel]}" if len(shown.frames) > 1 and shown.labels[panel] else ""
            items.append([words + label])
    if not items:
        return sentence(f"{subject(shown)} nowhere above zero")
    return sentence(f"{subject(shown)} {adjective(shown)} from ", *listed(items))


def _peak(cells: np.ndarray, time: OverTime) -> str | None:
    row, frame = np.unravel_index(int(cells.argmax()), cells.shape)
    line, highest = cells[row], float(cells[row, frame])
    if highest <= 0:
        return None
    above = line > highest / 2
    start, end = int(frame), int(frame)
    while start > 0 and above[start - 1]:
        start -= 1
    while end + 1 < len(line) and above[end + 1]:
        end += 1
    part = time.seconds / len(line)
    where = f" in {'row' if time.rows == 'y' else time.rows} {len(cells) - 1 - int(row)}" if time.rows else ""
    return f"{start * part:.2f} to {(end + 1) * part:.2f} s{where}"

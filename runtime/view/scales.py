"""The ends of an element's scale, and how many numbers of a map a page can carry."""

from __future__ import annotations

import numpy as np

MAX_CELLS = 64 * 64  # a finer map is a picture only, without a number for every cell
MAX_NUMBERS = 300_000  # of one element in all its states: about 2 MB of a page; above, it carries the pictures alone


def numbers_fit(values: np.ndarray) -> bool:
    """Whether a page can carry every number of a map, in every state, beside its pictures."""
    return values.size <= MAX_NUMBERS


def scale_ends(values: np.ndarray, signed: bool) -> tuple[float, float]:
    """The ends of a scale for ``values`` (any shape, NaN where there is none): symmetric about zero where signed."""
    with np.errstate(all="ignore"):
        largest = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.0
    largest = float(f"{largest:.3g}") or 1.0
    return (-largest, largest) if signed else (0.0, largest)

"""Describe positions in a map in words."""

from __future__ import annotations

import numpy as np

FINE = 64  # cells along a side, above which a position is described only by its region
ROWS, COLUMNS = ("top", "", "bottom"), ("left", "", "right")


def region(y: int, x: int, shape: tuple[int, int]) -> str:
    """Return which of 3 x 3 regions contains a cell: "top left", "left", "centre"."""
    row, column = (min(2, 3 * at // max(size, 1)) for at, size in zip((y, x), shape, strict=True))
    return _name(row, column)


def _name(row: int, column: int) -> str:
    return " ".join(word for word in (ROWS[row], COLUMNS[column]) if word) or "centre"


def peak(cells: np.ndarray) -> tuple[int, int] | None:
    """Return (y, x) of the largest number; None if none is above zero."""
    known = np.nan_to_num(cells, nan=-np.inf)
    if not known.size or not np.isfinite(known).any() or known.max() <= 0:
        return None
    y, x = np.unravel_index(int(known.argmax()), known.shape)
    return int(y), int(x)


def fullest_region(cells: np.ndarray) -> tuple[str, float] | None:
    """Return (the region of 3 x 3 with the largest sum of positive values, its share of their total); None if no value
    is positive."""
    rows, columns = (np.minimum(2, 3 * np.arange(size) // max(size, 1)) for size in cells.shape)
    sums = np.zeros((3, 3))
    np.add.at(sums, (rows[:, None], columns[None, :]), np.maximum(np.nan_to_num(cells), 0))
    if sums.sum() <= 0:
        return None
    row, column = np.unravel_index(int(sums.argmax()), sums.shape)
    return _name(int(row), int(column)), float(sums.max() / sums.sum())

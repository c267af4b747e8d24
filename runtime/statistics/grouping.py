"""Number the groups of a column: `per=label`."""

from __future__ import annotations

import numpy as np

MISSING = -1


def number_groups(column: np.ndarray) -> tuple[np.ndarray, list[str] | list[float]]:
    """Number the different values of a column (example,), sorted. Returns (numbers (example,), `MISSING` for an empty
    string or NaN; the values)."""
    column = np.asarray(column)
    strings = column.dtype.kind not in "fiub"
    column = column.astype(str) if strings else column.astype(np.float64)
    present = column != "" if strings else ~np.isnan(column)
    values, inverse = np.unique(column[present], return_inverse=True)
    numbers = np.full(len(column), MISSING, np.int64)
    numbers[present] = inverse
    return numbers, values.tolist()

"""Near-duplicates in a row of examples: of those that show nearly the same picture the strongest stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import Parameter

if TYPE_CHECKING:
    from bbilang.runtime.data.dataset import Dataset
    from bbilang.runtime.statistics.strongest import StrongestExamples

DUPLICATES = Parameter(
    "duplicates",
    "word",
    "whether examples that show nearly the same picture as a stronger one are left out (`collapse`) or shown (`keep`)",
    "collapse",
    choices=("collapse", "keep"),
)
MOST = 2000  # pictures that are compared by what they show; of more, only files of equal content are found


def candidates(k: int) -> int:
    """Return how many examples of an atom are looked at for k that differ."""
    return 2 * k + 8


def without_duplicates(ranked: StrongestExamples, k: int, dataset: Dataset) -> tuple[np.ndarray, np.ndarray, int]:
    """Return (rows (atom, place), values (atom, place), examples left out): of each atom's candidates the first k that
    differ, -1 and NaN beyond the last. ``dataset``: that of the rows."""
    from bbilang.runtime.data.duplicates import exact_leaders, near_leaders
    from bbilang.runtime.data.fingerprints import collapsed

    different = np.unique(ranked.rows[ranked.rows >= 0])
    own = dataset.subset(different)
    leader = near_leaders(own) if len(different) <= MOST else exact_leaders(own)
    rows = np.full((len(ranked.rows), k), -1)
    values = np.full(rows.shape, np.nan)
    left_out = 0
    for atom, (all_rows, all_values) in enumerate(zip(ranked.rows, ranked.values, strict=True)):
        places = np.searchsorted(different, all_rows[all_rows >= 0])
        kept = collapsed(places, leader)[:k]
        order = {int(place): n for n, place in enumerate(places.tolist())}
        at = np.array([order[int(place)] for place in kept], np.int64)
        rows[atom, : len(at)], values[atom, : len(at)] = all_rows[at], all_values[at]
        left_out += int(at[-1]) + 1 - len(at) if len(at) else 0
    return rows, values, left_out

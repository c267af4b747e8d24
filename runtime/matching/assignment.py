"""Pair channels by their similarity: one to one, or each with the best of the others."""

from __future__ import annotations

import numpy as np

NONE = -1


def one_to_one(similarity: np.ndarray) -> np.ndarray:
    """Return the partner of each row (row,) so that the sum of similarities is largest; NONE for rows that are left
    over, or whose similarity to whatever is left is unknown (NaN)."""
    from scipy.optimize import linear_sum_assignment

    partners = np.full(len(similarity), NONE)
    rows, columns = np.flatnonzero(~np.isnan(similarity).all(1)), np.flatnonzero(~np.isnan(similarity).all(0))
    if len(rows) and len(columns):
        own, other = linear_sum_assignment(similarity[np.ix_(rows, columns)], maximize=True)
        partners[rows[own]] = columns[other]
    return partners


def best(similarity: np.ndarray) -> np.ndarray:
    """Return the most similar of the others for each row; several rows may share one."""
    known = ~np.isnan(similarity).all(1)
    filled = np.where(np.isnan(similarity), -np.inf, similarity)
    return np.where(known, filled.argmax(1) if similarity.shape[1] else NONE, NONE)


def next_best(similarity: np.ndarray, partners: np.ndarray) -> np.ndarray:
    """Return the largest similarity of each row (row,) to any but its partner; NaN where there is no other."""
    others = similarity.astype(np.float64)
    rows = np.flatnonzero(partners >= 0)
    others[rows, partners[rows]] = np.nan
    known = ~np.isnan(others).all(1)
    filled = np.where(np.isnan(others), -np.inf, others)
    return np.where(known, filled.max(1, initial=-np.inf), np.nan)

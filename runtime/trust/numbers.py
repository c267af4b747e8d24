"""Rank correlation, areas and number formats that several measures share."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bbilang.runtime.fields.prose import prose


def ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks along the last axis, from 1; equal values share their mean rank."""
    flat = values.reshape(-1, values.shape[-1])
    out = np.empty(flat.shape, np.float64)
    for row, line in enumerate(flat):
        _, inverse, counts = np.unique(line, return_inverse=True, return_counts=True)
        last = np.cumsum(counts)
        out[row] = (last - (counts - 1) / 2)[inverse]
    return out.reshape(values.shape)


def rank_correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return Spearman's rank correlation along the last axis; NaN where one side has no order."""
    x, y = (ranks(v) - (v.shape[-1] + 1) / 2 for v in np.broadcast_arrays(a, b))
    size = np.sqrt((x * x).sum(-1) * (y * y).sum(-1))
    with np.errstate(all="ignore"):
        return np.where(size > 0, (x * y).sum(-1) / np.where(size > 0, size, 1), np.nan)


def area(curve: np.ndarray) -> np.ndarray:
    """Return the area under a curve (..., step) over shares from 0 to 1, by trapezoids."""
    return (curve[..., 1:] + curve[..., :-1]).mean(-1) / 2


def mean_of(values: np.ndarray) -> float:
    """Return the mean without NaN; NaN where nothing is left."""
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    return float(known.mean()) if known.size else float("nan")


def ratio(values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return values / sizes; NaN where the size is 0."""
    return np.divide(
        values, sizes, out=np.full(np.broadcast_shapes(values.shape, sizes.shape), np.nan), where=sizes > 0
    )


def unordered(values: np.ndarray) -> np.ndarray:
    """Return whether all numbers along the last axis are equal, or there is only one: they define no order."""
    return np.asarray(values.max(-1) == values.min(-1))


def greatest(values: Iterable[float]) -> float:
    """Return the greatest value without NaN; NaN where nothing is left."""
    return max((v for v in values if v == v), default=float("nan"))


def number(value: float) -> str:
    """Format a number for a sentence."""
    return prose(value)


def over(values: np.ndarray) -> str:
    """Format a number per input and target: itself, or the mean with its range."""
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    if known.size == 0:
        return "undefined"
    if known.size == 1 or known.max() == known.min():
        return number(float(known.ravel()[0]))
    return f"{number(float(known.mean()))} on average ({number(float(known.min()))} to {number(float(known.max()))})"

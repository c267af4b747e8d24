"""Uncertainty of numbers: Wilson's interval of a proportion, p-values by permutation, Holm's correction."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

FEW = 30  # held-out examples; below, an accuracy is "too few to tell"


def wilson(
    successes: np.ndarray | float, trials: np.ndarray | float, confidence: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Bound a proportion by its score interval (Wilson 1927). Returns (low, high), each of the arguments' common shape,
    NaN where there are no trials."""
    k, n = np.broadcast_arrays(np.asarray(successes, np.float64), np.asarray(trials, np.float64))
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = k / n
        centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
        # At the ends the bound is the end; rounding would leave 1e-17 beyond it.
        low = np.where(k == 0, 0.0, centre - half)
        high = np.where(k == n, 1.0, centre + half)
    nothing = n == 0
    return np.where(nothing, np.nan, low), np.where(nothing, np.nan, high)


def permutation_p(observed: np.ndarray | float, null: np.ndarray, tolerance: float = 1e-9) -> np.ndarray:
    """Compute one-sided p-values (1 + b) / (1 + n), with b the draws that are at least as large as what was observed
    (Phipson and Smyth 2010).

    observed (...), null (draw, ...) or (draw,). Values that differ by rounding, by ``tolerance`` of the observed
    magnitude, count as equal.
    """
    observed = np.asarray(observed, np.float64)
    null = np.asarray(null, np.float64)
    null = null.reshape(null.shape + (1,) * (1 + observed.ndim - null.ndim))
    reached = null >= observed - tolerance * np.maximum(1.0, np.abs(observed))
    return (1 + reached.sum(0)) / (1 + len(null))


def holm(p: np.ndarray) -> np.ndarray:
    """Adjust p-values (test,) for several tests (Holm 1979): a test rejects at a level where its adjusted p-value is
    at most that level."""
    p = np.asarray(p, np.float64)
    order = np.argsort(p, kind="stable")
    steps = np.minimum(1.0, np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order]))
    adjusted = np.empty_like(p)
    adjusted[order] = steps
    return adjusted

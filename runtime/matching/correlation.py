"""Match channels by what they do: correlation of their activations over the same samples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

FEWEST = 3  # samples of which a correlation says anything
CONSTANT = 1e-6  # of the largest magnitude: a smaller deviation is rounding


def correlations(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the correlation of each channel with each of the other's, (channel, other channel); NaN where one of the
    two is constant. own, other: (sample, channel), the same samples."""
    first, second = _standardized(own), _standardized(other)
    return np.clip(first.T @ second / len(first), -1, 1)


def _standardized(values: np.ndarray) -> np.ndarray:
    """Return the values (sample, channel) with mean 0 and standard deviation 1; NaN for constant channels."""
    values = values.astype(np.float64)
    centred = values - values.mean(0)
    deviation = np.sqrt(np.square(centred).mean(0))
    constant = deviation <= CONSTANT * np.abs(values).max(0, initial=0)
    return centred / np.where(constant, np.nan, deviation)


def by_chance(own: np.ndarray, other: np.ndarray, pairing: Callable[[np.ndarray], np.ndarray], seed: int) -> float:
    """Return the mean correlation of the pairs that would be found if nothing corresponded: with the samples of one
    side in another order. NaN where nothing is paired."""
    shuffled = np.random.default_rng(seed).permutation(len(other))
    similarity = correlations(own, other[shuffled])
    partners = pairing(similarity)
    there = np.flatnonzero(partners >= 0)
    return float(similarity[there, partners[there]].mean()) if len(there) else float("nan")


def on_one_grid(own: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two maps (input, y, x, channel) on the coarser of their grids, the finer one averaged over its cells."""
    y, x = (min(own.shape[axis], other.shape[axis]) for axis in (1, 2))
    return _averaged(own, y, x), _averaged(other, y, x)


def _averaged(maps: np.ndarray, y: int, x: int) -> np.ndarray:
    """Average maps over the cells of a coarser grid. Where its cells do not align with theirs, a position counts by its
    share."""
    down, across = _shares(maps.shape[1], y), _shares(maps.shape[2], x)
    return np.einsum("nyxc,uy,vx->nuvc", maps, down, across, optimize=True)


def _shares(many: int, few: int) -> np.ndarray:
    """Return the share of each of ``many`` equal cells in each of ``few``, (few, many); each row adds up to 1."""
    fine, coarse = np.linspace(0, 1, many + 1), np.linspace(0, 1, few + 1)
    low, high = np.maximum(fine[None, :-1], coarse[:-1, None]), np.minimum(fine[None, 1:], coarse[1:, None])
    return np.maximum(high - low, 0) * few

"""Reductions over the axis `example`, whole or for each group, over a stream of chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

KINDS = ("mean", "max", "min", "std", "fraction")
BLOCK_BYTES = 64 << 20  # of values that `quantiles` holds at once


@dataclass(frozen=True)
class Reduced:
    """values (group, ...): NaN where a group has no number. counts (group, ...): the examples that the value is of.
    left_out (group, ...): examples of the group whose value is not finite. ungrouped: examples of no group."""

    values: np.ndarray
    counts: np.ndarray
    left_out: np.ndarray
    ungrouped: int


class Reduction:
    """Reduces chunks (example, ...) as they come, in memory of O(groups x the rest).

    ``kind``: mean, max, min, std (the population's, as `numpy.std`), or fraction: the part of the examples where the
    value is above ``above``. ``groups``: how many; each example is in one, or in none (a negative number). Means and
    deviations are merged as by Chan, Golub and LeVeque 1979 (Welford's update for chunks), in float64. What is not
    finite is left out and counted.
    """

    def __init__(self, kind: str, groups: int = 1, above: float = 0.0) -> None:
        if kind not in KINDS:
            raise ValueError(f"{kind} is not one of {', '.join(KINDS)}")
        self.kind, self.groups, self.above = kind, groups, above
        self._counts: np.ndarray | None = None
        self._ungrouped = 0

    def _start(self, rest: tuple[int, ...]) -> None:
        shape = (self.groups, *rest)
        start = {"max": -np.inf, "min": np.inf}.get(self.kind, 0.0)
        self._counts, self._left_out = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self._values = np.full(shape, start)
        self._squares = np.zeros(shape if self.kind == "std" else ())  # sums of squared distances from the mean

    def add(self, values: np.ndarray, groups: np.ndarray | None = None) -> None:
        """Add examples: values (example, ...), groups (example,) their numbers."""
        values = np.asarray(values)
        if self._counts is None:
            self._start(values.shape[1:])
        if groups is None:
            self._add(0, values)
            return
        groups = np.asarray(groups)
        self._ungrouped += int((groups < 0).sum())
        for group in np.unique(groups[groups >= 0]):
            self._add(int(group), values[groups == group])

    def _add(self, group: int, values: np.ndarray) -> None:
        assert self._counts is not None
        missing = ~np.isfinite(values)
        some = bool(missing.any())
        new = len(values) - missing.sum(0)
        old = self._counts[group].copy()
        total = old + new
        self._counts[group] = total
        self._left_out[group] += missing.sum(0)
        held = self._values[group]
        if self.kind in ("max", "min"):
            extreme = np.maximum if self.kind == "max" else np.minimum
            empty = -np.inf if self.kind == "max" else np.inf
            clean = np.where(missing, empty, values) if some else values
            self._values[group] = extreme(held, extreme.reduce(clean, axis=0, initial=empty))
        elif self.kind == "fraction":
            self._values[group] = held + (values > self.above).sum(0)
        else:
            clean = np.where(missing, 0.0, values) if some else values
            at_least = np.maximum(new, 1)
            mean = clean.sum(0, dtype=np.float64) / at_least
            step = np.where(new > 0, mean - held, 0.0)
            self._values[group] = held + step * (new / np.maximum(total, 1))
            if self.kind == "std":
                apart = np.where(missing, 0.0, values - mean)
                self._squares[group] += (apart * apart).sum(0) + step * step * (old * new / np.maximum(total, 1))

    def result(self) -> Reduced:
        """Return the values of what was added so far. Raises ValueError where nothing was added."""
        if self._counts is None:
            raise ValueError("no examples were added")
        values = self._values
        at_least = np.maximum(self._counts, 1)
        if self.kind == "std":
            values = np.sqrt(self._squares / at_least)
        elif self.kind == "fraction":
            values = values / at_least
        values = np.where(self._counts > 0, values, np.nan)
        return Reduced(values, self._counts.copy(), self._left_out.copy(), self._ungrouped)


Chunks: TypeAlias = "Callable[[], Iterable[tuple[np.ndarray, np.ndarray | None]]]"  # in words: numpy loads late


def quantiles(chunks: Chunks, q: float, groups: int = 1, block_bytes: int = BLOCK_BYTES) -> Reduced:
    """Compute exact quantiles over the examples, interpolated as by `numpy.quantile`, without what is not finite.

    chunks: makes the stream of (values (example, atom), numbers of groups (example,) or None) anew. It is read once for
    each block of atoms whose values fit into ``block_bytes``, and once before to count.
    """
    examples = atoms = ungrouped = size = 0
    for values, _ in chunks():
        examples, atoms, size = examples + len(values), values.shape[1], values.dtype.itemsize
    if not examples:
        raise ValueError("no examples were added")
    width = max(1, min(atoms, block_bytes // (examples * size)))
    results = np.full((groups, atoms), np.nan)
    counts, left_out = np.zeros((2, groups, atoms), np.int64)
    for start in range(0, atoms, width):
        block = slice(start, start + width)
        numbers, table = _columns(chunks(), block)
        ungrouped = int((numbers < 0).sum())
        for group in range(groups):
            own = table[numbers == group]
            missing = ~np.isfinite(own)
            counts[group, block] = (~missing).sum(0)
            left_out[group, block] = missing.sum(0)
            some = counts[group, block] > 0
            if some.any():
                results[group, block][some] = _quantile(own[:, some], q, bool(missing.any()))
    return Reduced(results, counts, left_out, ungrouped)


def _quantile(values: np.ndarray, q: float, missing: bool) -> np.ndarray:
    exact = values.astype(np.float64)
    if missing:
        return np.nanquantile(np.where(np.isfinite(exact), exact, np.nan), q, axis=0)
    return np.quantile(exact, q, axis=0)


def _columns(chunks: Iterable[tuple[np.ndarray, np.ndarray | None]], block: slice) -> tuple[np.ndarray, np.ndarray]:
    """Gather some atoms of every example. Returns (numbers of groups (example,), values (example, atom))."""
    pairs = [
        (np.zeros(len(values), np.int64) if groups is None else np.asarray(groups), np.array(values[:, block]))
        for values, groups in chunks
    ]
    return np.concatenate([numbers for numbers, _ in pairs]), np.concatenate([values for _, values in pairs])

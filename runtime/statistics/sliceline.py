"""SliceLine (Sagadeeva and Boehm 2021): the conjunctions of conditions with the highest score, by exact enumeration."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

ALPHA = 0.95  # the paper's weight of the error against the size
BLOCK = 1 << 22  # pairs of a slice and a condition at once
WORK = 4e9  # products of a slice, a condition and an example for each number of conditions: about a second on one core
Accept: TypeAlias = "Callable[[np.ndarray], bool]"


@dataclass(frozen=True, order=True)
class Scored:
    """A conjunction of conditions, by their numbers, ascending. Sorts from the best: the highest score, then the
    fewest conditions, then the numbers."""

    rank: tuple[float, int, tuple[int, ...]] = field(repr=False)
    conditions: tuple[int, ...]
    score: float

    @staticmethod
    def of(conditions: tuple[int, ...], score: float) -> Scored:
        return Scored((-score, len(conditions), conditions), conditions, score)


@dataclass(frozen=True)
class Found:
    """The best slices, best first, and whether all were tried or bounded."""

    slices: list[Scored]
    complete: bool


@dataclass(frozen=True)
class Scores:
    """The score of slices of n examples with a mean error, and its bound for what is inside of them."""

    examples: int
    mean: float
    alpha: float
    smallest: int

    def score(self, sizes: np.ndarray, errors: np.ndarray) -> np.ndarray:
        """alpha (mean error in the slice / mean error - 1) - (1 - alpha) (examples / size - 1); sizes, and sums of
        errors, of any shape."""
        s = np.maximum(sizes, 1)
        return self.alpha * (errors / s / self.mean - 1) - (1 - self.alpha) * (self.examples / s - 1)

    def bound(self, sizes: np.ndarray, errors: np.ndarray, most: np.ndarray) -> np.ndarray:
        """Bound the score of every slice inside of these that has ``smallest`` examples or more; most: at least the
        largest error of one example. The score of s examples with errors min(errors, s * most) is largest at the
        smallest s that can hold all errors, or at the whole."""
        with np.errstate(invalid="ignore", divide="ignore"):
            dense = np.where(errors > 0, errors / most, 0.0)
        s = np.minimum(np.maximum(self.smallest, dense), np.maximum(sizes, 1))
        return np.maximum(self.score(s, np.minimum(errors, s * most)), self.score(sizes, errors))


def conjunction(masks: np.ndarray, which: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return where all of some conditions hold (example,). masks (condition, example)."""
    return np.logical_and.reduce(masks[np.asarray(which)], axis=0)


def search(
    masks: np.ndarray,
    columns: np.ndarray,
    errors: np.ndarray,
    k: int,
    smallest: int,
    alpha: float = ALPHA,
    depth: int = 3,
    accept: Accept | None = None,
    work: float = WORK,
) -> Found:
    """Find the k conjunctions of up to ``depth`` conditions with the highest positive scores, best first.

    masks (condition, example) bool: where each holds; columns (condition,): a conjunction has at most one condition of
    each; errors (example,): not negative; smallest: how many examples a slice has at least. ``accept``: called with the
    mask (example,) of a slice that would be kept.

    A slice is left only where its bound is below the k best found: the result is that of trying all. Each conjunction
    is reached once, by conditions of ascending numbers. Where that is more than ``work``, the most promising slices are
    extended, those with the highest bound and score, and the result is not complete.
    """
    errors = np.asarray(errors, np.float64)
    mean = float(errors.mean()) if len(errors) else 0.0
    if mean <= 0 or not len(masks):
        return Found([], True)
    scores = Scores(len(errors), mean, alpha, smallest)
    return _Search(masks, columns, errors, k, scores, accept, work).run(depth)


@dataclass(frozen=True)
class _Level:
    """Slices of one number of conditions (slice, condition), bounds and scores (slice,)."""

    slices: np.ndarray
    bounds: np.ndarray
    scores: np.ndarray

    @staticmethod
    def empty(conditions: int) -> _Level:
        return _Level(np.zeros((0, conditions), np.int64), np.zeros(0), np.zeros(0))

    @staticmethod
    def joined(parts: list[_Level]) -> _Level:
        return _Level(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("slices", "bounds", "scores")))

    def take(self, which: np.ndarray) -> _Level:
        return _Level(self.slices[which], self.bounds[which], self.scores[which])


class _Search:
    """The k best so far, and what they are searched in."""

    def __init__(
        self,
        masks: np.ndarray,
        columns: np.ndarray,
        errors: np.ndarray,
        k: int,
        scores: Scores,
        accept: Accept | None,
        work: float,
    ) -> None:
        # Sums of 0 and 1 are exact in float32, and twice as fast.
        exact = np.float32 if np.array_equal(errors, errors.astype(bool)) else np.float64
        self.masks, self.columns, self.scores, self.k, self.accept = masks, columns, scores, k, accept
        self.errors: np.ndarray = errors.astype(exact)
        self.table: np.ndarray = masks.astype(exact)
        self.most = np.where(masks, errors, 0.0).max(1)
        self.best: list[Scored] = []
        self.budget = max(1, int(work / masks.size))  # slices that are extended by one condition
        self.complete = True

    def run(self, depth: int) -> Found:
        single = np.arange(len(self.masks))[:, None]
        sizes, sums = self.table.sum(1), self.table @ self.errors
        level = self._weigh(single, sizes, sums, self.most)
        for _ in range(depth - 1):
            level = self._extend(level)
        return Found(self.best, self.complete)

    def _extend(self, level: _Level) -> _Level:
        """Add one condition to each slice, the most promising first. Returns those that may hold better ones."""
        level = level.take(np.lexsort((-level.scores, -level.bounds)))
        size = max(1, BLOCK // max(self.masks.shape))
        wider = [_Level.empty(level.slices.shape[1] + 1)]
        left = self.budget
        for start in range(0, len(level.slices), size):
            piece = slice(start, start + size)
            block = level.slices[piece][self._may_be(level.bounds[piece])]
            self.complete &= len(block) <= left
            block = block[:left]
            left -= len(block)
            if not len(block):
                continue
            inside = np.logical_and.reduce(self.masks[block], axis=1)
            sizes = inside.astype(self.table.dtype) @ self.table.T
            sums = np.where(inside, self.errors, 0) @ self.table.T
            fits = np.arange(len(self.masks)) > block[:, -1:]
            fits &= (sizes >= self.scores.smallest) & (sums > 0)
            fits &= ~(self.columns[block][:, :, None] == self.columns).any(1)
            which, condition = np.nonzero(fits)
            most = np.minimum(self.most[block].min(1)[which], self.most[condition])
            joined = np.concatenate([block[which], condition[:, None]], axis=1)
            wider.append(self._weigh(joined, sizes[fits], sums[fits], most))
        return _Level.joined(wider)

    def _weigh(self, slices: np.ndarray, sizes: np.ndarray, sums: np.ndarray, most: np.ndarray) -> _Level:
        """Keep the best of some slices. Returns those that may hold better ones."""
        sizes, sums = sizes.astype(np.float64), sums.astype(np.float64)
        scores = np.where(sizes >= self.scores.smallest, self.scores.score(sizes, sums), -np.inf)
        self._keep(slices, scores)
        bounds = self.scores.bound(sizes, sums, most)
        going = (sizes >= self.scores.smallest) & self._may_be(bounds)
        return _Level(slices[going], bounds[going], scores[going])

    def _keep(self, slices: np.ndarray, scores: np.ndarray) -> None:
        promising = np.flatnonzero((scores > 0) & self._may_be(scores))
        for i in promising[np.argsort(-scores[promising], kind="stable")]:
            if len(self.best) == self.k and scores[i] < self.best[-1].score:
                break
            scored = Scored.of(tuple(slices[i].tolist()), float(scores[i]))
            if len(self.best) == self.k and scored.rank > self.best[-1].rank:
                continue
            if self.accept is None or self.accept(conjunction(self.masks, slices[i])):
                insort(self.best, scored)
                del self.best[self.k :]

    def _may_be(self, bounds: np.ndarray) -> np.ndarray:
        """Return which bounds do not lie below the k best, allowing for rounding."""
        least = self.best[-1].score * (1 - 1e-9) if len(self.best) == self.k else 0.0
        return (bounds > 0) & (bounds >= least)

"""An activation atlas (Carter et al. 2019): vectors on a map, averaged over the cells of a grid, at several zooms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEVELS = 3
TRIM = 0.01  # of the places on each side, in each direction, which do not say how far the map reaches
MARGIN = 0.1  # of the distance between those two quantiles, which the map reaches beyond them


@dataclass(frozen=True)
class Level:
    """The cells with enough members of a grid of bins x bins, row by row from the smallest coordinates.

    cells (cell, 2): row and column. counts (cell,): members. means (cell, channel): of their vectors. members
    (member,): the numbers of the vectors, cell by cell, nearest to the mean first; starts (cell + 1,): where each cell
    begins among them. left_out: vectors in cells with too few.
    """

    bins: int
    cells: np.ndarray
    counts: np.ndarray
    means: np.ndarray
    members: np.ndarray
    starts: np.ndarray
    left_out: int

    def of(self, cell: int) -> np.ndarray:
        """Return the members of a cell."""
        return self.members[self.starts[cell] : self.starts[cell + 1]]

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Average values (vector, ...), as an attribution to each class, over each cell (cell, ...)."""
        ordered = np.asarray(values, np.float64)[self.members]
        sums = np.add.reduceat(ordered, self.starts[:-1], axis=0) if len(self.cells) else ordered[:0]
        return sums / self.counts.reshape(-1, *(1,) * (ordered.ndim - 1))


@dataclass(frozen=True)
class Atlas:
    """levels: from the coarsest, each with twice the bins of the one before. low, high (2,): the corners of the square
    that the grids divide, in the map's y and x. undefined: vectors without a finite place or value. outliers: those
    that lie too far from the others to be on the map."""

    levels: tuple[Level, ...]
    low: np.ndarray
    high: np.ndarray
    undefined: int
    outliers: int = 0


def atlas(
    points: np.ndarray, vectors: np.ndarray, bins: int = 20, levels: int = LEVELS, least: int = 1, trim: float = TRIM
) -> Atlas:
    """Average vectors over the cells of grids on a map.

    points (vector, 2): places on the map, x and y. vectors (vector, channel). bins: along each side, at the coarsest
    level. least: members that a cell has at least. Cells are squares; a point on a border belongs to the cell above it,
    one on the upper edge of the map to the last.

    trim: the map reaches from this quantile of the places to the one at the other end, and a tenth of that beyond on
    each side. Carter et al. move what lies farther out to the border, where it would be averaged with others; here it
    is left out, and counted.
    """
    points, vectors = np.asarray(points, np.float64), np.asarray(vectors)
    defined = np.flatnonzero(np.isfinite(points).all(1) & np.isfinite(vectors).all(1))
    if not len(defined):
        raise ValueError("no vector has a place on the map")
    places = points[defined][:, ::-1]
    inside = _inside(places, trim)
    places, own = places[inside], defined[inside]
    middle = (places.max(0) + places.min(0)) / 2
    half = float((places.max(0) - places.min(0)).max()) / 2 or 0.5  # one point: any square around it
    low, high = middle - half, middle + half
    made = [_level(places, vectors, own, low, 2 * half, bins * 2**level, least) for level in range(levels)]
    return Atlas(tuple(made), low, high, len(points) - len(defined), len(defined) - len(own))


def _inside(places: np.ndarray, trim: float) -> np.ndarray:
    """Return whether each place (vector, 2) lies where most others do."""
    if not trim:
        return np.ones(len(places), bool)
    low, high = np.quantile(places, (trim, 1 - trim), axis=0)
    margin = MARGIN * (high - low)
    return ((places >= low - margin) & (places <= high + margin)).all(1)


def _level(
    places: np.ndarray, vectors: np.ndarray, defined: np.ndarray, low: np.ndarray, side: float, bins: int, least: int
) -> Level:
    at = np.clip(np.floor((places - low) / side * bins).astype(np.int64), 0, bins - 1)
    number = at[:, 0] * bins + at[:, 1]
    order = np.argsort(number, kind="stable")
    names, starts, counts = np.unique(number[order], return_index=True, return_counts=True)
    kept = counts >= least
    cells = np.stack([names[kept] // bins, names[kept] % bins], axis=1)
    means = np.zeros((len(cells), vectors.shape[1]), np.float32)
    members = [np.zeros(0, np.int64)]
    for i, (start, count) in enumerate(zip(starts[kept], counts[kept], strict=True)):
        inside = defined[order[start : start + count]]
        own = vectors[inside].astype(np.float64)
        mean = own.mean(0)
        means[i] = mean
        members.append(inside[np.argsort(((own - mean) ** 2).sum(1), kind="stable")])
    bounds = np.concatenate([[0], np.cumsum(counts[kept])])
    left_out = int(counts[~kept].sum())
    return Level(bins, cells, counts[kept], means, np.concatenate(members), bounds, left_out)

"""The whole range of one atom over a dataset: what is zero, what is saturated, and quantiles of the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BINS = 32
SHARED = 3  # examples; so many bit-equal largest values are a ceiling


@dataclass(frozen=True)
class Spectrum:
    """One atom's values over N examples, one per example (as its maximum over positions).

    scanned: N; left_out: those whose value was not finite. zeros, saturated: how many are exactly 0, and exactly the
    ceiling; each is a bar of its own. rest: how many others. ceiling: the saturated value, None where there is none.
    levels, rows, values (step,): quantiles from 0 to 1, and the example of the rest at each with its value, lowest
    first; fewer than asked where the rest is smaller. counts (bin,), edges (bin + 1,): a histogram of the rest, the
    last bin closed.
    """

    scanned: int
    left_out: int
    zeros: int
    saturated: int
    rest: int
    ceiling: float | None
    levels: np.ndarray
    rows: np.ndarray
    values: np.ndarray
    counts: np.ndarray
    edges: np.ndarray

    @property
    def dead(self) -> bool:
        """Whether every value is zero."""
        return self.zeros > 0 and self.zeros == self.scanned - self.left_out

    @property
    def sentence(self) -> str:
        """Say how many examples are zero or saturated; empty where none is."""
        finite = self.scanned - self.left_out
        which = f"all {finite:,} examples scanned"
        parts = []
        if self.dead:
            parts.append(f"zero on {which}")
        elif self.zeros:
            parts.append(f"zero on {self.zeros:,} of {finite:,} examples")
        if self.saturated:
            on = which if self.saturated == finite else f"{self.saturated:,} of {finite:,} examples"
            parts.append(f"at its ceiling of {self.ceiling:.6g} on {on}")
        if self.left_out:
            parts.append(f"not a number on {self.left_out:,} of {self.scanned:,}, which are left out")
        return "; ".join(parts)


def spectrum(
    values: np.ndarray,
    n: int = 9,
    ceiling: float | None = None,
    second: np.ndarray | None = None,
    order: np.ndarray | None = None,
    bins: int = BINS,
) -> Spectrum:
    """Describe one atom's values (example,).

    n: how many quantiles, evenly from the lowest to the highest value of the rest; at each the example of the nearest
    rank is taken, so that no example is taken twice. ceiling: the value at which the layer saturates, as 6 of ReLU6.
    second, order (example,): what orders equal values: the value before the nonlinearity, then numbers of any kind, as
    of the hash of the content; the row decides last.
    """
    values = np.asarray(values)
    finite = np.isfinite(values)
    zero = values == 0
    full = (values == ceiling) & ~zero if ceiling is not None else np.zeros_like(zero)
    rest = np.flatnonzero(finite & ~zero & ~full)
    ties = [key[rest] for key in (order, second) if key is not None]
    ranked = rest[np.lexsort((rest, *ties, values[rest]))]
    steps = min(n, len(ranked))
    levels = np.linspace(0, 1, steps) if steps > 1 else np.full(steps, 0.5)
    rows = ranked[np.rint(levels * (len(ranked) - 1)).astype(np.int64)]
    counts, edges = (
        np.histogram(values[rest].astype(np.float64), bins) if len(rest) else (np.zeros(0, int), np.zeros(0))
    )
    return Spectrum(
        scanned=len(values),
        left_out=int((~finite).sum()),
        zeros=int(zero.sum()),
        saturated=int(full.sum()),
        rest=len(rest),
        ceiling=ceiling,
        levels=levels,
        rows=rows,
        values=values[rows],
        counts=counts,
        edges=edges,
    )


def edges_of(values: np.ndarray) -> np.ndarray:
    """Return the edges of the bins of a histogram of ``values`` (any shape): over those that are finite and not
    zero."""
    exact = np.asarray(values, np.float64)
    known = exact[np.isfinite(exact) & (exact != 0)]
    return np.histogram_bin_edges(known if len(known) else np.zeros(1), BINS)


def shared_ceiling(values: np.ndarray, digests: np.ndarray | None = None) -> float | None:
    """Find a value at which an atom saturates: its largest one over (example,), where at least three examples of
    different content share it to the last bit and it is not zero. A guess for layers whose bound is not known."""
    values = np.asarray(values)
    values, digests = values[np.isfinite(values)], None if digests is None else np.asarray(digests)[np.isfinite(values)]
    if not len(values) or values.max() == 0:
        return None
    largest = values == values.max()
    shared = largest.sum() if digests is None else len(np.unique(digests[largest]))
    return float(values.max()) if shared >= SHARED else None

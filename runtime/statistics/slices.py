"""Subsets of a dataset on which a network errs more often, searched on one half and measured on the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from math import comb
from statistics import NormalDist

import numpy as np

from bbilang.runtime.statistics.conditions import Columns, Condition, candidates
from bbilang.runtime.statistics.intervals import permutation_p, wilson
from bbilang.runtime.statistics.sliceline import ALPHA, Scores, conjunction, search

OVERLAP = 0.5  # Jaccard index of the examples of two slices; above it the second says little new
PERMUTATIONS = 999
DEPTH = 3  # conditions of a slice, at most
LEVEL = 0.05  # at which a condition is kept, divided by the number of conditions tried
BEST, ROUNDS = 20, 3  # candidates for each slice in a search; searches, each apart from all earlier candidates


@dataclass(frozen=True)
class Slice:
    """A conjunction of conditions. score: SliceLine's, on the half that was searched.

    On the other half: size, rate (mean error) in the slice and rest, its mean error outside; interval: Wilson's of the
    rate, None where errors are not 0 or 1; p: by permutation of the errors, corrected for all slices that were found.
    examples: the numbers of the slice's examples in the whole dataset, of both halves.
    """

    conditions: tuple[Condition, ...]
    score: float
    size: int
    rate: float
    rest: float
    interval: tuple[float, float] | None
    p: float
    examples: np.ndarray

    def __str__(self) -> str:
        return " and ".join(str(condition) for condition in self.conditions)


@dataclass(frozen=True)
class Slices:
    """The slices, the best score first. searched, measured: sizes of the halves. left_out: examples whose error is not
    defined, as of a label that is no class. smallest: examples that a slice had at least in the search. candidates:
    how many conditions were tried. complete: whether all conjunctions were tried or bounded; if not, the most promising
    ones were."""

    slices: tuple[Slice, ...]
    searched: int
    measured: int
    left_out: int
    smallest: int
    candidates: int
    complete: bool


def find_slices(
    errors: np.ndarray,
    columns: Columns,
    features: Columns | None = None,
    n: int = 5,
    smallest: int | None = None,
    alpha: float = ALPHA,
    overlap: float = OVERLAP,
    permutations: int = PERMUTATIONS,
    groups: np.ndarray | None = None,
    seed: int = 0,
    searched: np.ndarray | None = None,
) -> Slices:
    """Find up to n slices by SliceLine's score (Sagadeeva and Boehm 2021).

    errors (example,): 0 or 1, or any number that is not negative, NaN where not defined. columns (example,): of the
    dataset, without those that the errors are computed from. features (example,): numbers of a layer, as the maximum of
    each channel, by the channel's name. smallest: examples of a slice in the half that is searched; by default 1 % of
    it, at least 10. overlap: at most so much of a slice (Jaccard index) is in a better one. groups (example,): near
    duplicates, which stay in one half. searched (example,): which examples are searched, where a dataset has halves of
    its own; the others are measured.

    Conditions, their quantiles and the slices come from one half, and every number about a slice but its score from the
    other. p: errors are permuted over the other half; each time the largest standardized difference among the slices is
    taken (max statistic of Westfall and Young 1993).
    """
    errors = np.asarray(errors, np.float64)
    defined = np.flatnonzero(np.isfinite(errors))
    if searched is None:
        first, second = halves(errors[defined], None if groups is None else np.asarray(groups)[defined], seed)
    else:
        first, second = np.flatnonzero(searched[defined]), np.flatnonzero(~searched[defined])
    searched, measured = defined[first], defined[second]
    features = features or {}
    smallest = smallest if smallest is not None else max(10, int(np.ceil(0.01 * len(searched))))
    part = {name: np.asarray(column)[searched] for name, column in columns.items()}
    part_features = {name: np.asarray(column)[searched] for name, column in features.items()}
    conditions = candidates(part, part_features, smallest)
    found, complete = _search(errors[searched], {**part, **part_features}, conditions, n, smallest, alpha, overlap)
    slices = _measure(errors, measured, {**columns, **features}, found, permutations, seed)
    return Slices(slices, len(searched), len(measured), len(errors) - len(defined), smallest, len(conditions), complete)


def halves(errors: np.ndarray, groups: np.ndarray | None = None, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Split examples at random, with as many errors in each half. groups (example,): of near duplicates, negative for
    none; each is in one half, that of its first example. Returns (numbers of one half, of the other), sorted."""
    source = np.random.default_rng(seed)
    shuffled = source.permutation(len(errors))
    ranked = shuffled[np.argsort(-errors[shuffled], kind="stable")]  # neighbours have like errors: one of each pair
    coins = np.repeat(source.integers(0, 2, (len(errors) + 1) // 2), 2)[: len(errors)]
    coins[1::2] ^= 1
    side = np.empty(len(errors), np.int64)
    side[ranked] = coins
    if groups is not None:
        inside = np.flatnonzero(groups >= 0)
        _, firsts, inverse = np.unique(groups[inside], return_index=True, return_inverse=True)
        side[inside] = side[inside][firsts][inverse]
    return np.flatnonzero(side == 0), np.flatnonzero(side == 1)


def _search(
    errors: np.ndarray,
    columns: Columns,
    conditions: list[Condition],
    n: int,
    smallest: int,
    alpha: float,
    overlap: float,
) -> tuple[list[tuple[tuple[Condition, ...], float]], bool]:
    """Find n slices that overlap little with better ones, without conditions that chance explains. Returns them with
    their scores, and whether the search was complete."""
    if not conditions or not errors.any():
        return [], True
    masks = np.stack([condition.holds(columns) for condition in conditions])
    names = {name: i for i, name in enumerate(columns)}
    numbers = np.array([names[condition.column] for condition in conditions])
    scores = Scores(len(errors), float(errors.mean()), alpha, smallest)
    found: list[tuple[float, tuple[int, ...]]] = []
    taken: list[np.ndarray] = []

    def apart(mask: np.ndarray) -> bool:
        return all((mask & other).sum() <= overlap * (mask | other).sum() for other in taken)

    complete = True
    for _ in range(ROUNDS):
        # Noise lends the longest the highest scores: the best of each length are considered.
        searches = [
            search(masks, numbers, errors, BEST * n, smallest, alpha, depth, apart) for depth in range(1, DEPTH + 1)
        ]
        complete &= searches[-1].complete
        best = {scored.conditions for result in searches for scored in result.slices}
        # Simplified, another one may be the best.
        simple = {needed(which, masks, errors, scores) for which in best}
        parts = [(which, conjunction(masks, which)) for which in simple]
        ranked = [(-float(scores.score(mask.sum(), errors @ mask)), which, mask) for which, mask in parts]
        for negative, which, mask in sorted(ranked, key=lambda entry: entry[:2]):
            if negative < 0 and apart(mask) and len(found) < n:
                found.append((-negative, which))
                taken.append(mask)
        taken += [conjunction(masks, which) for which in sorted(best)]
        if len(found) == n or not best:
            break
    found.sort(key=lambda pair: -pair[0])
    return [(tuple(conditions[i] for i in which), score) for score, which in found], complete


def needed(which: tuple[int, ...], masks: np.ndarray, errors: np.ndarray, scores: Scores) -> tuple[int, ...]:
    """Drop the conditions of a conjunction that chance explains: return its part with the best score of those whose
    conditions are all needed. A single one always is.

    A search among many conditions always finds one that happens to remove some examples without errors. A condition is
    needed where the slice has as many errors, drawn from the examples that the others leave, with a probability of at
    most 5 % over the number of conditions tried (Bonferroni). masks (condition, example), errors (example,).
    """
    parts = [part for size in range(1, len(which) + 1) for part in combinations(which, size)]
    kept = [part for part in parts if _each_needed(part, masks, errors)]
    inside = [conjunction(masks, part) for part in kept]
    values = [float(scores.score(mask.sum(), errors @ mask)) for mask in inside]
    return kept[int(np.argmax(values))]


def _each_needed(which: tuple[int, ...], masks: np.ndarray, errors: np.ndarray) -> bool:
    inside = conjunction(masks, which)
    for condition in which if len(which) > 1 else ():
        around = conjunction(masks, [i for i in which if i != condition])
        if chance(inside[around], errors[around]) * len(masks) > LEVEL:
            return False
    return True


def chance(inside: np.ndarray, errors: np.ndarray) -> float:
    """Compute the probability that a random part of some examples has errors as large as the part inside (example,):
    hypergeometric for errors of 0 and 1, else by the normal approximation of permutation."""
    if not np.array_equal(errors, errors.astype(bool)):
        return 1 - NormalDist().cdf(float(excess(inside[None].astype(np.float64), errors)[0]))
    examples, size, wrong = len(errors), int(inside.sum()), int(errors.sum())
    ways = sum(
        comb(wrong, k) * comb(examples - wrong, size - k) for k in range(int(errors @ inside), min(size, wrong) + 1)
    )
    return ways / comb(examples, size)


def _measure(
    errors: np.ndarray,
    measured: np.ndarray,
    columns: Mapping[str, np.ndarray],
    found: list[tuple[tuple[Condition, ...], float]],
    permutations: int,
    seed: int,
) -> tuple[Slice, ...]:
    """Measure the slices on the half that was not searched."""
    if not found:
        return ()
    whole = np.stack([np.all([c.holds(columns) for c in conditions], axis=0) for conditions, _ in found])
    inside = whole[:, measured].astype(np.float64)
    own = errors[measured]
    source = np.random.default_rng((seed, 1))
    null = np.stack([excess(inside, source.permutation(own)).max() for _ in range(permutations)])
    p = permutation_p(excess(inside, own), null)
    sizes, sums = inside.sum(1), inside @ own
    binary = np.array_equal(own, own.astype(bool))
    low, high = wilson(sums, sizes)
    with np.errstate(invalid="ignore", divide="ignore"):
        rates, rests = sums / sizes, (own.sum() - sums) / (len(own) - sizes)
    defined = np.flatnonzero(np.isfinite(errors))
    return tuple(
        Slice(
            conditions=conditions,
            score=score,
            size=int(sizes[i]),
            rate=float(rates[i]),
            rest=float(rests[i]),
            interval=(float(low[i]), float(high[i])) if binary else None,
            p=float(p[i]),
            examples=defined[whole[i][defined]],
        )
        for i, (conditions, score) in enumerate(found)
    )


def excess(inside: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Standardize the mean error of slices: its distance from the mean of all, divided by the deviation that it has
    when errors are permuted. inside (slice, example) 0 or 1. Returns (slice,), 0 for an empty slice or the whole."""
    examples = len(errors)
    sizes = inside.sum(1)
    spread = errors.var(ddof=1) if examples > 1 else 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        deviation = np.sqrt(spread * (1 / sizes - 1 / examples))
        z = (inside @ errors / sizes - errors.mean()) / deviation
    return np.where((sizes > 0) & (sizes < examples) & (spread > 0), z, 0.0)

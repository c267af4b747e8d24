"""`lds`: how well influences predict what a network gives that is trained again on a random half of the examples."""

from __future__ import annotations

import numpy as np

from bbilang.grammar.frozen import frozen
from bbilang.runtime.trust.measure import Measure
from bbilang.runtime.trust.numbers import number

RESAMPLED = 1000  # bootstrap samples of an interval


class DatamodelingScore(Measure):
    """The rank correlation, over random halves of the examples, of the sum of the influences of a half with the score
    after training on it alone."""

    name = "lds"
    title = "linear datamodeling score"
    source = "Park et al. 2023; Ilyas et al. 2022"
    formula = "mean over scores of Spearman's rank correlation over halves S of sum(influence of S) and f(trained on S)"
    means = (
        "near 1: sums of these numbers tell which sets of examples make the score large after training as "
        "`set training(...)` says; near 0: they do not, or chance in the training hides it; a single example may "
        "matter otherwise"
    )
    of_influence = True


@frozen
class Agreement:
    """The mean over queries of the rank correlation, its interval of 95 %, and that of each query (query,); NaN where
    one side has no order."""

    value: float
    low: float
    high: float
    each: np.ndarray

    @property
    def words(self) -> str:
        if np.isnan(self.value):
            return "undefined: all halves give the same"
        return f"{number(self.value)} (95 % interval {number(self.low)} to {number(self.high)})"


def centred_ranks(values: np.ndarray) -> np.ndarray:
    """Return the ranks along the first axis, centred and of length 1; zeros where all values are equal."""
    from scipy.stats import rankdata

    centred = rankdata(values, axis=0)
    centred -= centred.mean(0)
    return np.asarray(centred / np.linalg.norm(centred, axis=0).clip(1e-12))


def rank_correlations(predicted: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation over halves of each query, (query,), of (half, query); 0 where one side has no
    order."""
    return np.asarray((centred_ranks(predicted) * centred_ranks(found)).sum(0))


def halves(labelled: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return which examples are in each random half, (half, example), bool: half of those that have a label. Each half
    depends on its number alone, so that more of them begin with the same."""
    places = np.flatnonzero(labelled)
    chosen = np.zeros((count, len(labelled)), bool)
    for place, row in enumerate(chosen):
        row[np.random.default_rng([seed, 23, place]).permutation(places)[: len(places) // 2]] = True
    return chosen


def agreement(predicted: np.ndarray, found: np.ndarray, seed: int) -> Agreement:
    """Compare predictions with what training again gave, both (half, query). The interval is of a bootstrap that draws
    halves and queries."""
    random = np.random.default_rng([seed, 24])
    ordered = (np.ptp(predicted, axis=0) > 0) & (np.ptp(found, axis=0) > 0)
    each = np.where(ordered, rank_correlations(predicted, found), np.nan)
    if not ordered.any():
        return Agreement(np.nan, np.nan, np.nan, each)
    predicted, found = predicted[:, ordered], found[:, ordered]
    means = []
    for _ in range(RESAMPLED):
        rows, columns = random.integers(len(found), size=len(found)), random.integers(len(found.T), size=len(found.T))
        means.append(float(rank_correlations(predicted[rows][:, columns], found[rows][:, columns]).mean()))
    low, high = np.percentile(means, (2.5, 97.5))
    return Agreement(float(np.nanmean(each)), float(low), float(high), each)


MEASURES = (DatamodelingScore(),)

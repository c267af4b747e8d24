"""Whether claims hold: the mean over cases, its interval, random sets, and Holm's correction for several claims."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bbilang.grammar.comparisons import COMPARE
from bbilang.runtime.statistics.intervals import holm, permutation_p

LEVEL = 0.05
HOLDS, FAILS, CHANCE, UNTOLD, UNDEFINED = (
    "holds", "fails", "no different from chance", "cannot be told from chance", "undefined",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """One condition of a claim. ``value``: the mean; ``low``, ``high``: its interval, NaN of one case; ``p``: the part
    of the random sets that are as extreme, before any correction, NaN without any; ``sets``: how many there are."""

    value: float
    low: float
    high: float
    p: float
    sets: int
    satisfied: bool

    @property
    def defined(self) -> bool:
        return math.isfinite(self.value)


def outcome(
    values: np.ndarray,
    comparison: str,
    bound: float,
    controls: np.ndarray | None = None,
    others: np.ndarray | None = None,
) -> Outcome:
    """Test one condition. values (state, case): it is satisfied if the mean over cases is, in every state; the numbers
    are of the state that is worst for it. controls (state, case, set): of random sets, NaN where a set is missing.
    others (state, case): of other cases, whose mean is subtracted.

    The interval is Student's, of 95 %, and Welch's where there are others. The p-value is one-sided, in the direction
    of the comparison.
    """
    sign = 1.0 if comparison in (">", ">=") else -1.0
    values = np.asarray(values, np.float64)
    groups = [values] if others is None else [values, np.asarray(others, np.float64)]
    means = values.mean(1) if others is None else values.mean(1) - groups[1].mean(1)
    if not np.isfinite(means).all():
        return Outcome(math.nan, math.nan, math.nan, math.nan, 0, False)
    worst = int((sign * means).argmin())
    half = _half_width([group[worst] for group in groups])
    low, high = means[worst] - half, means[worst] + half
    p, sets = math.nan, 0
    if controls is not None:
        random = np.asarray(controls[worst], np.float64).mean(0)
        random = random[np.isfinite(random)]
        sets = len(random)
        p = float(permutation_p(sign * means[worst], sign * random)) if sets else math.nan
    satisfied = all(COMPARE[comparison](float(mean), bound) for mean in means)
    return Outcome(float(means[worst]), float(low), float(high), p, sets, satisfied)


def _half_width(groups: Sequence[np.ndarray]) -> float:
    """Return half of the 95 % interval of the mean of one group, or of the difference of two means (Welch 1947); NaN
    where a group has one case."""
    if min(map(len, groups)) < 2:
        return math.nan
    from scipy.special import stdtrit

    parts = [(float(group.var(ddof=1)) / len(group), len(group) - 1) for group in groups]
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return 0.0
    freedom = variance**2 / sum(part**2 / own for part, own in parts)
    return float(stdtrit(freedom, 0.975)) * math.sqrt(variance)


def corrected(claims: Sequence[Sequence[Outcome]]) -> list[float]:
    """Return the p-value of each claim after Holm's correction for all of them, NaN for one without random sets. A
    claim has the largest p-value of its conditions: all of them must hold."""
    raw = [max((o.p for o in outcomes if math.isfinite(o.p)), default=math.nan) for outcomes in claims]
    known = [number for number, p in enumerate(raw) if math.isfinite(p)]
    adjusted = list(raw)
    for number, p in zip(known, holm(np.array([raw[number] for number in known])), strict=True):
        adjusted[number] = float(p)
    return adjusted


def verdicts(claims: Sequence[Sequence[Outcome]]) -> list[str]:
    """Return a verdict for each claim, a list of conditions."""
    words = []
    tested = sum(any(o.sets for o in outcomes) for outcomes in claims)
    for outcomes, p in zip(claims, corrected(claims), strict=True):
        sets = min((o.sets for o in outcomes if o.sets), default=0)
        if not all(o.defined for o in outcomes):
            words.append(UNDEFINED)
        elif not all(o.satisfied for o in outcomes):
            words.append(FAILS)
        elif math.isnan(p) or p <= LEVEL:
            words.append(HOLDS)
        else:
            words.append(UNTOLD if tested / (1 + sets) > LEVEL else CHANCE)
    return words

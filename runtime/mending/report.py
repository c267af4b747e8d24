"""What a training did, before and after, and what may be said of it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from bbilang.runtime.json_types import JsonObject
from bbilang.runtime.statistics.intervals import wilson

if TYPE_CHECKING:
    from bbilang.runtime.mending.measure import Measured

LESS, SEEN = 0.5, 0.05  # of what it was before; of what exchanging the whole layer does: an effect that counts
AGREE, FOOLED, UNSEEN, OPEN = "agree", "fooled", "unseen", "open"


@dataclass(frozen=True)
class Mean:
    """A mean over examples, and its interval (95 %)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Side:
    """One network on some examples. ``effect_share``: the effect as a share of that of the whole layer; ``spread``: the
    standard deviation of the target's score."""

    accuracy: Mean
    evidence: Mean
    effect: Mean
    whole: float
    spread: float

    @property
    def evidence_share(self) -> float:
        return self.evidence.value / self.spread if self.spread > 0 else 0.0

    @property
    def effect_share(self) -> float:
        return self.effect.value / self.spread if self.spread > 0 else 0.0


@dataclass(frozen=True)
class Comparison:
    """A network before and after, on the same examples. gained, lost: examples that only the one after, only the one
    before gets right; changed: those that they call by different classes. ``p``: how probable such a difference is if
    neither is better (McNemar, exact)."""

    words: str
    count: int
    before: Side
    after: Side
    gained: int
    lost: int
    p: float
    changed: int

    @property
    def worse(self) -> bool:
        """Return whether the accuracy fell by more than chance explains."""
        return self.lost > self.gained and self.p < 0.05


@dataclass(frozen=True)
class Report:
    """held_out: on the held-out examples; other: on a dataset that only measures, or None. trained: how many examples;
    left_out: those without a label that is a class; unreadable. parameters: how many numbers were trained; tensors:
    their names. near: held-out examples that nearly equal one that was trained on. losses, penalties: the means of each
    epoch; differences: by how many nats the predictions differed from those before. way: "above" or "whole" (see
    `Examples`)."""

    held_out: Comparison
    other: Comparison | None
    trained: int
    left_out: int
    unreadable: int
    near: int
    parameters: int
    tensors: tuple[str, ...]
    epochs: int
    seconds: float
    losses: tuple[float, ...]
    penalties: tuple[float, ...]
    differences: tuple[float, ...]
    way: str

    @property
    def verdict(self) -> str:
        """Return whether the evidence counts less by both methods (`AGREE`), by its own alone (`FOOLED`), by its own
        where the other sees too little to tell (`UNSEEN`), or by neither (`OPEN`)."""
        return verdict(self.held_out)

    @property
    def plain(self) -> JsonObject:
        return asdict(self)

    @classmethod
    def of(cls, plain: JsonObject) -> Report:
        """Return what `plain` gave. Raises KeyError, TypeError."""
        values = dict(plain)
        for name in ("held_out", "other"):
            values[name] = _comparison(values[name]) if values[name] is not None else None
        for name in ("tensors", "losses", "penalties", "differences"):
            values[name] = tuple(values[name])
        return cls(**values)


def verdict(compared: Comparison) -> str:
    """Compare shares of the score's spread, so that smaller scores alone are no success."""
    before, after = compared.before, compared.after
    if after.evidence_share > LESS * before.evidence_share:
        return OPEN
    if after.effect_share <= LESS * before.effect_share:
        return AGREE
    noticed = after.whole > 0 and after.effect.value / after.whole >= SEEN
    return FOOLED if noticed else UNSEEN


def compared(words: str, before: Measured, after: Measured) -> Comparison:
    gained, lost = int((after.right & ~before.right).sum()), int((before.right & ~after.right).sum())
    return Comparison(words, len(before.right), _side(before), _side(after), gained, lost, _mcnemar(gained, lost),
                      int((before.predicted != after.predicted).sum()))  # fmt: skip


def _side(measured: Measured) -> Side:
    right, count = int(measured.right.sum()), len(measured.right)
    low, high = wilson(right, count)
    return Side(
        Mean(right / count, float(low), float(high)), _mean(measured.evidence), _mean(measured.effect),
        float(measured.whole.mean()), measured.spread,
    )  # fmt: skip


def _mean(values: np.ndarray) -> Mean:
    value = float(values.mean())
    half = 1.96 * float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.inf
    return Mean(value, max(0.0, value - half), value + half)


def _mcnemar(gained: int, lost: int) -> float:
    """Return the two-sided p-value of a sign test."""
    count = gained + lost
    tail = sum(math.comb(count, k) for k in range(min(gained, lost) + 1)) / 2**count
    return min(1.0, 2 * tail)


def _comparison(plain: JsonObject) -> Comparison:
    return Comparison(**{**plain, "before": _side_of(plain["before"]), "after": _side_of(plain["after"])})


def _side_of(plain: JsonObject) -> Side:
    means = {name: Mean(**plain[name]) for name in ("accuracy", "evidence", "effect")}
    return Side(**{**plain, **means})

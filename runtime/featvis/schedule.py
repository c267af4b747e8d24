"""How many steps an icon takes and how large they are, from its recipe and its own course alone.

Measured on EfficientNet-Lite0 at 128 px by `benchmarks/heldout.py`, at 128 and 224 px, beside 512 plain steps, Lucid's.
What is changed: no grey border around the picture, which goes on outside as its reflection; twice the rate and a second
moment that forgets sooner (.98); the rate falls to zero in the last fifth.

- block5c.expand, 32 icons, 272 steps: .990 and .988; 240 steps: .980 and .978. Ends after one window of 32 steps
  without gain of .5 % instead of two saved 28 % of 224 steps a batch and cost 5 %.
- block5c.expand, 4 icons, 128 steps: plain ones .87 and .90, without the border .89 and .91, reflected .91 and .92,
  a rate of .08 and .99 for the second moment .91 and .94.
- block3b.expand, 4 icons, 224 steps: .998 and 1.009.

What does not reach the same objective sooner: half the resolution first (.59 and .60 after 128 coarse and 64 fine steps
in block5c.expand: features have a size in pixels); crops, also where the receptive field is small (block3b.expand, 35
px: .963 and .966 on 96 px at 63 % of the time, .915 and .918 on 64 px at 38 %; a tile of 64 px, repeated, .961 and .990
at 34 %, but the repetition shows); transforms that fade out (.84 and .85 of 8 channels after 128 steps); rates that
fall from the start.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bbilang.runtime.featvis.icon import Recipe

SHARE, FIRST = 7 / 16, 48  # of the plain ascent's steps, and as many more: of few steps none can be spared
WINDOW = 32  # steps over which an icon's objective is averaged before it is judged
GAIN = 0.005  # an icon that gains less in two windows, in relation to the objective, has arrived


@dataclass(frozen=True)
class Schedule:
    """``steps`` at most; ``rate`` of Adam and its ``moments``; the last ``tail`` steps bring the rate to zero;
    ``patient``: whether the ascent goes on after the objective has stopped growing or was dead from the start."""

    steps: int
    rate: float
    moments: tuple[float, float]
    tail: int
    patient: bool

    def size(self, step: int, end: int) -> float:
        """Adam's step, its correction for the first steps in it; ``end`` is where this icon's course ends."""
        first, second = self.moments
        falling = min(1.0, (end - step) / self.tail) if self.tail else 1.0
        return self.rate * falling * (1 - second ** (step + 1)) ** 0.5 / (1 - first ** (step + 1))


def schedule_of(recipe: Recipe) -> Schedule:
    """Exactly ``recipe.steps`` for a plain one, else those that reach the same objective."""
    if recipe.plain:
        return Schedule(recipe.steps, recipe.rate, (0.9, 0.999), 0, True)
    steps = min(recipe.steps, FIRST + math.ceil(recipe.steps * SHARE))
    return Schedule(steps, 2 * recipe.rate, (0.9, 0.98), steps // 5, False)


def converged(windows: Sequence[float]) -> bool:
    """Whether the mean objective of the last window is no longer above that of the second before it."""
    return len(windows) >= 3 and windows[-1] - windows[-3] < GAIN * abs(windows[-1])

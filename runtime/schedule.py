"""How many steps an icon takes and how large they are, from its recipe and its own course alone.

Measured on EfficientNet-Lite0, block5c.expand, 128 px, 4 channels, by `benchmarks/heldout.py` at 128 and 224 px. The
plain ascent, Lucid's, of 512 steps is 1. Of 192 steps: without the grey border around the picture, pictures continued
by reflection, twice the rate and a second moment that forgets sooner (.98), falling to zero in the last fifth: .975 and
.985. Of 128 steps: the plain ones .87 and .90, without the border .89 and .91, reflected .91 and .92, a rate of .08 and
.99 for the second moment .91 and .94. What does not help there: half the resolution first (.59 and .60 of 8 channels
after 128 coarse and 64 fine steps: features have a size in pixels), crops of 96 px (.69 and .76), transforms that fade
out (.84 and .85), falling rates from the start.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bbilang.runtime.icon import Recipe

SHARE, FIRST = 3 / 8, 48  # of the plain ascent's steps, and as many more: of few steps none can be spared
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


def arrived(windows: Sequence[float]) -> bool:
    """Whether the mean objective of the last window is no longer above that of the second before it."""
    return len(windows) >= 3 and windows[-1] - windows[-3] < GAIN * abs(windows[-1])

"""The number of steps of an icon and their rates, from its recipe and its own objective alone.

Measured on EfficientNet-Lite0 at 128 px by `benchmarks/heldout.py`, evaluated at 128 and 224 px, relative to Lucid's
512 plain steps. Changes: the picture is continued by reflection instead of a grey border; twice the learning rate and
a second-moment decay of .98; the rate falls to zero in the last fifth of the steps.

- block5c.expand, 32 icons, 272 steps: .990 and .988; 240 steps: .980 and .978. Ends after one window of 32 steps
  without a gain of .5 %, instead of two, saved 28 % of 224 steps per batch and cost 5 %.
- block5c.expand, 4 icons, 128 steps: plain ones .87 and .90, without the border .89 and .91, reflected .91 and .92,
  a rate of .08 and .99 for the second moment .91 and .94.
- block3b.expand, 4 icons, 224 steps: .998 and 1.009.

Those were measured with scales of 0.8 to 1.2. Scales, block5c.expand, 272 steps, the held-out objective at 128 and at
224 px: channels 10, 32, 52, 74 have 4.99 and 2.31 with 0.8 to 1.2; 4.69 and 2.84 to 1.6; 4.65 and 3.24 to 1.9; 4.65 and
3.20 with 0.7 to 1.9; 4.69 and 2.73 with 0.65 to 1.6; 4.15 and 3.11 with 1 to 2. From the first step on, large copies
weaken short runs (the tests of 96 px and 64 steps and of a planted shut unit fail), so the range
widens: to 1.9 over 128 steps has 4.67 and 3.18, to 2.2 over 192 steps 4.59 and 3.15. By units that chose nothing it is
compared in docs/featvis.md. A step costs the same.

What did not reach the same objective in less time: half the resolution first (.59 and .60 after 128 coarse and 64 fine
steps in block5c.expand: features have a size in pixels); crops, also where the receptive field is small
(block3b.expand, 35 px: .963 and .966 on 96 px at 63 % of the time, .915 and .918 on 64 px at 38 %; a tile of 64 px,
repeated, .961 and .990 at 34 %, but the repetition shows); transforms that fade out (.84 and .85 of 8 channels after
128 steps); rates that fall from the start.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bbilang.runtime.featvis.icon import Recipe

WIDENING = 128  # steps over which the range of scale factors widens
SHARE, FIRST = 7 / 16, 48  # share of the plain steps, and a constant number more, since short runs cannot spare any
WINDOW = 32  # steps over which an icon's objective is averaged before it is compared
GAIN = 0.005  # an icon that gains less in two windows, relative to its objective, has converged


@dataclass(frozen=True)
class Schedule:
    """At most ``steps`` steps of Adam with ``rate`` and ``moments`` (beta1, beta2); over the last ``tail`` steps the
    rate falls to zero. ``patient``: continue when the objective stops increasing or is zero from the start.
    ``widening``: steps over which the range of scale factors widens, 0 if it stays."""

    steps: int
    rate: float
    moments: tuple[float, float]
    tail: int
    patient: bool
    widening: int = 0

    def size(self, step: int, end: int) -> float:
        """Adam's step size, with bias correction; ``end``: the last step of this icon."""
        first, second = self.moments
        falling = min(1.0, (end - step) / self.tail) if self.tail else 1.0
        return self.rate * falling * (1 - second ** (step + 1)) ** 0.5 / (1 - first ** (step + 1))


def schedule_of(recipe: Recipe) -> Schedule:
    """Exactly ``recipe.steps`` steps for a plain recipe, else as many as reach the same objective."""
    if recipe.plain:
        return Schedule(recipe.steps, recipe.rate, (0.9, 0.999), 0, True)
    steps = min(recipe.steps, FIRST + math.ceil(recipe.steps * SHARE))
    return Schedule(steps, 2 * recipe.rate, (0.9, 0.98), steps // 5, False, WIDENING)


def converged(windows: Sequence[float]) -> bool:
    """Whether the mean objective of the last window hardly exceeds that of two windows before."""
    return len(windows) >= 3 and windows[-1] - windows[-3] < GAIN * abs(windows[-1])

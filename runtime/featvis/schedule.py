"""The number of steps of an icon and their rates, from its recipe and its own objective alone.

Now (NOW): 152 steps, three times the plain rate, moments of (.5, .9), and a rate that falls to zero from the middle on.
Before: 272 steps, twice the rate, (.9, .98), and a rate that fell in the last fifth, which had .99 of Lucid's 512 plain
steps (32 icons of block5c.expand, 128 px), with the picture continued by reflection instead of a grey border. Measured
on EfficientNet-Lite0 at 96 px by `benchmarks/heldout.py`, mean of 128 and 224 px, relative to before; four channels
that led the search, and four others that were looked at too. Seed, 128 px and Maco chose nothing. Scales of 0.8 to 1.2:

- block5c.expand, channels 10, 32, 52, 74 and 139, 286, 433, 580: NOW 1.04 and 1.00, with another seed 1.11 and .99, at
  128 px 1.01 and 1.00. 128 steps 1.03 and .98; 112 steps 1.01 and .97; 96 steps .99 and .96.
- A range that widens to 1.9, over 128 steps before: NOW, over 72 steps, 1.01 and .99; over 128 steps 1.01 and .96; 128
  steps, over 60, 1.01 and .95. Scales of 0.8 to 1.9 from the first step on: NOW 1.01 and .98; 128 steps .98 and .95.
- block3b.expand: NOW .98 and 1.00; 128 steps .96 and .99. Maco in block5c.expand: 128 steps .99 and .99.
- 68 steps have 1.12 and 1.00 of the 104 of before, but then one of 20 planted circuits is not found (96 plain steps in
  `test_dissociation.py`), so short runs keep their steps.
- Two seeds of the steps of before differ by 6 and 2 %.

What else was tried for 128 steps (those of before have .87 and .93): a first moment of .8 .95 and .95, .5 .91 and .96,
.2 .94 and .96, so what costs is the delay of momentum; .95 at three times the rate .81 and .88. Moments of (.9, .98):
four times the rate .86 and .92, with a cosine over all steps .81 and .85; Nesterov's momentum .90 and .93; second
moments shared by the colours .90 and .93, by rings of a frequency .89 and .93, by all coefficients .55 and .47. With
(.5, .9) and half of the second moment shared by the colours, 128 steps have .97 and 1.04, but 144 in block3b.expand
.96 and 1.02. No icon of these ended early, since the objective rises while the rate falls.

Second moments pooled, relative to NOW, with the widening range: 16 icons of block5c.expand (eight other channels, two
seeds; before has 1.023), then 8 of block3b.expand. Over the real and the imaginary part: 112 steps .979 (.967 without),
128 steps .992 and .986, 144 steps 1.003. Half over the colours too: 128 steps .999 and 1.001, but a planted shortcut in
a saturated colour comes too slowly (a correlation of .74, .82 without; `test_classes.py`). A fifth over the colours:
128 steps .996 and .992, and 136 steps at 128 px .96 for channels 10, 32, 52 and 74, as channel 10 has .88 with either
of two seeds. So nothing is pooled.

No better for 112 steps without pooling (16 or 8 icons of block5c.expand, relative to NOW; plain draws .967): transforms
that fill their range evenly (Sobol .968, Latin hypercubes of 8 .964, antithetic pairs .968), so noise of the transforms
is not what costs steps; four times the plain rate .961, five times falling from the start .961; a second moment of .8
.962, of .97 .960; noise of thirty times the deviation to begin with .969; a decay of 1.25 .964, of 1.75 .974.

Windows of the picture, eight channels of block5c.expand that chose nothing, relative to NOW (mean, geometric mean): 80
of 96 px over the first 76 steps 1.00 and .99, over 114 1.00 and .99; 64 px over 50 steps .98 and .98, over 76 .95 and
.94; 64 px over 30 and then 80 px to step 114 .98 and .97; 72 px over 76 .98 and .96. All gain at 224 px (1.01 to 1.08)
and lose at 128 px (.92 to .98), single units up to a tenth, for a step that costs .5 to .75 while it lasts: no more
than fewer steps do (112: .97 and .96).

A step of 16 pictures costs .88 a picture of one of 8, but 39 icons would fill 48 slots instead of 40, and a batch that
depends on their number would make icons of its own. Without page faults (`memory.keep_freed_memory`) it takes .90 at 96
px and .78 at 128 px; a dead unit has ended after 128 steps instead of 256.

Fused operations (`passes/explicit/fused_run.py`) take .6 of a step of 8 pictures; docs/featvis.md says what was tried.
With them, 16 other icons of block5c.expand, relative to NOW in float32: bfloat16 1.02 (152 steps) and 1.01 (144); in
float32 136 steps .988, second moments pooled over real and imaginary parts .993 (136) and 1.001 (144), windows of 80 px
until step 76 1.007, the least unit .79.

Measured with the steps of before, at 128 px and scales of 0.8 to 1.2 unless said, at 128 and 224 px:

- Ends after one window of 32 steps without a gain of .5 %, instead of two, saved 28 % of 224 steps per batch and cost
  5 % of Lucid's objective.
- Scales, block5c.expand, 272 steps, the held-out objective: channels 10, 32, 52, 74 have 4.99 and 2.31 with 0.8 to
  1.2; 4.69 and 2.84 to 1.6; 4.65 and 3.24 to 1.9; 4.65 and 3.20 with 0.7 to 1.9; 4.69 and 2.73 with 0.65 to 1.6; 4.15
  and 3.11 with 1 to 2. From the first step on, large copies weaken short runs (the tests of 96 px and 64 steps and of a
  planted shut unit fail), so the range widens: to 1.9 over 128 steps has 4.67 and 3.18, to 2.2 over 192 steps 4.59 and
  3.15. By units that chose nothing it is compared in docs/featvis.md. A step costs the same.

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

WIDENING = 72  # steps over which the range of scale factors widens
SHARE, FIRST = 1 / 8, 88  # share of the plain steps, and a constant number more, since short runs cannot spare any
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
        """Return Adam's step size, with bias correction; ``end``: the last step of this icon."""
        first, second = self.moments
        falling = min(1.0, (end - step) / self.tail) if self.tail else 1.0
        return self.rate * falling * (1 - second ** (step + 1)) ** 0.5 / (1 - first ** (step + 1))


def schedule_of(recipe: Recipe) -> Schedule:
    """Return exactly ``recipe.steps`` steps for a plain recipe, else as many as reach the same objective."""
    if recipe.plain:
        return Schedule(recipe.steps, recipe.rate, (0.9, 0.999), 0, True)
    steps = min(recipe.steps, FIRST + math.ceil(recipe.steps * SHARE))
    return Schedule(steps, 3 * recipe.rate, (0.5, 0.9), steps // 2, False, WIDENING)


def converged(windows: Sequence[float]) -> bool:
    """Return whether the mean objective of the last window hardly exceeds that of two windows before."""
    return len(windows) >= 3 and windows[-1] - windows[-3] < GAIN * abs(windows[-1])

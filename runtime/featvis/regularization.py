"""The regularizers and the random search of the Deep Visualization Toolbox, as values. No torch here.

Yosinski, Clune, Nguyen, Fuchs, Lipson, "Understanding Neural Networks Through Deep Visualization", ICML workshop 2015,
section 3. A picture is counted from the network's mean colour, in grey levels of 255. The paper does not publish the
distribution of its search: `random_settings` documents ours.
"""

from __future__ import annotations

import math
import random
from dataclasses import fields

from bbilang.grammar.frozen import frozen

WIDTH, EVERY = 1.0, 4  # defaults where only one option of the blur is given: the paper's third setting


@frozen
class Regularization:
    """Regularizers of steps on pixels. ``l2_decay``: share of the picture that a step removes. A Gaussian blur of
    standard deviation ``blur_width`` pixels follows every ``blur_every``-th step. ``clip_norm``, ``clip_contribution``:
    per cent of the pixels that a step sets to the mean colour, those of the smallest norm over the colours, and of the
    smallest magnitude of sum over colours (picture x gradient)."""

    l2_decay: float = 0.0
    blur_every: int = 0
    blur_width: float = 0.0
    clip_norm: float = 0.0
    clip_contribution: float = 0.0

    def words(self) -> str:
        """Describe the regularizers for the legend."""
        parts = [f"L2 decay {self.l2_decay:g}"] if self.l2_decay else []
        if self.blur_width:
            parts.append(f"a blur of {self.blur_width:g} px every {self.blur_every} steps")
        parts += [f"the {self.clip_norm:g} % of pixels of smallest norm clipped"] if self.clip_norm else []
        contribution = f"the {self.clip_contribution:g} % of pixels of smallest contribution clipped"
        return ", ".join([*parts, contribution] if self.clip_contribution else parts) or "no regularizer"

    @classmethod
    def of(cls, options: dict[str, float | None]) -> Regularization | None:
        """Make the regularizers from the options of the language, None if none is given; complete a half-specified
        blur."""
        chosen = {name: value for name, value in options.items() if value is not None}
        if not chosen:
            return None
        if chosen.get("blur_every") or chosen.get("blur_width"):
            chosen = {"blur_every": EVERY, "blur_width": WIDTH, **chosen}
        if not chosen.get("blur_every") or not chosen.get("blur_width"):
            chosen |= {"blur_every": 0, "blur_width": 0.0}
        chosen["blur_every"] = int(chosen["blur_every"])
        return cls(**{name: chosen[name] for name in NAMES if name in chosen})  # type: ignore[arg-type]


NAMES = tuple(field.name for field in fields(Regularization))  # type: ignore[arg-type]


def random_settings(count: int, seed: int) -> list[Regularization]:
    """Draw the settings of a search, the same for every unit. Each regularizer is on in half of them: a decay
    log-uniform from 1e-4 to .3, a blur of .3 to 1.5 px every 1 to 8 steps, either clipping of 10 to 90 per cent."""
    source = random.Random(seed)
    settings = []
    for _ in range(count):
        on = [source.random() < 0.5 for _ in range(4)]
        decay, width, every = 10 ** source.uniform(-4, math.log10(0.3)), source.uniform(0.3, 1.5), source.randint(1, 8)
        norm, contribution = source.uniform(10, 90), source.uniform(10, 90)
        settings.append(
            Regularization(
                decay if on[0] else 0.0, every if on[1] else 0, width if on[1] else 0.0,
                norm if on[2] else 0.0, contribution if on[3] else 0.0,
            )
        )  # fmt: skip
    return settings

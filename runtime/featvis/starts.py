"""The initial pictures of an icon, and its restarts while its unit stays shut.

Noise is faint, so it may leave a unit shut whose value before the nonlinearity is low. While it is, the steps in which
gradients pass shut nonlinearities are repeated and do not count; after that the icon starts again, from other noise,
and then from pictures with the contrast and the spectrum of an average photograph. All of it depends on the icon alone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bbilang.runtime.featvis.parametrization import Fourier, Grey, Maco

if TYPE_CHECKING:
    from bbilang.runtime.featvis.icon import Objective

PATIENCE = 16  # steps after the redirected ones in which the unit must open
SHUT = 4  # steps in a row without its own gradient: the unit is shut
REPEATS = 8  # of the redirected steps of one start, while the value before the nonlinearity rises fast enough
FLAT = 1e-3  # of what is missing: a value that rises by less after the redirected steps hardly depends on the picture
UNMEASURED = 3  # repetitions where that value is not known
STARTS = 4  # noise, other noise, and two pictures of natural amplitudes


def starts_of(objective: Objective) -> int:
    """Return how many starts an icon may use: one if its start is given, or if it is one of several pictures."""
    return STARTS if objective.start is None and objective.pictures == 1 else 1


def initial_parameters(picture_of: Fourier | Maco | Grey, source: torch.Generator, number: int) -> Tensor:
    """Return the parameters of the ``number``-th start."""
    if number < STARTS // 2 or picture_of.natural:
        return picture_of.initial(source)
    other = Maco(picture_of.size)
    return picture_of.inverse(other(other.initial(source)[None])[0])


def worth_repeating(repeats: int, highest: float, before: float) -> bool:
    """Return whether a unit whose value is at ``highest`` (0: it opens) would open within the repetitions left.

    ``before``: its value one repetition ago, and before the first one `PATIENCE` steps ago. That is too short for a
    rate, so then every rise that is not flat counts. Where the nonlinearity that is shut is not the layer's own, its
    value is not known (minus infinity), and a few repetitions are worth it.
    """
    if highest == -math.inf:
        return repeats < UNMEASURED
    if not repeats:
        return highest - before > FLAT * -highest
    return repeats < REPEATS and (highest - before) * (REPEATS - repeats) >= -highest


def reason(moved: bool, highest: float, starts: int) -> str:
    """Explain why there is no picture. ``moved``: whether any gradient reached it; ``highest``: the value before the
    layer's own nonlinearity, minus infinity without one."""
    tried = f"from {starts} starts" if starts > 1 else "from its start"
    if not moved:
        return f"no gradient reached the picture, {tried}: the value does not depend on it there"
    if highest > 0:
        return f"no picture kept it open, {tried}: small movements shut it"
    if highest == -math.inf:
        return f"no picture opened it, {tried}: a nonlinearity in front of it stayed shut"
    return f"no picture opened it, {tried}: its value before the nonlinearity stayed {-highest:.3g} too low"

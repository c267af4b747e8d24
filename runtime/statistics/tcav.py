"""TCAV (Kim et al. 2018): on how many examples a score rises along a concept, and what labels by chance give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bbilang.runtime.statistics.concepts import fit_direction, permuted_directions, resampled_directions
from bbilang.runtime.statistics.intervals import permutation_p

RESAMPLES = 30
PERMUTATIONS = 99


@dataclass(frozen=True)
class Sensitivity:
    """Of some directions (direction,): above, zero: the parts of the examples whose derivative is above 0 and exactly
    0; mean: the mean derivative; magnitude: the mean of its absolute value."""

    above: np.ndarray
    zero: np.ndarray
    mean: np.ndarray
    magnitude: np.ndarray


@dataclass(frozen=True)
class Tcav:
    """own: the sensitivity to the concept's direction. resampled: to directions of bootstrap samples of both sets;
    their spread is that of the choice of examples. permuted: to directions of permuted labels. p: how often permuted
    labels give a surplus of rises over falls, or of falls over rises, as large as the concept's."""

    own: Sensitivity
    resampled: Sensitivity
    permuted: Sensitivity
    p: float

    @property
    def interval(self) -> tuple[float, float]:
        """The middle 95 % of the resampled parts above 0."""
        low, high = np.quantile(self.resampled.above, [0.025, 0.975])
        return float(low), float(high)


def sensitivity(gradients: np.ndarray, directions: np.ndarray) -> Sensitivity:
    """Derive a score along directions. gradients (example, channel): of the score, summed over the positions of the
    layer; directions (direction, channel)."""
    derivatives = np.asarray(gradients, np.float64) @ np.asarray(directions, np.float64).T
    return Sensitivity(
        above=(derivatives > 0).mean(0),
        zero=(derivatives == 0).mean(0),
        mean=derivatives.mean(0),
        magnitude=np.abs(derivatives).mean(0),
    )


def tcav(
    gradients: np.ndarray,
    examples: np.ndarray,
    others: np.ndarray,
    direction: np.ndarray | None = None,
    resamples: int = RESAMPLES,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Tcav:
    """Measure how a score answers to a concept.

    gradients (example, channel): of the score on the examples asked about, summed over positions. examples, others
    (example, channel): activations of the concept's set and of the set against it. direction (channel,): the
    concept's; by default that of all examples. A t-test over resamples, as in the paper, takes draws that share
    examples for independent ones; permuting the labels does not.
    """
    direction = fit_direction(examples, others) if direction is None else direction
    own = sensitivity(gradients, direction[None])
    resampled = sensitivity(gradients, resampled_directions(examples, others, resamples, seed))
    permuted = sensitivity(gradients, permuted_directions(examples, others, permutations, seed))
    p = permutation_p(_surplus(own)[0], _surplus(permuted))
    return Tcav(own, resampled, permuted, float(p))


def _surplus(sensitivity: Sensitivity) -> np.ndarray:
    """The part of rises less the part of falls, without sign."""
    return np.abs(2 * sensitivity.above + sensitivity.zero - 1)

"""Concept activation vectors: a direction of a layer for each set of examples (Kim et al. 2018), and how sure it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from bbilang.runtime.statistics.intervals import FEW, wilson

HELD_OUT = 1 / 3  # of each set
RANDOM_SETS = 20
LEAST = 3  # examples of each set
LOGISTIC, MEAN_DIFFERENCE = "logistic", "mean_difference"
METHODS = (LOGISTIC, MEAN_DIFFERENCE)

Sets: TypeAlias = "tuple[np.ndarray, np.ndarray]"  # examples of a concept and others, (example, channel) each


@dataclass(frozen=True)
class Concept:
    """direction (channel,): of length 1, from the rest towards the concept. accuracy: the part of the held-out
    examples, as many of the concept as of the others, that it tells right; interval: Wilson's, 95 %. trained,
    held_out: how many examples. random_accuracies (set,): those of sets of ``random_size`` examples drawn from the
    others, told from as many further ones in the same way."""

    direction: np.ndarray
    accuracy: float
    interval: tuple[float, float]
    trained: int
    held_out: int
    random_accuracies: np.ndarray
    random_size: int

    @property
    def too_few(self) -> bool:
        """Whether fewer than 30 examples were held out, too few for the accuracy to mean anything."""
        return self.held_out < FEW


def concept(
    examples: np.ndarray,
    others: np.ndarray,
    seed: int = 0,
    random_sets: int = RANDOM_SETS,
    method: str = LOGISTIC,
    held_out: Sets | None = None,
) -> Concept:
    """Find the direction that separates examples of a concept from others, by logistic regression or the difference of
    their means.

    examples (example, channel), others (example, channel): activations, as their means over positions. As many of each
    are used, the larger set drawn from; a third of each is held out, and the direction is that of the other two
    thirds. held_out: examples and others that are held out instead; the direction is that of all.
    Raises ValueError where a set has fewer than 3 examples.
    """
    source = np.random.default_rng(seed)
    size = _size(examples, others)
    if held_out is not None:
        return _elsewhere(examples, others, held_out, source, random_sets, method)
    direction, right, count = _told(draw(examples, size, source), draw(others, size, source), method)
    low, high = wilson(right, count)
    random_size = min(size, len(others) // 2)
    sets = range(random_sets if random_size >= LEAST else 0)
    random = [_random_accuracy(others, random_size, source, method) for _ in sets]
    return Concept(direction, right / count, (float(low), float(high)), 2 * size - count, count,
                   np.array(random), random_size)  # fmt: skip


def resampled_directions(examples: np.ndarray, others: np.ndarray, n: int, seed: int = 0) -> np.ndarray:
    """Find n directions (draw, channel), each from a bootstrap sample of both sets."""
    source = np.random.default_rng((seed, 1))
    size = _size(examples, others)
    draws = ((source.integers(0, len(group), size) for group in (examples, others)) for _ in range(n))
    return np.stack([fit_direction(examples[a], others[b]) for a, b in draws])


def permuted_directions(examples: np.ndarray, others: np.ndarray, n: int, seed: int = 0) -> np.ndarray:
    """Find n directions (draw, channel) from the same examples with their labels permuted: what a direction tells when
    there is no concept."""
    source = np.random.default_rng((seed, 2))
    size = _size(examples, others)
    both = np.concatenate([draw(examples, size, source), draw(others, size, source)])
    orders = (source.permutation(2 * size) for _ in range(n))
    return np.stack([fit_direction(both[order[:size]], both[order[size:]]) for order in orders])


def fit_direction(examples: np.ndarray, others: np.ndarray, method: str = LOGISTIC) -> np.ndarray:
    """Fit logistic regression (L2, C = 1) to two sets (example, channel), scaled by one number so that the root mean
    square deviation of a channel is 1; or take the difference of their means. Returns the unit normal (channel,), zero
    where the sets do not differ."""
    normal, _ = FITS[method](examples, others)
    length = np.linalg.norm(normal)
    return normal / length if length > 0 else normal


def draw(examples: np.ndarray, size: int, source: np.random.Generator) -> np.ndarray:
    """Draw examples without replacement, in random order."""
    return np.asarray(examples, np.float64)[source.permutation(len(examples))[:size]]


def _size(examples: np.ndarray, others: np.ndarray) -> int:
    size = min(len(examples), len(others))
    if size < LEAST:
        raise ValueError(f"a set has {size} examples, and at least {LEAST} are needed")
    return size


def _fit(examples: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the normal (channel,) and the offset: a row is on the side of the examples where row @ normal + offset is
    above 0."""
    from sklearn.linear_model import LogisticRegression

    rows = np.concatenate([examples, others]).astype(np.float64)
    centre = rows.mean(0)
    scale = float(np.sqrt(rows.var(0).mean()))
    if scale == 0:
        return np.zeros(rows.shape[1]), 0.0
    labels = np.arange(len(rows)) < len(examples)
    model = LogisticRegression(C=1.0, max_iter=2000).fit((rows - centre) / scale, labels)
    normal = model.coef_[0] / scale
    return normal, float(model.intercept_[0] - centre @ normal)


def _mean_difference(examples: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the difference of the means, and the offset for which their middle is on neither side."""
    first, second = (np.asarray(rows, np.float64).mean(0) for rows in (examples, others))
    normal = first - second
    return normal, float(-normal @ (first + second) / 2)


FITS: dict[str, Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, float]]] = {
    LOGISTIC: _fit,
    MEAN_DIFFERENCE: _mean_difference,
}


def _told(examples: np.ndarray, others: np.ndarray, method: str) -> tuple[np.ndarray, int, int]:
    """Hold out the first third of each. Returns (direction, how many held-out examples it classifies correctly, how
    many there are)."""
    out = max(1, round(len(examples) * HELD_OUT))
    return _told_of((examples[out:], others[out:]), (examples[:out], others[:out]), method)


def _told_of(fitted: Sets, held_out: Sets, method: str) -> tuple[np.ndarray, int, int]:
    """Fit a direction to two sets and tell two others by it; returns what `_told` does."""
    examples, others = held_out
    normal, offset = FITS[method](*fitted)
    right = int((examples @ normal + offset > 0).sum() + (others @ normal + offset <= 0).sum())
    length = np.linalg.norm(normal)
    return normal / length if length > 0 else normal, right, len(examples) + len(others)


def _elsewhere(
    examples: np.ndarray,
    others: np.ndarray,
    held_out: Sets,
    source: np.random.Generator,
    random_sets: int,
    method: str,
) -> Concept:
    """Find a concept whose held-out examples are given: `concept`. Random sets keep to the same halves."""
    size, out = _size(examples, others), _size(*held_out)

    fitted = draw(examples, size, source), draw(others, size, source)
    kept = draw(held_out[0], out, source), draw(held_out[1], out, source)
    _, right, count = _told_of(fitted, kept, method)
    low, high = wilson(right, count)
    sizes = min(size, len(others) // 2), min(out, len(held_out[1]) // 2)
    random = []
    for _ in range(random_sets if min(sizes) >= LEAST else 0):
        first, second = draw(others, 2 * sizes[0], source), draw(held_out[1], 2 * sizes[1], source)
        fitted, kept = (first[: sizes[0]], first[sizes[0] :]), (second[: sizes[1]], second[sizes[1] :])
        _, of_random, of_count = _told_of(fitted, kept, method)
        random.append(of_random / of_count)
    direction = fit_direction(examples, others, method)
    return Concept(direction, right / count, (float(low), float(high)), 2 * size, count, np.array(random), sizes[0])


def _random_accuracy(others: np.ndarray, size: int, source: np.random.Generator, method: str) -> float:
    both = draw(others, 2 * size, source)
    _, right, held_out = _told(both[:size], both[size:], method)
    return right / held_out

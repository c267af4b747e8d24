"""How alike two layers answer to the same examples: CKA, representational similarity, Procrustes.

All three compare layers of any size, and none changes where the neurons of a layer are rotated, permuted or multiplied
by one number. They are computed from Gram matrices, so the number of neurons does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

FEWEST = 4  # examples for which the unbiased estimator of HSIC is defined
MOST = 4096  # examples that are all compared with each other: 67 MB a layer
CONSTANT = 1e-12  # of the largest square: less variance is rounding


class Answers:
    """What a layer answers to some examples. ``vectors``: (example, neuron), or ``gram``: their inner products
    (example, example), centred."""

    def __init__(self, vectors: np.ndarray | None = None, gram: np.ndarray | None = None):
        self._vectors, self._gram = vectors, gram

    def gram(self, rows: np.ndarray) -> np.ndarray:
        """Return the inner products of some examples, centred, (example, example) in float64; zero where all answers
        are the same."""
        if self._vectors is None:
            assert self._gram is not None, "vectors or their inner products are there"
            return centred(self._gram[np.ix_(rows, rows)])
        own = self._vectors[rows].astype(np.float64)
        return centred(own @ own.T)

    def restricted(self, rows: np.ndarray) -> Answers:
        """Return the answers to some of the examples."""
        if self._vectors is not None:
            return Answers(self._vectors[rows])
        assert self._gram is not None, "vectors or their inner products are there"
        return Answers(gram=self._gram[np.ix_(rows, rows)])


def centred(gram: np.ndarray) -> np.ndarray:
    """Return the inner products of vectors without their mean, (example, example) in float64; zero where that leaves
    rounding only."""
    gram = gram.astype(np.float64)
    made = gram - gram.mean(0)
    made -= made.mean(1)[:, None]
    return made if np.trace(made) > CONSTANT * np.trace(gram) else np.zeros_like(made)


Measure: TypeAlias = Callable[[Sequence[Answers], Sequence[Answers], Sequence[np.ndarray]], np.ndarray]


def batches(examples: int, size: int, seed: int) -> list[np.ndarray]:
    """Return the numbers of examples in batches of nearly equal size, ``size`` at most, in an order drawn at random:
    those of a folder stand class by class, and a batch of one class says nothing about classes."""
    order = np.random.default_rng(seed).permutation(examples)
    return np.array_split(order, -(-examples // size))


def cka(own: Sequence[Answers], others: Sequence[Answers], parts: Sequence[np.ndarray]) -> np.ndarray:
    """Return the linear CKA of each layer with each of the others, (layer, other layer): the unbiased estimator of
    HSIC, averaged over minibatches (Nguyen, Raghu & Kornblith 2021, equations 3 to 6; Song et al. 2012). NaN where a
    layer is constant, or too few examples leave its own HSIC without a positive estimate."""
    cross = np.zeros((len(own), len(others)))
    selves = [np.zeros(len(own)), np.zeros(len(others))]
    for rows in parts:
        grams = [np.stack([_hollow(layer.gram(rows)) for layer in layers]) for layers in (own, others)]
        cross += hsic(grams[0][:, None], grams[1][None])
        for total, each in zip(selves, grams, strict=True):
            total += hsic(each, each)
    with np.errstate(invalid="ignore", divide="ignore"):
        first, second = (np.sqrt(np.where(total > 0, total, np.nan)) for total in selves)
        return cross / first[:, None] / second


def _hollow(gram: np.ndarray) -> np.ndarray:
    np.fill_diagonal(gram, 0)
    return gram


def hsic(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the unbiased estimate of the Hilbert-Schmidt independence criterion of Gram matrices whose diagonals are
    zero, (..., example, example), n >= 4 examples (Song et al. 2012, equation 5)."""
    n = first.shape[-1]
    sums = [gram.sum(-1) for gram in (first, second)]
    trace = np.einsum("...ij,...ij->...", first, second)
    total = sums[0].sum(-1) * sums[1].sum(-1) / ((n - 1) * (n - 2))
    through = np.einsum("...i,...i->...", *sums) * 2 / (n - 2)
    return (trace + total - through) / (n * (n - 3))


def rsa(own: Sequence[Answers], others: Sequence[Answers], parts: Sequence[np.ndarray]) -> np.ndarray:
    """Return the rank correlation (Spearman) of the distances between all pairs of examples in one layer and in the
    other, (layer, other layer) (Kriegeskorte et al. 2008, with Euclidean distances). NaN where all are equal."""
    first, second = (np.stack([_ranks(layer, np.concatenate(parts)) for layer in layers]) for layers in (own, others))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.clip(first @ second.T, -1, 1)


def _ranks(layer: Answers, rows: np.ndarray) -> np.ndarray:
    """Return the ranks of the distances between pairs of examples, (pair,), with mean 0 and norm 1."""
    from scipy.stats import rankdata

    gram = layer.gram(np.sort(rows))
    squares = np.diagonal(gram)
    at = np.triu_indices(len(gram), 1)
    distances = np.maximum(squares[at[0]] + squares[at[1]] - 2 * gram[at], 0)
    distances[distances <= CONSTANT * squares.max(initial=0)] = 0  # equal but for rounding
    ranks = rankdata(distances)
    ranks -= ranks.mean()
    norm = np.linalg.norm(ranks)
    return ranks / (norm if norm else np.nan)


def procrustes(own: Sequence[Answers], others: Sequence[Answers], parts: Sequence[np.ndarray]) -> np.ndarray:
    """Return how well the best rotation turns one layer's answers into the other's, (layer, other layer): the nuclear
    norm of their product, both centred and of norm 1. It is 1 - d / 2, with d the orthogonal Procrustes distance of
    Ding, Denain & Steinhardt 2021. NaN where a layer is constant."""
    first, second = ([_factor(layer, np.concatenate(parts)) for layer in layers] for layers in (own, others))
    return np.array([[_nuclear(one.T @ two) for two in second] for one in first])


def _factor(layer: Answers, rows: np.ndarray) -> np.ndarray:
    """Return (example, component) whose inner products are those of the layer's centred answers, of norm 1."""
    gram = layer.gram(np.sort(rows))
    values, vectors = np.linalg.eigh(gram)
    kept = values > CONSTANT * values.max(initial=0)
    total = values[kept].sum()
    if not kept.any() or not total > 0:
        return np.full((len(gram), 1), np.nan)
    return np.asarray(vectors[:, kept] * np.sqrt(values[kept] / total))


def _nuclear(product: np.ndarray) -> float:
    """Return the sum of singular values; NaN for what is not known."""
    return float(np.linalg.svd(product, compute_uv=False).sum()) if np.isfinite(product).all() else float("nan")


MEASURES: dict[str, Measure] = {"cka": cka, "rsa": rsa, "procrustes": procrustes}

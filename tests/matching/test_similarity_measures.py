"""Measures of similarity against slow twins with full Gram matrices, scipy, and what must not change them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from bbilang.runtime.matching.similarity import MEASURES, Answers, batches, centred, cka, procrustes, rsa

random = np.random.default_rng(0)


def layers(examples=120):
    """Return three layers that answer to the same examples, (example, neuron)."""
    first = random.normal(size=(examples, 20)) + 3
    return [first, np.maximum(first @ random.normal(size=(20, 31)), 0), random.normal(size=(examples, 7))]


def whole(examples):
    return [np.arange(examples)]


def slow_hsic(first, second):
    """Return the unbiased estimate as a mean over all ordered quadruples of different examples (Song et al. 2012,
    theorem 5), by brute force."""
    n, total, count = len(first), 0.0, 0
    for i in range(n):
        for j in set(range(n)) - {i}:
            for q in set(range(n)) - {i, j}:
                for r in set(range(n)) - {i, j, q}:
                    total += first[i, j] * (second[i, j] + second[q, r] - 2 * second[i, q])
                    count += 1
    return total / count


def slow_cka(first, second):
    """Return the unbiased CKA of two layers, written with full matrices in float64 and no shared code."""

    def hsic(k, m):
        n, ones = len(k), np.ones(len(k))
        k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
        inner = np.trace(k @ m) + (ones @ k @ ones) * (ones @ m @ ones) / (n - 1) / (n - 2)
        return (inner - 2 / (n - 2) * (ones @ k @ m @ ones)) / n / (n - 3)

    k, m = (x.astype(np.float64) @ x.astype(np.float64).T for x in (first, second))
    return hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))


def test_the_estimator_is_the_mean_over_quadruples():
    own, other = random.normal(size=(7, 3)), random.normal(size=(7, 4)) ** 2
    grams = [x @ x.T for x in (own, other)]
    expected = slow_hsic(*grams) / np.sqrt(slow_hsic(grams[0], grams[0]) * slow_hsic(grams[1], grams[1]))
    found = cka([Answers(own)], [Answers(other)], whole(7))[0, 0]
    assert abs(found - expected) < 1e-10


def test_cka_equals_an_independent_implementation():
    made = layers()
    found = cka([Answers(x.astype(np.float32)) for x in made], [Answers(x) for x in made], whole(120))
    expected = np.array([[slow_cka(one, two) for two in made] for one in made])
    assert np.abs(found - expected).max() < 1e-5 and np.abs(found.diagonal() - 1).max() < 1e-6


def test_minibatches_estimate_the_same():
    made = layers(4000)
    full = cka(*2 * [[Answers(x) for x in made]], whole(4000))
    for size in (64, 256):
        parts = batches(4000, size, seed=1)
        assert max(map(len, parts)) <= size and sorted(np.concatenate(parts)) == list(range(4000))
        found = cka(*2 * [[Answers(x) for x in made]], parts)
        by_hand = np.zeros((2, 3, 3))  # numerator and the products of norms, batch by batch
        for rows in parts:
            grams = [x[rows] @ x[rows].T for x in made]
            for gram in grams:
                np.fill_diagonal(gram, 0)
            n = len(rows)
            by_hand[0] += [[(np.sum(k * m) + k.sum() * m.sum() / (n - 1) / (n - 2) - 2 / (n - 2) * k.sum(0) @ m.sum(0))
                            / n / (n - 3) for m in grams] for k in grams]  # fmt: skip
        norms = np.sqrt(np.diagonal(by_hand[0]))
        assert np.abs(found - by_hand[0] / norms[:, None] / norms).max() < 1e-9
        assert np.abs(found - full).max() < 0.03, "drawn at random, batches say what all examples say"


def test_batches_are_not_those_of_a_folder():
    """Examples of a folder stand class by class. Batches in that order would miss what tells classes apart."""
    classes = np.repeat(np.arange(4), 64)
    made = [np.eye(4)[classes] + 0.25 * random.normal(size=(256, 4)) for _ in range(2)]
    own, other = ([Answers(x)] for x in made)
    full = cka(own, other, whole(256))[0, 0]
    assert abs(cka(own, other, batches(256, 64, 0))[0, 0] - full) < 0.05
    assert cka(own, other, np.split(np.arange(256), 4))[0, 0] < full / 2


def test_rsa_equals_scipys():
    made = layers(60)
    found = rsa([Answers(x) for x in made], [Answers(x) for x in made], whole(60))
    expected = np.array([[spearmanr(pdist(one), pdist(two))[0] for two in made] for one in made])
    assert np.abs(found - expected).max() < 1e-9


def test_procrustes_equals_scipys():
    made = layers(60)
    found = procrustes([Answers(x) for x in made], [Answers(x) for x in made], whole(60))
    around = [x - x.mean(0) for x in made]
    scaled = [np.pad(x / np.linalg.norm(x), ((0, 0), (0, 31 - x.shape[1]))) for x in around]
    expected = np.array([[orthogonal_procrustes(one, two)[1] for two in scaled] for one in scaled])
    assert np.abs(found - expected).max() < 1e-6
    rotation, _ = orthogonal_procrustes(scaled[0], scaled[1])
    distance = np.square(scaled[0] @ rotation - scaled[1]).sum()
    assert abs(found[0, 1] - (1 - distance / 2)) < 1e-6


@pytest.mark.parametrize("by", MEASURES)
def test_rotated_rescaled_and_permuted_layers_are_the_same(by):
    first = layers()[1].astype(np.float32)
    rotation, _ = np.linalg.qr(random.normal(size=(31, 31)))
    copies = [first @ rotation, first * -7, first + 5, first[:, random.permutation(31)], np.tile(first, 3)]
    found = MEASURES[by]([Answers(first)], [Answers(x) for x in copies], batches(120, 50, 0))
    assert np.abs(found - 1).max() < 1e-5
    unrelated = MEASURES[by]([Answers(first)], [Answers(random.normal(size=(120, 31)))], batches(120, 50, 0))[0, 0]
    assert unrelated < (0.7 if by == "procrustes" else 0.2), "it is biased, and the others are not"


@pytest.mark.parametrize("by", MEASURES)
def test_inner_products_say_what_vectors_do(by):
    made, parts = layers(), batches(120, 50, 0)
    found = MEASURES[by](*2 * [[Answers(gram=centred(x @ x.T).astype(np.float32)) for x in made]], parts)
    assert np.abs(found - MEASURES[by](*2 * [[Answers(x) for x in made]], parts)).max() < 1e-4


@pytest.mark.parametrize("by", MEASURES)
def test_a_constant_layer_has_no_number(by):
    first = layers(20)[0]
    constant = np.full((20, 5), 0.3, np.float32) * (1 + 1e-8 * random.normal(size=(20, 5)))
    found = MEASURES[by]([Answers(first), Answers(constant)], [Answers(first)], whole(20))
    assert np.isnan(found[1, 0]) and abs(found[0, 0] - 1) < 1e-6
    assert Answers(first).restricted(np.arange(5)).gram(np.arange(5)).shape == (5, 5)

"""Directions of concepts: scikit-learn, planted directions, sets without a concept; TCAV by hand and under chance."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from bbilang.runtime.statistics.concepts import concept, fit_direction, permuted_directions, resampled_directions
from bbilang.runtime.statistics.tcav import sensitivity, tcav


def sets(seed, size=120, channels=20, distance=3.0):
    """Two sets that lie apart along channel 4 minus channel 7."""
    source = np.random.default_rng(seed)
    examples, others = source.normal(size=(2, size, channels))
    axis = np.zeros(channels)
    axis[4], axis[7] = np.sqrt(0.5), -np.sqrt(0.5)
    return examples + distance * axis, others, axis


def test_the_direction_is_scikit_learns():
    examples, others, _ = sets(0)
    rows, labels = np.concatenate([examples, others]), np.repeat([1, 0], 120)
    scaled = (rows - rows.mean(0)) / np.sqrt(rows.var(0).mean())
    theirs = LogisticRegression(max_iter=2000).fit(scaled, labels).coef_[0]
    np.testing.assert_allclose(fit_direction(examples, others), theirs / np.linalg.norm(theirs), atol=1e-6)


def test_the_unit_of_a_layer_does_not_change_the_direction():
    examples, others, _ = sets(1)
    np.testing.assert_allclose(
        fit_direction(examples, others), fit_direction(1000 * examples + 5, 1000 * others + 5), atol=1e-6
    )


def test_held_out_examples_that_are_given():
    """The direction is that of all others; the accuracy is counted on as many of each set as the smaller has."""
    examples, others, _ = sets(3, distance=1.0)
    held = tuple(part[:50] for part in sets(4, distance=1.0)[:2])
    found = concept(examples, others, held_out=held)
    np.testing.assert_allclose(found.direction, fit_direction(examples, others))
    rows, labels = np.concatenate([examples, others]), np.repeat([1, 0], 120)
    scale = np.sqrt(rows.var(0).mean())
    theirs = LogisticRegression(max_iter=2000).fit((rows - rows.mean(0)) / scale, labels)
    right = theirs.score((np.concatenate(held) - rows.mean(0)) / scale, np.repeat([1, 0], 50))
    assert found.accuracy == pytest.approx(right) and (found.trained, found.held_out) == (240, 100)
    assert found.interval[0] < right < found.interval[1] and len(found.random_accuracies) == 20
    assert abs(found.random_accuracies.mean() - 0.5) < 0.1 < right - 0.5
    uneven = concept(examples, others, held_out=(held[0][:20], held[1]))
    assert uneven.held_out == 40


def test_a_planted_direction():
    examples, others, axis = sets(2)
    found = concept(examples, others)
    assert np.linalg.norm(found.direction) == pytest.approx(1) and found.direction @ axis > 0.9
    assert found.trained == 160 and found.held_out == 80 and not found.too_few
    assert found.interval[0] <= found.accuracy <= found.interval[1] and found.accuracy > 0.8
    assert len(found.random_accuracies) == 20 and found.random_size == 60
    assert abs(found.random_accuracies.mean() - 0.5) < 0.08


def test_without_a_concept_the_accuracy_is_that_of_random_sets():
    within = 0
    for seed in range(20):
        examples, others, _ = sets(seed, distance=0)
        within += concept(examples, others, seed, random_sets=0).interval[0] <= 0.5
    assert within >= 18


def test_held_out_examples_are_not_trained_on():
    """More channels than examples: any labels are told right where they were trained on."""
    source = np.random.default_rng(0)
    found = concept(*source.normal(size=(2, 150, 600)), random_sets=0)
    assert 0.35 < found.accuracy < 0.65


def test_sets_of_other_sizes():
    examples, others, _ = sets(3)
    found = concept(examples[:30], others)
    assert (found.trained, found.held_out, found.random_size) == (40, 20, 30) and found.too_few
    assert concept(examples[:30], others[:4], random_sets=5).random_accuracies.size == 0
    with pytest.raises(ValueError, match="2 examples"):
        concept(examples[:2], others)
    assert fit_direction(np.ones((5, 3)), np.ones((5, 3))).tolist() == [0, 0, 0]


def test_the_same_seed_gives_the_same_numbers():
    examples, others, _ = sets(4)
    a, b = concept(examples, others, 7), concept(examples, others, 7)
    assert a.accuracy == b.accuracy and (a.direction == b.direction).all()
    assert (a.random_accuracies == b.random_accuracies).all()


def test_resampled_and_permuted_directions():
    examples, others, axis = sets(5)
    assert (resampled_directions(examples, others, 5) @ axis).min() > 0.8
    permuted = permuted_directions(examples, others, 40) @ axis
    assert abs(permuted.mean()) < 0.2 and permuted.std() > 0.1


def test_sensitivity_by_hand():
    gradients = np.array([[1.0, 0], [2, 0], [0, 0], [-3, 0]])
    result = sensitivity(gradients, np.array([[1.0, 0], [0, 1]]))
    assert result.above.tolist() == [0.5, 0] and result.zero.tolist() == [0.25, 1]
    assert result.mean.tolist() == [0, 0] and result.magnitude.tolist() == [1.5, 0]


def test_tcav_of_a_score_that_uses_the_concept():
    examples, others, axis = sets(6)
    source = np.random.default_rng(0)
    uses = tcav(axis + 0.3 * source.normal(size=(50, 20)), examples, others)
    assert uses.own.above[0] > 0.9 and uses.p <= 0.1 and uses.interval[0] > 0.8
    assert len(uses.resampled.above) == 30 and len(uses.permuted.above) == 99
    ignores = tcav(source.normal(size=(50, 20)), examples, others)
    assert 0.2 < ignores.own.above[0] < 0.8 and ignores.p > 0.05


def test_permuted_labels_are_rarely_significant():
    """No concept, and a score that every direction moves: a t-test against 0.5 would call nearly all significant."""
    small = 0
    for seed in range(25):
        examples, others, _ = sets(seed, size=30, channels=8, distance=0)
        gradients = np.random.default_rng((seed, 9)).normal(size=8) + 0.1 * np.random.default_rng(seed).normal(
            size=(25, 8)
        )
        small += tcav(gradients, examples, others, resamples=2, permutations=19, seed=seed).p <= 0.1
    assert small <= 7  # 2.5 are expected, 7 are three deviations more

"""Leaving an example out at a linear layer: against a layer that is trained again without it."""

from __future__ import annotations

import numpy as np
import pytest

from bbilang.runtime.influence.exact import leave_one_out

CLASSES, WIDE, COUNT = 3, 5, 150


def data() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(2)
    inputs = np.concatenate([draw.normal(size=(COUNT, WIDE - 1)), np.ones((COUNT, 1))], 1)
    labels = (inputs @ draw.normal(size=(WIDE, CLASSES)) + draw.normal(size=(COUNT, CLASSES))).argmax(1)
    return inputs, labels


def chances_of(weights: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    scores = inputs @ weights.T
    scores = np.exp(scores - scores.max(1, keepdims=True))
    return scores / scores.sum(1, keepdims=True)


def curvature_of(weights: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    p = chances_of(weights, inputs)
    blocks = np.einsum("nc,cd->ncd", p, np.eye(CLASSES)) - p[:, :, None] * p[:, None, :]
    return np.einsum("ncd,ni,nj->cidj", blocks, inputs, inputs).reshape(CLASSES * WIDE, -1)


def trained(inputs: np.ndarray, labels: np.ndarray, penalty: float) -> np.ndarray:
    """Newton's method for the sum of cross-entropies and penalty / 2 times the sum of the squares of the weights."""
    weights = np.zeros((CLASSES, WIDE))
    for _ in range(50):
        residual = chances_of(weights, inputs)
        residual[np.arange(len(labels)), labels] -= 1
        slope = residual.T @ inputs + penalty * weights
        step = np.linalg.solve(curvature_of(weights, inputs) + penalty * np.eye(CLASSES * WIDE), slope.ravel())
        weights -= step.reshape(weights.shape)
    assert np.abs(slope).max() < 1e-9
    return weights


def with_damping(inputs: np.ndarray, labels: np.ndarray, damping: float) -> tuple[np.ndarray, float]:
    """Train with the penalty that stands for this damping at its own optimum."""
    penalty = 1.0
    for _ in range(60):
        weights = trained(inputs, labels, penalty)
        penalty = damping * np.trace(curvature_of(weights, inputs)) / (CLASSES * WIDE)
    return weights, penalty


def test_close_to_training_again():
    inputs, labels = data()
    weights, penalty = with_damping(inputs, labels, 0.05)
    queries = np.random.default_rng(5).normal(size=(4, CLASSES, WIDE))
    own = leave_one_out(inputs, chances_of(weights, inputs), labels, queries, 0.05)
    again = np.empty_like(own)
    for n in range(COUNT):
        others = np.arange(COUNT) != n
        change = weights - trained(inputs[others], labels[others], penalty)
        again[n] = queries.reshape(4, -1) @ change.ravel()
    for query in range(4):
        assert np.corrcoef(own[:, query], again[:, query])[0, 1] > 0.99
    assert np.abs(own - again).max() < 0.15 * np.abs(again).max()


def test_exactly_newtons_step_without_the_example():
    inputs, labels = data()
    weights, _ = with_damping(inputs, labels, 0.05)
    chances = chances_of(weights, inputs)
    queries = np.random.default_rng(5).normal(size=(2, CLASSES, WIDE))
    own = leave_one_out(inputs, chances, labels, queries, 0.1)
    whole = curvature_of(weights, inputs)
    whole += 0.1 * np.trace(whole) / len(whole) * np.eye(len(whole))
    for n in (0, 17, 59):
        slope = np.outer(chances[n] - np.eye(CLASSES)[labels[n]], inputs[n]).ravel()
        step = np.linalg.solve(whole - curvature_of(weights, inputs[n : n + 1]), slope)
        assert own[n] == pytest.approx(-(queries.reshape(2, -1) @ step), rel=1e-7)


def test_an_example_without_a_label_has_none():
    inputs, labels = data()
    chances = chances_of(np.ones((CLASSES, WIDE)), inputs)
    labels[3] = -1
    own = leave_one_out(inputs, chances, labels, np.ones((1, CLASSES, WIDE)), 0.1)
    assert np.isnan(own[3]).all() and np.isfinite(np.delete(own, 3, 0)).all()

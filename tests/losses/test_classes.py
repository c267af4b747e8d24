"""One loss for each kind of scores, and numbers for classes without names, wherever a network is trained or asked."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from bbilang import adapt
from bbilang.compiler.ir.score_kinds import INDEPENDENT, LOGITS, PROBABILITIES, SIGMOID
from bbilang.runtime.data.labels import classes_of
from bbilang.runtime.losses.classes import difference_of_each, loss_of_each


@pytest.mark.parametrize(("kind", "expected"), [
    (LOGITS, lambda x, y: functional.cross_entropy(x, y)),
    (PROBABILITIES, lambda x, y: -x[range(4), y].log().mean()),
    (SIGMOID, lambda x, y: functional.binary_cross_entropy(x.sigmoid(), functional.one_hot(y, 3).double())),
    (INDEPENDENT, lambda x, y: functional.binary_cross_entropy(x, functional.one_hot(y, 3).double())),
])  # fmt: skip
def test_the_mean_loss_is_that_of_torch(kind, expected):
    torch.manual_seed(0)
    scores = torch.randn(4, 3, dtype=torch.float64)
    if kind in (PROBABILITIES, INDEPENDENT):
        scores = scores.softmax(1)
    classes = torch.tensor([0, 2, 1, 2])
    each = loss_of_each(scores, classes, kind)
    assert each.shape == (4,) and torch.allclose(each.mean(), expected(scores, classes))


@pytest.mark.parametrize("kind", [LOGITS, PROBABILITIES, SIGMOID, INDEPENDENT])
def test_the_difference_of_predictions_is_the_divergence_summed_by_hand(kind):
    torch.manual_seed(0)
    scores, original = torch.randn(2, 4, 3, dtype=torch.float64)
    if kind in (PROBABILITIES, INDEPENDENT):
        scores, original = scores.softmax(1), original.softmax(1)
    same = difference_of_each(original, original, kind)
    assert same.shape == (4,) and torch.allclose(same, torch.zeros(4, dtype=torch.float64), atol=1e-12)
    new, old = (
        x.softmax(1).tolist() if kind == LOGITS else x.sigmoid().tolist() if kind == SIGMOID else x.tolist()
        for x in (scores, original)
    )
    found = difference_of_each(scores, original, kind).tolist()
    for row in range(4):
        by_hand = 0.0
        for q, p in zip(new[row], old[row], strict=True):
            by_hand += p * math.log(p / q)
            if kind in (SIGMOID, INDEPENDENT):
                by_hand += (1 - p) * math.log((1 - p) / (1 - q))
        assert found[row] == pytest.approx(by_hand / (3 if kind in (SIGMOID, INDEPENDENT) else 1))


def test_labels_of_a_network_without_class_names_are_numbers():
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 3))
    named = adapt(module, input_size=8, labels=("a", "b", "c")).description
    bare = replace(named, labels=())
    assert classes_of(["b", "x", "c"], named).tolist() == [1, -1, 2]
    assert classes_of([2, "0", "3"], bare).tolist() == [2, 0, -1]
    assert np.array_equal(classes_of(np.array([1, 1]), bare), [1, 1])

"""One loss for each kind of scores, and numbers for classes without names, wherever a network is trained or asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from bbilang import adapt
from bbilang.compiler.ir.score_kinds import INDEPENDENT, LOGITS, PROBABILITIES, SIGMOID
from bbilang.runtime.data.labels import classes_of
from bbilang.runtime.losses.classes import loss_of_each


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


def test_labels_of_a_network_without_class_names_are_numbers():
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 3))
    named = adapt(module, input_size=8, labels=("a", "b", "c")).description
    bare = replace(named, labels=())
    assert classes_of(["b", "x", "c"], named).tolist() == [1, -1, 2]
    assert classes_of([2, "0", "3"], bare).tolist() == [2, 0, -1]
    assert np.array_equal(classes_of(np.array([1, 1]), bare), [1, 1])

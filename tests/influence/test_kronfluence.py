"""EKFAC equals kronfluence, the implementation of its authors, with the same labels and damping."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from bbilang.runtime.influence.curvature import measured
from bbilang.runtime.influence.weights import gradients_of, requiring_gradients, weighted_layers
from bbilang.runtime.influence.work import Network, products
from bbilang.runtime.models.adapt import adapt

kronfluence = pytest.importorskip("kronfluence", reason="kronfluence (tests/peers.txt) is not installed")


class Task(kronfluence.task.Task):
    def compute_train_loss(self, batch, model, sample=False):
        images, labels = batch
        return nn.functional.cross_entropy(model(images), labels, reduction="sum")

    def compute_measurement(self, batch, model):
        images, labels = batch
        return model(images)[torch.arange(len(images)), labels].sum()


def test_equal_to_kronfluence(tmp_path):
    torch.manual_seed(1)
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2, bias=False), nn.ReLU(),
        nn.Flatten(), nn.Linear(8 * 9, 12), nn.ReLU(), nn.Linear(12, 4),
    ).eval()  # fmt: skip
    images, labels = torch.rand(48, 3, 8, 8), torch.randint(4, (48,))
    asked, classes = torch.rand(6, 3, 8, 8), torch.randint(4, (6,))
    layers = weighted_layers(module)
    network = Network(adapt(module, (8, 8), channels=3), layers, "logits")

    def batches():
        for part, own in zip(images.split(16), labels.split(16), strict=True):
            yield network.gradients(part, network.loss_of(own))

    curvature = measured(batches, len(images))
    with requiring_gradients(layers), torch.enable_grad():
        queries = gradients_of(module(asked)[torch.arange(6), classes], layers)
    own = products(network, images, labels, curvature.solve(queries)).T

    prepared = kronfluence.prepare_model(module, Task())
    analyzer = kronfluence.Analyzer("small", prepared, Task(), cpu=True, output_dir=str(tmp_path), disable_tqdm=True)
    examples, numbers = TensorDataset(images, labels), TensorDataset(asked, classes)
    factors = kronfluence.FactorArguments(strategy="ekfac", use_empirical_fisher=True)
    analyzer.fit_all_factors("factors", examples, per_device_batch_size=16, factor_args=factors)
    analyzer.compute_pairwise_scores(
        "scores", "factors", numbers, examples, per_device_query_batch_size=6, per_device_train_batch_size=16,
        score_args=kronfluence.ScoreArguments(damping_factor=None),
    )  # fmt: skip
    theirs = analyzer.load_pairwise_scores("scores")["all_modules"].double()
    assert np.corrcoef(own.numpy().ravel(), theirs.numpy().ravel())[0, 1] > 0.999999
    assert torch.allclose(own, theirs, rtol=0, atol=1e-3 * float(theirs.abs().max()))

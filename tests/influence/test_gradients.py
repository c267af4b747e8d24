"""Gradients of each example's loss by the weights equal those of autograd, one example at a time."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.influence.curvature import measured
from bbilang.runtime.influence.gradients import Recorder, per_example
from bbilang.runtime.influence.training_loss import drawn_labels, losses, margins
from bbilang.runtime.influence.weights import Coverage, gradients_of, requiring_gradients, weighted_layers
from bbilang.runtime.influence.work import Network, Projection, features, on_itself, products
from bbilang.runtime.models.adapt import adapt


class Twice(nn.Module):
    """A network that uses a layer twice."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 1), nn.Linear(4, 3)

    def forward(self, x):
        x = self.first(x).relu()
        return self.head(self.second(self.second(x).relu()).relu().mean((2, 3)))


def chain(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


NETWORKS = {
    "plain": lambda: chain(nn.Conv2d(3, 6, 3), nn.ReLU(inplace=True), nn.Conv2d(6, 4, 3, padding=1), nn.ReLU()),
    "strides": lambda: chain(nn.Conv2d(3, 6, 5, stride=2, padding=2, bias=False), nn.GELU(),
                             nn.Conv2d(6, 4, (3, 1), dilation=(2, 1), padding=(2, 0))),
    "groups": lambda: chain(nn.Conv2d(3, 6, 3, groups=3), nn.ReLU6(), nn.Conv2d(6, 4, 1, groups=2)),
    "same": lambda: chain(nn.Conv2d(3, 4, 4, padding="same"), nn.SiLU(), nn.Conv2d(4, 4, 3, padding="valid")),
    "norm": lambda: chain(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True)),
    "twice": Twice,
    "linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 5), nn.Tanh(), nn.Linear(5, 3)),
}  # fmt: skip


def made(name: str) -> tuple[Network, torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    module = NETWORKS[name]().eval()
    network = Network(adapt(module, (8, 8), channels=3), weighted_layers(module), "logits")
    return network, torch.rand(5, 3, 8, 8), torch.tensor([0, 1, 2, 1, -1])


def one_by_one(network: Network, images: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
    """The slow twin: a backward for each example."""
    with requiring_gradients(network.layers), torch.enable_grad():
        each = [network.adapter.module(network.adapter.normalize(image[None])) for image in images]
        values = torch.cat([losses(s, label[None], "logits") for s, label in zip(each, labels, strict=True)])
        return gradients_of(values, network.layers)


@pytest.mark.parametrize("name", NETWORKS)
def test_equal_to_one_by_one(name):
    network, images, labels = made(name)
    slow = one_by_one(network, images, labels)
    fast = {layer.name: per_example(pairs) for layer, pairs in network.gradients(images, network.loss_of(labels))}
    assert fast.keys() == slow.keys()
    for layer, own in slow.items():
        assert torch.allclose(fast[layer], own, rtol=0, atol=2e-6 * float(own.abs().max())), layer
        assert not bool(own[-1].any())  # without a label


def test_products_and_lengths():
    network, images, labels = made("groups")
    slow = one_by_one(network, images, labels)
    flat = torch.cat([rows.flatten(1) for rows in slow.values()], 1).double()
    squares = torch.zeros(len(images), dtype=torch.float64)
    own = products(network, images, labels, slow, squares)
    assert torch.equal(products(network, images, labels, slow), own)
    size = float((flat @ flat.T).abs().max())
    assert torch.allclose(own, flat @ flat.T, rtol=0, atol=1e-6 * size)
    assert torch.allclose(squares, flat.square().sum(1), rtol=0, atol=1e-6 * size)
    assert torch.allclose(on_itself(network, images, labels), squares, rtol=0, atol=1e-6 * size)


def test_restored():
    network, images, labels = made("norm")
    slow = one_by_one(network, images, labels)
    module = network.adapter.module.train()
    network.layers[0].module.weight.requires_grad_(False)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    products(network, images, labels, slow)
    assert module.training and not network.layers[0].module.weight.requires_grad
    assert network.layers[1].module.weight.requires_grad and network.layers[1].module.weight.grad is None
    assert not any(child._forward_hooks for child in module.modules())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_curvature_is_the_mean_of_squares_in_the_basis_of_the_factors():
    network, images, _ = made("groups")
    generator = torch.Generator()

    def batches():
        generator.manual_seed(5)
        for part in images.split(2):
            yield network.drawn(part, generator)

    found = measured(batches, len(images))
    generator.manual_seed(5)
    with torch.no_grad():
        drawn = [drawn_labels(network.adapter.module(part), "logits", generator) for part in images.split(2)]
    slow = one_by_one(network, images, torch.cat(drawn))
    for name, rows in slow.items():
        block = found.blocks[name]
        for basis in (block.of_inputs, block.of_outputs):
            assert torch.allclose(basis.T @ basis, torch.eye(len(basis)), atol=1e-5)
        squares = torch.stack([block.of_outputs.T @ own @ block.of_inputs for own in rows]).square().mean(0)
        assert torch.allclose(block.diagonal, squares, rtol=0, atol=1e-5 * float(squares.max()))
        # solved: the inverse of a matrix written out
        q = torch.kron(block.of_outputs, block.of_inputs).double()
        dense = q @ torch.diag((block.diagonal + block.damping).flatten().double()) @ q.T
        solved = torch.linalg.solve(dense, rows.double().flatten(1).T).T.view(rows.shape)
        assert torch.allclose(block.solved(rows).double(), solved, rtol=0, atol=1e-4 * float(solved.abs().max()))
    assert torch.allclose(
        on_itself(network, images, torch.cat(drawn), found),
        sum((found.solve(slow)[name] * rows).double().flatten(1).sum(1) for name, rows in slow.items()),
        rtol=1e-4,
    )


def test_projection_keeps_inner_products_on_average():
    network, images, labels = made("linear")
    slow = one_by_one(network, images, labels)
    rows = {
        name: torch.randn(2, *own.shape[1:], generator=torch.Generator().manual_seed(1)) for name, own in slow.items()
    }
    flat = torch.cat([own.flatten(1) for own in rows.values()], 1).double()
    found = []
    for seed in range(40):
        own = Projection(network.layers, 256, seed).of(rows).double()
        found.append(own @ own.T)
    spread = float(flat.square().sum(1).max()) / 256**0.5 / 40**0.5  # of the mean over seeds
    assert torch.allclose(torch.stack(found).mean(0), flat @ flat.T, rtol=0, atol=4 * spread)


def test_features_are_gradients_of_the_log_odds():
    network, images, labels = made("plain")
    projection = Projection(network.layers, 64, 0)
    own, rest = features(network, images, labels, projection)
    with requiring_gradients(network.layers), torch.enable_grad():
        scores = network.adapter.module(images)
        chances = scores.softmax(1)[torch.arange(5), labels.clamp_min(0)]
        odds = torch.where(labels >= 0, (chances / (1 - chances)).log(), 0.0)
        slow = projection.of(gradients_of(odds, network.layers))
    assert torch.allclose(own, slow, rtol=0, atol=1e-5 * float(slow.abs().max()))
    assert torch.allclose(rest, torch.where(labels >= 0, 1 - chances, 0.0).detach(), atol=1e-6)
    assert torch.allclose(margins(scores, labels, "logits")[0], odds, atol=1e-5)


def test_what_is_covered():
    module = NETWORKS["norm"]()
    assert Coverage.of(module, weighted_layers(module)) == Coverage(2, 3 * 4 * 9 + 4 + 4 * 3 + 3, 3 * 36 + 4 + 8 + 15)


def test_an_input_that_is_overwritten_is_refused():
    class Overwrites(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, 4, 1), nn.Linear(4, 3)

        def forward(self, x):
            y = self.conv(x)
            x.mul_(0)
            return self.head(y.mean((2, 3)))

    module = Overwrites().eval()
    recorder = Recorder(weighted_layers(module))
    with recorder.recording(), torch.enable_grad():
        scores = module(torch.rand(2, 3, 4, 4))
    with pytest.raises(BbiError) as failure:
        list(recorder.at_outputs(scores.sum(1)))
    assert failure.value.diagnostics[0].code == "E591"


def test_a_network_without_weights_is_refused():
    with pytest.raises(BbiError) as failure:
        weighted_layers(nn.ReLU())
    assert failure.value.diagnostics[0].code == "E590"

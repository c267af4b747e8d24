"""What influence computes for each example of a dataset, as the work of a scan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bbilang.runtime.influence.curvature import Curvature, Pairs
from bbilang.runtime.influence.gradients import Recorder, per_example
from bbilang.runtime.influence.training_loss import drawn_losses, losses, margins
from bbilang.runtime.influence.weights import Matrices, Weighted
from bbilang.runtime.models.adapter import Adapter
from bbilang.runtime.passes.hooks import frozen_module, guard_memory

FEATURES = 1024  # of a random projection of the gradients


@dataclass
class Network:
    """A network, and the layers whose weights count. ``kind``: of its scores."""

    adapter: Adapter
    layers: Sequence[Weighted]
    kind: str

    def gradients(self, images: Tensor, score: Callable[[Tensor], Tensor]) -> Iterator[tuple[Weighted, Pairs]]:
        """Run a batch (example, channel, y, x) in [0, 1]. Yields each layer with (inputs, gradients at the outputs) of
        ``score``, which makes (example,) of the scores (example, class)."""
        recorder = Recorder(self.layers)
        with guard_memory("the gradients by the weights"), frozen_module(self.adapter.module), torch.enable_grad():
            with recorder.recording():
                scores = self.adapter.module(self.adapter.normalize(images.to(self.adapter.device)))
            yield from recorder.at_outputs(score(scores))

    def loss_of(self, labels: Tensor) -> Callable[[Tensor], Tensor]:
        """Return what makes the losses of scores."""
        own = labels.to(self.adapter.device)
        return lambda scores: losses(scores, own, self.kind)

    def drawn(self, images: Tensor, generator: torch.Generator) -> Iterator[tuple[Weighted, Pairs]]:
        """Run a batch with labels drawn from what the network predicts."""

        return self.gradients(images, lambda scores: drawn_losses(scores, self.kind, generator))


def products(
    network: Network, images: Tensor, labels: Tensor, queries: Matrices, squares: Tensor | None = None
) -> Tensor:
    """Return the inner product of the gradient of each example's loss with each query, (example, query), in float64.
    queries: (query, out, in) for each layer. ``squares`` (example,): zeros to which the gradient's squared length is
    added, where it is needed."""
    count = len(next(iter(queries.values())))
    total = torch.zeros(len(images), count, dtype=torch.float64)
    for layer, pairs in network.gradients(images, network.loss_of(labels)):
        own = per_example(pairs).flatten(1)
        total += (own @ queries[layer.name].to(own).flatten(1).T).double().cpu()
        if squares is not None:
            squares += own.square().sum(1).double().cpu()
    return total


def on_itself(network: Network, images: Tensor, labels: Tensor, curvature: Curvature | None = None) -> Tensor:
    """Return the squared length of the gradient of each example's loss, (example,), in float64: in the metric of the
    inverse curvature, where there is one."""
    total = torch.zeros(len(images), dtype=torch.float64)
    for layer, pairs in network.gradients(images, network.loss_of(labels)):
        own = per_example(pairs)
        squares = own.square()
        if curvature is not None:
            block = curvature.blocks[layer.name]
            squares = block.rotated(own.cpu()).square() / (block.diagonal + block.damping).clamp_min(1e-30)
        total += squares.flatten(1).sum(1).double().cpu()
    return total


@dataclass
class OnItself:
    """The influence of each example on its own loss; see `on_itself`."""

    network: Network
    curvature: Curvature | None
    names: tuple[str, ...] = ("own",)

    def batch(self, images: Tensor, labels: Tensor) -> dict[str, np.ndarray]:
        return {"own": on_itself(self.network, images, labels, self.curvature).numpy()}


class Projection:
    """A random projection of the weights to a few features: each weight is added to one of them, with a random sign
    (count sketch), which keeps inner products on average."""

    def __init__(self, layers: Sequence[Weighted], features: int, seed: int):
        self.features = features
        self._places: dict[str, tuple[Tensor, Tensor]] = {}
        for number, layer in enumerate(layers):
            draw = np.random.default_rng([seed, 17, number])
            size = layer.shape[0] * layer.shape[1]
            places = torch.from_numpy(draw.integers(features, size=size))
            signs = torch.from_numpy(draw.integers(2, size=size).astype(np.float32) * 2 - 1)
            self._places[layer.name] = (places, signs)

    def add(self, total: Tensor, name: str, matrices: Tensor) -> None:
        """Add a layer's matrices (row, out, in) to (row, feature)."""
        places, signs = self._places[name]
        flat = matrices.flatten(1)
        total.index_add_(1, places.to(flat.device), (flat * signs.to(flat)).to(total))

    def of(self, matrices: Matrices) -> Tensor:
        """Project the matrices of all layers, (row, feature)."""
        rows = len(next(iter(matrices.values())))
        total = torch.zeros(rows, self.features)
        for name, own in matrices.items():
            self.add(total, name, own.cpu())
        return total


def features(network: Network, images: Tensor, labels: Tensor, projection: Projection) -> tuple[Tensor, Tensor]:
    """Return the projected gradient of each example's log-odds of its label, (example, feature), and 1 minus the
    label's probability, (example,)."""
    own = labels.to(network.adapter.device)
    rest: list[Tensor] = []

    def score(scores: Tensor) -> Tensor:
        odds, missing = margins(scores, own, network.kind)
        rest.append(missing)
        return odds

    total = torch.zeros(len(images), projection.features)
    for layer, pairs in network.gradients(images, score):
        projection.add(total, layer.name, per_example(pairs).cpu())
    return total, rest[0].cpu()


def head_inputs(network: Network, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the input of the last linear layer with a 1 for its bias, (example, in), and the scores (example,
    class)."""
    (head,) = network.layers
    recorder = Recorder([head])
    with frozen_module(network.adapter.module), recorder.recording():
        scores = network.adapter.module(network.adapter.normalize(images.to(network.adapter.device)))
    inputs = recorder.inputs_of(head)[:, 0]
    return inputs.detach().flatten(0, 1).cpu(), scores.detach().cpu()

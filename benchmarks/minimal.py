"""The hand-written minimum of every row: plain torch for this one network, with nothing of bbilang but the module.

What somebody writes who knows the network, needs these numbers and nothing else: batch norms folded into their
convolutions, channels last, nothing run twice, no gradient below the earliest layer or of any weight. Of the ways to
the same numbers (`benchmarks/ways.py` has and measures them) each is the one that was fastest on a CPU:

- Cotangents one after another on one retained graph. `is_grads_batched` takes 1.1 to 1.3 times as long (its batching
  rules copy), a batch of copies of the picture 1.4 times (the forward is repeated), and a backward written by hand with
  the masks of ReLU6 shared by the batch comes out even. On the module as it comes, unfolded: 1.5 times.
- Tangents by hand: one forward of the picture, and beside it batches of 28 tangents through the same convolutions
  without their biases, times the mask of ReLU6. `torch.func.jvp` under `vmap` takes 1.5 times as long on the same
  folded network (it adds a convolution with the weight's tangent, which is zero, and spreads masks over the batch),
  3 times on the module as it comes; `torch.func.linearize` 4 times and more, batched cotangents of 1,000 classes 12.
- A path in batches of 25 points from the layer up: 1.5 times as fast folded as on the module as it comes.

Folding is part of the work and timed with it, as it is in a page: it takes 10 ms.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

TANGENTS = 28  # side by side; 14 to 49 are within 15 %
POINTS = 25  # of a path


@dataclass(frozen=True)
class Unit:
    """A convolution with its batch norm folded in, and ReLU6 after it where ``active``."""

    weight: Tensor
    bias: Tensor
    stride: int
    groups: int
    active: bool

    def linear(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """The convolution with TensorFlow's SAME padding: (input, channel, y, x) -> (input, channel, y, x)."""
        kernel = self.weight.shape[-1]
        pads = []
        for size in (x.shape[3], x.shape[2]):
            total = max((-(-size // self.stride) - 1) * self.stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        if pads[0] == pads[1] and pads[2] == pads[3]:
            return F.conv2d(x, self.weight, bias, self.stride, (pads[2], pads[0]), 1, self.groups)
        return F.conv2d(F.pad(x, pads), self.weight, bias, self.stride, 0, 1, self.groups)

    def __call__(self, x: Tensor) -> Tensor:
        x = self.linear(x, self.bias)
        return F.hardtanh(x, 0.0, 6.0) if self.active else x


@dataclass(frozen=True)
class Network:
    """EfficientNet-Lite0, folded: the units by name in order, which blocks add their input, and the classifier."""

    units: Mapping[str, Unit]
    residual: frozenset[str]
    weight: Tensor  # (class, channel)
    bias: Tensor

    def blocks(self, start: str = "", end: str = "") -> list[str]:
        """Names of the blocks from ``start`` on, and before ``end``."""
        names = list(dict.fromkeys(name.partition(".")[0] for name in self.units if "." in name))
        return names[names.index(start) if start else 0 : names.index(end) if end else None]

    def block(self, name: str, x: Tensor, keep: dict[str, Tensor] | None = None) -> Tensor:
        """One block; ``keep`` collects its expansion, as a leaf of the graph where nothing before it has one."""
        inside = x
        if f"{name}.expand" in self.units:
            inside = self.units[f"{name}.expand"](x)
            if keep is not None and name in keep:
                inside = keep[name] = inside if inside.requires_grad else inside.detach().requires_grad_()
        return self.rest(name, x, inside)

    def rest(self, name: str, x: Tensor, inside: Tensor) -> Tensor:
        """A block from its expansion on."""
        out = self.units[f"{name}.project"](self.units[f"{name}.depthwise"](inside))
        return out + x if name in self.residual else out

    def scores(self, x: Tensor) -> Tensor:
        """From the last block's result: (input, channel, y, x) -> (input, class)."""
        return F.linear(self.units["head"](x).mean((2, 3)), self.weight, self.bias)


def fold(module: nn.Module) -> Network:
    """The module's weights, batch norms folded into convolutions, channels last."""
    units, residual = {}, set()
    for name, child in module.named_modules():
        if hasattr(child, "convolution"):
            convolution, norm = child.convolution, child.norm
            scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
            weight = (convolution.weight * scale[:, None, None, None]).contiguous(memory_format=torch.channels_last)
            units[name] = Unit(
                weight.detach(), (norm.bias - norm.running_mean * scale).detach(),
                convolution.stride[0], convolution.groups, hasattr(child, "activation"),
            )  # fmt: skip
        elif getattr(child, "residual", False):
            residual.add(name)
    return Network(units, frozenset(residual), module.classifier.weight.detach(), module.classifier.bias.detach())


def normalized(image: Tensor) -> Tensor:
    """(channel, y, x) or (input, channel, y, x) in [0, 1] -> (input, channel, y, x) as the network was trained on."""
    images = image if image.dim() == 4 else image[None]
    return ((images * 255 - 127) / 128).contiguous(memory_format=torch.channels_last)


def up_to(network: Network, image: Tensor, block: str) -> Tensor:
    """What goes into a block."""
    with torch.no_grad():
        x = network.units["stem"](normalized(image))
        for name in network.blocks(end=block):
            x = network.block(name, x)
    return x


@contextmanager
def captured(network: Network, image: Tensor, blocks: Sequence[str]) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
    """(expansions by block, scores) of one forward, with a graph from the earliest expansion up."""
    kept: dict[str, Tensor] = dict.fromkeys(blocks, torch.empty(0))
    x = up_to(network, image, blocks[0])
    with torch.enable_grad():
        for name in network.blocks(blocks[0]):
            x = network.block(name, x, kept)
        yield kept, network.scores(x)


def linear(module: nn.Module, image: Tensor, blocks: Sequence[str], classes: Sequence[int]) -> dict[str, Tensor]:
    """Linear attribution of the channels of ``block.expand`` to classes: block -> (class, channel).

    ``blocks`` in forward order. One forward, one cotangent per class.
    """
    with captured(fold(module), image, blocks) as (kept, scores):
        wanted = [kept[name] for name in blocks]
        found = []
        for place, index in enumerate(classes):
            gradients = torch.autograd.grad(scores[0, index], wanted, retain_graph=place + 1 < len(classes))
            found.append([(g * a.detach())[0].sum((1, 2)) for g, a in zip(gradients, wanted, strict=True)])
        return {name: torch.stack(rows) for name, rows in zip(blocks, zip(*found, strict=True), strict=True)}


@torch.no_grad()
def positions(module: nn.Module, image: Tensor, block: str) -> Tensor:
    """Linear attribution of every position of a block's result to every class: (y * x, class). One tangent each."""
    network = fold(module)
    names = network.blocks()
    above = names[names.index(block) + 1 :]
    part = up_to(network, image, above[0])
    y, x = part.shape[2:]
    number = torch.arange(y * x)
    tangents = torch.zeros(y * x, part.shape[1], y, x).contiguous(memory_format=torch.channels_last)
    tangents[number, :, number // x, number % x] = part[0].flatten(1).T
    values, masks = part, {}
    for name in above:
        values = _primal(network, name, values, masks)
    _primal_unit(network.units["head"], "head", values, masks)
    return torch.cat([_tangents(network, above, chunk, masks) for chunk in tangents.split(TANGENTS)])


def _primal_unit(unit: Unit, name: str, x: Tensor, masks: dict[str, Tensor]) -> Tensor:
    x = unit.linear(x, unit.bias)
    if unit.active:
        masks[name] = ((x > 0) & (x < 6)).to(x.dtype)
        x = x.clamp_(0, 6)
    return x


def _primal(network: Network, block: str, x: Tensor, masks: dict[str, Tensor]) -> Tensor:
    inside = x
    for part in ("expand", "depthwise", "project"):
        inside = _primal_unit(network.units[f"{block}.{part}"], f"{block}.{part}", inside, masks)
    return inside + x if block in network.residual else inside


def _tangents(network: Network, blocks: Sequence[str], x: Tensor, masks: Mapping[str, Tensor]) -> Tensor:
    """(tangent, channel, y, x) -> (tangent, class): the network's derivative at the picture, applied to each."""
    for block in blocks:
        before = x
        for part in ("expand", "depthwise", "project"):
            x = network.units[f"{block}.{part}"].linear(x, None)
            if f"{block}.{part}" in masks:
                x.mul_(masks[f"{block}.{part}"])
        if block in network.residual:
            x.add_(before)
    x = network.units["head"].linear(x, None).mul_(masks["head"])
    return F.linear(x.mean((2, 3)), network.weight)


def integrated_gradients(module: nn.Module, image: Tensor, block: str, index: int, n_steps: int = 50) -> Tensor:
    """Integrated gradients of a class at ``block.expand``: (channel, y, x). The path starts at what the layer is for a
    black picture; what bypasses the layer stays the picture's own; Gauss-Legendre nodes. Captum's conventions.

    One forward of both pictures to the layer; then the network above it alone, forward and backward, for every node.
    """
    network = fold(module)
    x = up_to(network, torch.stack([image, torch.zeros_like(image)]), block)
    with torch.no_grad():
        end, start = network.units[f"{block}.expand"](x).split(1)
    nodes, weights = (torch.from_numpy(each).float() for each in np.polynomial.legendre.leggauss(n_steps))
    total = torch.zeros_like(end)
    for node, weight in zip(nodes.split(POINTS), weights.split(POINTS), strict=True):
        points = (start + (node[:, None, None, None] + 1) / 2 * (end - start)).requires_grad_()
        inside = network.rest(block, x[:1], points)
        for name in network.blocks(block)[1:]:
            inside = network.block(name, inside)
        (gradient,) = torch.autograd.grad(network.scores(inside)[:, index].sum(), points)
        total += torch.einsum("n,ncyx->cyx", weight / 2, gradient)
    return (total * (end - start))[0]


def mixed(
    module: nn.Module, image: Tensor, blocks: Sequence[str], classes: Sequence[int], maps: int, k: int
) -> dict[str, Tensor]:
    """What the 200 elements show: for every block the ``k`` channels most excited (value, index) and, for every class,
    the k with the highest attribution; for the first ``maps`` classes attribution by position.

    Keys ``block``, ``block/class`` and ``block/class/map``. One forward, one cotangent per class.
    """
    found: dict[str, Tensor] = {}
    with captured(fold(module), image, blocks) as (kept, scores):
        wanted = [kept[name] for name in blocks]
        for name, values in kept.items():
            found[name] = _strongest(values.detach()[0].sum((1, 2)), k)
        for place, index in enumerate(classes):
            gradients = torch.autograd.grad(scores[0, index], wanted, retain_graph=place + 1 < len(classes))
            for name, gradient in zip(blocks, gradients, strict=True):
                product = (gradient * kept[name].detach())[0]
                found[f"{name}/{index}"] = _strongest(product.sum((1, 2)), k)
                if place < maps:
                    found[f"{name}/{index}/map"] = product.sum(0)
    return found


def _strongest(values: Tensor, k: int) -> Tensor:
    """(value and index, k)"""
    best = values.topk(k)
    return torch.stack([best.values, best.indices.to(values.dtype)])

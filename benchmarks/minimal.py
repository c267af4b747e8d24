"""The hand-written minimum of every row: plain torch for this one network, with nothing of bbilang but the module.

What somebody writes who knows the network, needs these numbers and nothing else: nothing runs twice, no gradient goes
below the earliest layer or to a weight, and of the ways to the same numbers (`benchmarks/ways.py` has and measures
others) each is the one that was fastest on a CPU.

Values are those of the module as it comes: a folded copy rounds otherwise, a unit of ReLU6 within rounding of its
threshold is then open where it was shut, and gradients move by up to half a percent. The derivative at given values is
linear and has no thresholds, so there batch norms are folded into the convolutions, laid out channels last, and every
cotangent or tangent goes through them as a row of a batch, times the masks of ReLU6, which are found once. Folding is
part of the work and timed with it; it takes 10 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

TANGENTS = 28  # side by side; 14 to 49 are within 15 %
COTANGENTS = 10
POINTS = 25  # of a path
PARTS = ("expand", "depthwise", "project")


@dataclass(frozen=True)
class Unit:
    """The linear part of a unit: a convolution with the scale of its batch norm folded in, no bias."""

    weight: Tensor
    stride: int
    groups: int

    def pads(self, y: int, x: int) -> list[int]:
        """Return TensorFlow's SAME padding: left, right, top, bottom."""
        kernel, pads = self.weight.shape[-1], []
        for size in (x, y):
            total = max((-(-size // self.stride) - 1) * self.stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return pads

    def push(self, x: Tensor) -> Tensor:
        """Push tangents through the unit: (tangent, channel, y, x) -> the same axes."""
        left, right, top, bottom = pads = self.pads(*x.shape[2:])
        if left == right and top == bottom:
            return F.conv2d(x, self.weight, None, self.stride, (top, left), 1, self.groups)
        return F.conv2d(F.pad(x, pads), self.weight, None, self.stride, 0, 1, self.groups)

    def pull(self, gradient: Tensor, y: int, x: int) -> Tensor:
        """Pull cotangents back through the unit, to an input of that size."""
        if self.weight.shape[-1] == 1:
            return F.conv2d(gradient, self.weight.transpose(0, 1).contiguous(memory_format=torch.channels_last))
        left, right, top, bottom = self.pads(y, x)
        even = left == right and top == bottom  # else the padding is cut off afterwards
        size = (y, x) if even else (y + top + bottom, x + left + right)
        like = gradient.new_empty(len(gradient), self.weight.shape[1] * self.groups, *size)
        like = like.contiguous(memory_format=torch.channels_last)
        pulled = torch.ops.aten.convolution_backward(
            gradient, like, self.weight, None, [self.stride] * 2, [top, left] if even else [0, 0], [1, 1], False,
            [0, 0], self.groups, [True, False, False],
        )[0]  # fmt: skip
        return pulled if even else pulled[:, :, top : top + y, left : left + x]


@dataclass(frozen=True)
class Network:
    """The module, its units folded (by name, in order), and the blocks that add their input."""

    module: nn.Module
    units: Mapping[str, Unit]
    residual: frozenset[str]

    def blocks(self, start: str = "", end: str = "") -> list[str]:
        """Return the names of the blocks from ``start`` on, and before ``end``."""
        names = list(dict.fromkeys(name.partition(".")[0] for name in self.units if "." in name))
        return names[names.index(start) if start else 0 : names.index(end) if end else None]

    def parts(self, block: str) -> list[str]:
        return [f"{block}.{part}" for part in PARTS if f"{block}.{part}" in self.units]


@dataclass
class Values:
    """What a forward leaves: masks of ReLU6 (1 or more, channel, y, x) and sizes of inputs by unit, activations of some
    units, and the scores."""

    masks: dict[str, Tensor] = field(default_factory=dict)
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    captured: dict[str, Tensor] = field(default_factory=dict)
    scores: Tensor | None = None


def fold(module: nn.Module, start: str = "block1a") -> Network:
    """Fold the scales of batch norms into the convolutions from a block on, channels last."""
    units, residual, passed = {}, set(), False
    for name, child in module.named_modules():
        passed = passed or name == start
        if hasattr(child, "convolution"):
            weight = child.convolution.weight
            if passed:
                scale = child.norm.weight * (child.norm.running_var + child.norm.eps).rsqrt()
                weight = (weight * scale[:, None, None, None]).contiguous(memory_format=torch.channels_last)
            units[name] = Unit(weight.detach(), child.convolution.stride[0], child.convolution.groups)
        elif getattr(child, "residual", False):
            residual.add(name)
    return Network(module, units, frozenset(residual))


def normalized(image: Tensor) -> Tensor:
    """Normalize (channel, y, x) or (input, channel, y, x) in [0, 1] to (input, channel, y, x) as the network was
    trained on."""
    return ((image if image.dim() == 4 else image[None]) * 255 - 127) / 128


def unit(network: Network, name: str, x: Tensor, values: Values | None, keep: Sequence[str] = ()) -> Tensor:
    """Run a unit of the unchanged model."""
    y = network.module.get_submodule(name)(x)
    if values is not None:
        values.sizes[name] = (x.shape[2], x.shape[3])
        if name in keep:
            values.captured[name] = y
        if not name.endswith("project"):
            mask = (y > 0) & (y < 6)
            values.masks[name] = mask.to(y.dtype).contiguous(memory_format=torch.channels_last)
    return y


def run(network: Network, blocks: Sequence[str], x: Tensor, values: Values | None, keep: Sequence[str] = ()) -> Tensor:
    """Run blocks of the unchanged model one after another."""
    for block in blocks:
        before = x
        for name in network.parts(block):
            x = unit(network, name, x, values, keep)
        x = x + before if block in network.residual else x
    return x


def up_to(network: Network, image: Tensor, block: str) -> Tensor:
    """Return the input of a block."""
    return run(network, network.blocks(end=block), network.module.stem(normalized(image)), None)


def finish(network: Network, x: Tensor, values: Values) -> None:
    """Run from the last block's result to the scores (input, class)."""
    x = unit(network, "head", x, values)
    values.scores = network.module.classifier(x.mean((2, 3)))


def pull(
    network: Network, blocks: Sequence[str], values: Values, cotangents: Tensor, reached: Callable[[str, Tensor], None]
) -> None:
    """Pull cotangents (cotangent, class) back from the scores. Calls ``reached(unit, gradient)`` with (cotangent,
    channel, y, x) at the result of every expansion, from the last to that of the first block, where it ends."""
    gradient = (cotangents @ network.module.classifier.weight)[:, :, None, None] * values.masks["head"]
    gradient = gradient / gradient[0, 0].numel()
    gradient = network.units["head"].pull(gradient.contiguous(memory_format=torch.channels_last), *values.sizes["head"])
    for block in reversed(blocks):
        skipped = gradient if block in network.residual else None
        for name in reversed(network.parts(block)):
            if name.endswith("expand"):
                reached(name, gradient)
                if block == blocks[0]:
                    return
            if name in values.masks:
                gradient.mul_(values.masks[name])  # made by the unit above, or by the sum
            gradient = network.units[name].pull(gradient, *values.sizes[name])
        gradient = gradient if skipped is None else gradient + skipped


@torch.no_grad()
def linear(module: nn.Module, image: Tensor, blocks: Sequence[str], classes: Sequence[int]) -> dict[str, Tensor]:
    """Compute linear attribution of the channels of ``block.expand`` to classes: block -> (class, channel).

    ``blocks`` in forward order. One forward, one cotangent per class.
    """
    slopes: dict[str, list[Tensor]] = {block: [] for block in blocks}
    network, values = forward(module, image, blocks)

    def reached(name: str, gradient: Tensor) -> None:
        if name in values.captured:
            slopes[name.partition(".")[0]].append((gradient * values.captured[name]).sum((2, 3)))

    for hot in F.one_hot(torch.tensor(classes), module.classifier.out_features).float().split(COTANGENTS):
        pull(network, network.blocks(blocks[0]), values, hot, reached)
    return {block: torch.cat(rows) for block, rows in slopes.items()}


def forward(module: nn.Module, image: Tensor, blocks: Sequence[str]) -> tuple[Network, Values]:
    """Run one forward that stores the expansions of blocks, and the masks above the earliest."""
    network, values = fold(module, blocks[0]), Values()
    keep = [f"{block}.expand" for block in blocks]
    x = up_to(network, image, blocks[0])
    finish(network, run(network, network.blocks(blocks[0]), x, values, keep), values)
    for name, captured in values.captured.items():
        values.captured[name] = captured.contiguous(memory_format=torch.channels_last)
    return network, values


@torch.no_grad()
def positions(module: nn.Module, image: Tensor, block: str) -> Tensor:
    """Compute linear attribution of every position of a block's result to every class: (y * x, class). One tangent
    each."""
    network = fold(module)
    names = network.blocks()
    above = names[names.index(block) + 1 :]
    values, part = Values(), up_to(network, image, above[0])
    finish(network, run(network, above, part, values), values)
    y, x = part.shape[2:]
    number = torch.arange(y * x)
    tangents = torch.zeros(y * x, part.shape[1], y, x).contiguous(memory_format=torch.channels_last)
    tangents[number, :, number // x, number % x] = part[0].flatten(1).T
    return torch.cat([push(network, above, values, chunk) for chunk in tangents.split(TANGENTS)])


def push(network: Network, blocks: Sequence[str], values: Values, x: Tensor) -> Tensor:
    """Push (tangent, channel, y, x) -> (tangent, class): the network's derivative at the values, applied to each."""
    for block in blocks:
        before = x
        for name in network.parts(block):
            x = network.units[name].push(x)
            if name in values.masks:
                x.mul_(values.masks[name])
        if block in network.residual:
            x.add_(before)
    x = network.units["head"].push(x).mul_(values.masks["head"])
    return F.linear(x.mean((2, 3)), network.module.classifier.weight)


def integrated_gradients(module: nn.Module, image: Tensor, block: str, index: int, n_steps: int = 50) -> Tensor:
    """Compute integrated gradients of a class at ``block.expand``: (channel, y, x). The path starts at the layer's
    activation on a black picture; what bypasses the layer stays the picture's own; Gauss-Legendre nodes. Captum's
    conventions.

    One forward of both pictures to the layer; then the network above it alone, forward and backward, for every node.
    Masks differ from node to node here, so that torch's own backward is the faster one.
    """
    blocks = [name for name, _ in module.named_children() if name.startswith("block")]
    before, after = blocks[: blocks.index(block)], blocks[blocks.index(block) + 1 :]
    own = module.get_submodule(block)
    with torch.no_grad():
        x = module.stem(normalized(torch.stack([image, torch.zeros_like(image)])))
        for name in before:
            x = module.get_submodule(name)(x)
        end, start = own.expand(x).split(1)
    nodes, weights = (torch.from_numpy(each).float() for each in np.polynomial.legendre.leggauss(n_steps))
    total = torch.zeros_like(end)
    for node, weight in zip(nodes.split(POINTS), weights.split(POINTS), strict=True):
        points = (start + (node[:, None, None, None] + 1) / 2 * (end - start)).requires_grad_()
        inside = own.project(own.depthwise(points))
        inside = inside + x[:1] if own.residual else inside
        for name in after:
            inside = module.get_submodule(name)(inside)
        scores = F.linear(module.head(inside).mean((2, 3)), module.classifier.weight[[index]])
        (gradient,) = torch.autograd.grad(scores.sum(), points)
        total += torch.einsum("n,ncyx->cyx", weight / 2, gradient)
    return (total * (end - start))[0]


@torch.no_grad()
def mixed(
    module: nn.Module, image: Tensor, blocks: Sequence[str], classes: Sequence[int], maps: int, k: int
) -> dict[str, Tensor]:
    """Return what the 200 elements show: for every block the ``k`` channels most excited (value, index) and, for every
    class, the k with the highest attribution; for the first ``maps`` classes attribution by position.

    Keys ``block``, ``block/class`` and ``block/class/map``. One forward, one cotangent per class.
    """
    network, values = forward(module, image, blocks)
    shown = {block: strongest(values.captured[f"{block}.expand"][0].sum((1, 2)), k) for block in blocks}
    places = torch.arange(len(classes)).split(COTANGENTS)

    for some in places:

        def reached(name: str, gradient: Tensor, some: Tensor = some) -> None:
            if name not in values.captured:
                return
            block = name.partition(".")[0]
            product = gradient * values.captured[name]
            for number, one, sums in zip(some.tolist(), product, product.sum((2, 3)), strict=True):
                shown[f"{block}/{classes[number]}"] = strongest(sums, k)
                if number < maps:
                    shown[f"{block}/{classes[number]}/map"] = one.sum(0)

        hot = F.one_hot(torch.tensor(classes)[some], module.classifier.out_features).float()
        pull(network, network.blocks(blocks[0]), values, hot, reached)
    return shown


def strongest(values: Tensor, k: int) -> Tensor:
    """Return (value and index, k)."""
    best = values.topk(k)
    return torch.stack([best.values, best.indices.to(values.dtype)])

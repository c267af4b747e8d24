"""The operations of a `FusedRun`: each runs forward, keeps what its derivative needs, and pulls a gradient back.

Values are float32 or bfloat16 on a CPU, channels last where they have rows and columns. oneDNN applies ReLU and ReLU6
while it writes the result of a convolution, and a convolution of 1 x 1 pixels is one product of matrices over all
positions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.fx.node import Node

from bbilang.runtime.passes.autograd import grad
from bbilang.runtime.passes.module.gates import Gate, GateState, gradient_before
from bbilang.runtime.passes.same_padding import SameConv2d

LAST = torch.channels_last
FOLDED = 4  # input channels up to which the gradient of a strided convolution is summed up patch by patch
After = tuple[str, list[float], str]  # what oneDNN does with each number of a result
Parts = list[tuple[Tensor, bool]]  # for each source its gradient, and whether nothing else holds that tensor


def available() -> bool:
    """Return whether this torch has oneDNN's operations: not on every platform."""
    names = ("_convolution_pointwise", "_linear_pointwise")
    return torch.backends.mkldnn.is_available() and all(hasattr(torch.ops.mkldnn, name) for name in names)


@dataclass
class Kept:
    """What one run keeps for its backward. ``rows``: see `Runner.through_relu`. ``only``: the one channel (batch,) of
    the result that the loss depends on; None for all."""

    rows: Tensor | bool
    only: Tensor | None = None
    by: dict[Step, Any] = field(default_factory=dict)


class Step:
    """An operation: ``node`` gives its result, ``sources`` are the nodes that the gradient goes on to. Its values have
    the type of its inputs; ``full``: it takes float32 alone."""

    full = False

    def __init__(self, node: Node, sources: Sequence[Node]):
        self.node, self.sources = node, tuple(sources)

    def forward(self, inputs: Sequence[Tensor], kept: Kept) -> Tensor:
        """Return the result of the sources' values, and keep what the backward needs."""
        raise NotImplementedError

    def backward(self, gradient: Tensor, own: bool, kept: Kept) -> Parts:
        """Return the gradient at each source. ``own``: the given one may be overwritten."""
        raise NotImplementedError


@dataclass(frozen=True)
class Clamp:
    """ReLU or ReLU6: its gate, and the name and numbers that oneDNN has for it."""

    gate: Gate
    name: str
    numbers: tuple[float, ...]

    @classmethod
    def of(cls, gate: Gate) -> Clamp | None:
        if gate.function is F.relu:
            return cls(gate, "relu", ())
        return cls(gate, "hardtanh", (0.0, 6.0)) if gate.function is F.relu6 else None

    def before(self, result: Tensor, gradient: Tensor, own: bool, rows: Tensor | bool) -> Tensor:
        """Return the gradient before it, by its result: that is at a limit exactly where the value is beyond."""
        out = gradient if own and rows is False else torch.empty_like(gradient)
        if self.numbers:
            torch.ops.aten.hardtanh_backward.grad_input(gradient, result, *self.numbers, grad_input=out)
        else:
            torch.ops.aten.threshold_backward.grad_input(gradient, result, 0, grad_input=out)
        if rows is False or _some_everywhere(out):
            return out
        return gradient_before(result, gradient, self.gate, rows, GateState())


def _some_everywhere(gradient: Tensor) -> bool:
    """Return whether a row in the middle of each picture shows that the gate is not shut for it."""
    middle = gradient[:, :, gradient.shape[2] // 2] if gradient.dim() == 4 else gradient
    return bool((middle != 0).flatten(1).any(1).all())


@dataclass(frozen=True)
class Kernel:
    """What a convolution multiplies with; ``back``: the kernel of its transpose, where that is a convolution."""

    weight: Tensor
    bias: Tensor | None
    back: Tensor | None

    def to(self, kind: torch.dtype) -> Kernel:
        return Kernel(*(None if each is None else each.to(kind) for each in (self.weight, self.bias, self.back)))  # type: ignore[arg-type]


class Linear(Step):
    """A step that is linear but for the clamp after it."""

    def __init__(self, node: Node, source: Node, kernel: Kernel):
        super().__init__(node, (source,))
        self._kernels = {torch.float32: kernel}
        self._set(None)

    def kernel(self, like: Tensor) -> Kernel:
        """Return the kernel in the type of a tensor."""
        if like.dtype not in self._kernels:
            self._kernels[like.dtype] = self._kernels[torch.float32].to(like.dtype)
        return self._kernels[like.dtype]

    def _set(self, clamp: Clamp | None) -> None:
        self.clamp = clamp
        self.after: After = ("none", [], "") if clamp is None else (clamp.name, list(clamp.numbers), "")

    def with_clamp(self, node: Node, clamp: Clamp) -> Linear:
        """Return this step with a clamp after it, whose node gives its result now."""
        step = copy(self)
        step.node = node
        step._set(clamp)
        return step

    def forward(self, inputs: Sequence[Tensor], kept: Kept) -> Tensor:
        """Return the result, with the clamp."""
        result = self.apply(inputs[0])
        if self.clamp is not None:
            kept.by[self] = result
        return result

    def backward(self, gradient: Tensor, own: bool, kept: Kept) -> Parts:
        if self.clamp is not None:
            gradient = self.clamp.before(kept.by.pop(self), gradient, own, kept.rows)
        return [(self.transposed(gradient), True)]

    def apply(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def transposed(self, gradient: Tensor) -> Tensor:
        raise NotImplementedError


class Pointwise(Linear):
    """A convolution of 1 x 1 pixels. Of the last one of a run only one channel of each picture may be needed."""

    def __init__(self, node: Node, source: Node, module: nn.Conv2d):
        weight = module.weight.detach().flatten(1).contiguous()
        super().__init__(node, source, Kernel(weight, _bias(module), weight.T.contiguous()))

    def apply(self, x: Tensor) -> Tensor:
        """Return the convolution of x, with the clamp."""
        kernel = self.kernel(x)
        return _by_pixel(
            x, lambda pixels: torch.ops.mkldnn._linear_pointwise(pixels, kernel.weight, kernel.bias, *self.after)
        )

    def transposed(self, gradient: Tensor) -> Tensor:
        """Return the gradient at the input."""
        back = self.kernel(gradient).back
        return _by_pixel(
            gradient, lambda pixels: torch.ops.mkldnn._linear_pointwise(pixels, back, None, "none", [], "")
        )

    def one_channel(self, x: Tensor, only: Tensor) -> Tensor:
        """Return (picture, 1, y, x) of float32: of each picture its own channel, without the clamp."""
        kernel = self._kernels[torch.float32]
        result = torch.bmm(x.float().permute(0, 2, 3, 1).flatten(1, 2), kernel.weight[only][:, :, None])
        if kernel.bias is not None:
            result += kernel.bias[only][:, None, None]
        return result.view(len(x), 1, *x.shape[2:])

    def one_channel_transposed(self, gradient: Tensor, only: Tensor) -> Tensor:
        rows = gradient.flatten(1)[:, :, None] * self._kernels[torch.float32].weight[only][:, None]
        return rows.unflatten(1, gradient.shape[2:]).permute(0, 3, 1, 2)


def _bias(module: nn.Conv2d) -> Tensor | None:
    return None if module.bias is None else module.bias.detach()


def _by_pixel(x: Tensor, work: Callable[[Tensor], Tensor]) -> Tensor:
    pictures, channels, height, width = x.shape
    result = work(x.permute(0, 2, 3, 1).reshape(-1, channels))
    return result.view(pictures, height, width, -1).permute(0, 3, 1, 2)


class Convolution(Linear):
    """Any other convolution; ``pads``: entries (before, after) of y and of x. Unequal ones are zeros in front of a
    kernel by channel, else a padded copy of the input."""

    def __init__(
        self, node: Node, source: Node, module: nn.Conv2d, pads: Sequence[tuple[int, int]], x: Tensor
    ):  # fmt: skip
        self.size = tuple(x.shape[1:])
        self.stride, self.dilation, self.groups = list(module.stride), list(module.dilation), module.groups
        self.around: list[int] | None = None
        weight = module.weight.detach()
        if all(a == b for a, b in pads):
            self.padding = [a for a, _ in pads]
        elif module.groups == module.in_channels and self.dilation == [1, 1] and all(a <= b for a, b in pads):
            self.padding = [b for _, b in pads]
            weight = F.pad(weight, [p for a, b in reversed(pads) for p in (b - a, 0)])
        else:
            self.padding, self.around = [0, 0], [p for pair in reversed(pads) for p in pair]
        super().__init__(node, source, Kernel(weight, _bias(module), self._flipped(weight, module)))

    def _flipped(self, weight: Tensor, module: nn.Conv2d) -> Tensor | None:
        """Return the kernel of the transposed convolution, where that is a convolution of the same padding."""
        spans = [d * (k - 1) for d, k in zip(self.dilation, weight.shape[2:], strict=True)]
        if self.around is not None or self.stride != [1, 1] or spans != [2 * p for p in self.padding]:
            return None
        kernel = weight.flip(2, 3)
        if self.groups == 1:
            return kernel.transpose(0, 1).contiguous()
        return kernel.contiguous() if self.groups == module.in_channels == module.out_channels else None

    def apply(self, x: Tensor) -> Tensor:
        kernel = self.kernel(x)
        x = (x if self.around is None else F.pad(x, self.around)).contiguous(memory_format=LAST)
        return self._convolve(x, kernel.weight, kernel.bias, self.after)

    def _convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None, after: After) -> Tensor:
        result: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, weight, bias, self.padding, self.stride, self.dilation, self.groups, *after
        )
        return result

    def transposed(self, gradient: Tensor) -> Tensor:
        """Return the gradient at the input, in the type of the given one."""
        kernel = self.kernel(gradient)
        if kernel.back is not None:
            return self._convolve(gradient, kernel.back, None, ("none", [], ""))
        channels, height, width = self.size
        left, right, top, bottom = self.around or (0, 0, 0, 0)
        wide = height + top + bottom, width + left + right
        if self.groups == 1 and channels <= FOLDED:
            return self._folded(gradient, wide)[:, :, top : top + height, left : left + width]
        kind = gradient.dtype
        if self.groups > 1:  # oneDNN has no strided backward by channel in bfloat16
            gradient, kernel = gradient.float(), self._kernels[torch.float32]
        # of the input, its shape, type and layout matter
        like = torch.empty((len(gradient), channels, *wide), dtype=gradient.dtype, memory_format=LAST)
        whole, _, _ = torch.ops.aten.convolution_backward(
            gradient, like, kernel.weight, None, self.stride, self.padding, self.dilation, False, [0, 0], self.groups,
            (True, False, False),
        )  # fmt: skip
        return whole[:, :, top : top + height, left : left + width].to(kind)  # type: ignore[no-any-return]

    def _folded(self, gradient: Tensor, wide: tuple[int, int]) -> Tensor:
        """Return the gradient of few channels as a sum of patches, contiguous: torch's takes twice the time."""
        weight = self.kernel(gradient).weight
        patches = weight.flatten(1).T @ gradient.permute(0, 2, 3, 1).flatten(1, 2).mT
        window = tuple(weight.shape[2:]), tuple(self.dilation), tuple(self.padding), tuple(self.stride)
        return F.fold(patches, wide, *window)


def convolution_step(node: Node, source: Node, module: nn.Conv2d, x: Tensor) -> Pointwise | Convolution | None:
    """Return the step of a convolution of ``x``; None where its padding is not of zeros, or not known."""
    if module.padding_mode != "zeros" or module.weight.dtype != torch.float32 or x.dim() != 4:
        return None
    if isinstance(module, SameConv2d):
        pads = module.padding_of(x)
    elif isinstance(module.padding, str):
        return None
    else:
        (y, x_) = module.padding
        pads = (y, y), (x_, x_)
    plain = module.kernel_size == module.stride == (1, 1) and module.groups == 1
    if plain and not any(map(any, pads)):
        return Pointwise(node, source, module)
    return Convolution(node, source, module, pads, x)


class Clamped(Step):
    """A ReLU or ReLU6 that is not part of a convolution."""

    def __init__(self, node: Node, source: Node, clamp: Clamp):
        super().__init__(node, (source,))
        self.clamp = clamp

    def forward(self, inputs: Sequence[Tensor], kept: Kept) -> Tensor:
        """Return the clamped value."""
        kept.by[self] = self.clamp.gate.function(inputs[0])
        return kept.by[self]

    def backward(self, gradient: Tensor, own: bool, kept: Kept) -> Parts:
        return [(self.clamp.before(kept.by.pop(self), gradient, own, kept.rows), True)]


class Sum(Step):
    """The sum of two values of one shape."""

    def forward(self, inputs: Sequence[Tensor], kept: Kept) -> Tensor:
        """Return the sum."""
        return inputs[0] + inputs[1]

    def backward(self, gradient: Tensor, own: bool, kept: Kept) -> Parts:
        return [(gradient, False), (gradient, False)]


class ByAutograd(Step):
    """An operation without a rule: ``work`` maps the sources to its result, and autograd differentiates it alone."""

    full = True

    def __init__(self, node: Node, sources: Sequence[Node], work: Callable[[Sequence[Tensor]], Tensor]):
        super().__init__(node, sources)
        self.work = work

    def forward(self, inputs: Sequence[Tensor], kept: Kept) -> Tensor:
        """Return the result, and keep its graph."""
        with torch.enable_grad():
            points = [x.detach().requires_grad_() for x in inputs]
            result = self.work(points)
        kept.by[self] = points, result
        return result.detach()

    def backward(self, gradient: Tensor, own: bool, kept: Kept) -> Parts:
        points, result = kept.by.pop(self)
        parts = grad(result, points, gradient, allow_unused=True) if result.requires_grad else [None] * len(points)
        return [(torch.zeros_like(x) if part is None else part, False) for x, part in zip(points, parts, strict=True)]

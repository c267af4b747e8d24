"""The slow twins of `benchmarks.zoo`: hooks, `torch.autograd.grad` and loops, one row at a time.

torch 2.13's own backward of a batch norm in eval mode is wrong on the CPU where the gradient's memory is in the order
of tokens, also in float64, so theirs is written out (`right_batch_norm`). Their forward stays torch's own: another
rounding would put activations on the other side of a kink.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.zoo_networks import Network


class BatchNorm(torch.autograd.Function):
    """torch's own forward, to the bit, and the derivative that it has: a factor for each channel."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, factor: Tensor) -> Tensor:
        ctx.save_for_backward(factor)
        return y.detach().clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        return gradient * ctx.saved_tensors[0], None, None


@contextmanager
def right_batch_norm() -> Iterator[None]:
    """Make batch norms with running statistics differentiable as the linear maps that they are, inside the context."""
    own = F.batch_norm

    def norm(x: Tensor, mean: Any, variance: Any, weight: Any = None, bias: Any = None, training: bool = False,
             momentum: float = 0.1, eps: float = 1e-5) -> Tensor:  # fmt: skip
        y = own(x, mean, variance, weight, bias, training, momentum, eps)
        if training or mean is None or not x.requires_grad:
            return y
        factor = (variance + eps).rsqrt() * (1 if weight is None else weight)
        return BatchNorm.apply(x, y, factor.detach().view(1, -1, *[1] * (x.dim() - 2)))

    F.batch_norm = norm
    try:
        yield
    finally:
        F.batch_norm = own


def at_input(network: Network, module: nn.Module, x: Tensor) -> Tensor:
    """Compute x * d score / d x, summed over colours: (y, x)."""
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network.scores(module, x)[0, network.target], x)
    return (x * gradient)[0].sum(0)


def occlusion(network: Network, module: nn.Module, x: Tensor, window: int) -> Tensor:
    """Return how much the score falls when a window is black, at each of its positions: (y, x)."""
    heat = torch.zeros_like(x[0, 0])
    with torch.no_grad():
        whole = network.scores(module, x)[0, network.target]
        for top in range(0, x.shape[2], window):
            for left in range(0, x.shape[3], window):
                hidden = x.clone()
                hidden[:, :, top : top + window, left : left + window] = 0
                fall = whole - network.scores(module, hidden)[0, network.target]
                heat[top : top + window, left : left + window] = fall
    return heat


def at_layer(network: Network, module: nn.Module, x: Tensor, path: str, atom: str, steps: int = 0) -> Tensor:
    """Compute the contribution of each channel or token of a layer: activation x gradient, or for some ``steps`` the
    mean gradient on the path from the layer's activation on a black picture, at its end points on the right."""
    own, gradient = visit(network, module, x, path)
    if steps:
        start, _ = visit(network, module, network.baseline(x), path)
        ways = [start + (own - start) * (k + 1) / steps for k in range(steps)]
        gradient = torch.stack([visit(network, module, x, path, way)[1] for way in ways]).mean(0)
        own = own - start
    product = (own * gradient)[0]
    if atom == "token" or product.dim() == 2:
        return product.sum(1 if atom == "token" else 0)
    channel_last = network.channel_last(module, path)
    return product.sum((0, 1) if channel_last else (1, 2))


def visit(network: Network, module: nn.Module, x: Tensor, path: str, put: Tensor | None = None) -> Any:
    """Return (activation, d score / d activation) of a layer, each (1, ...); ``put`` replaces its result."""
    seen: list[Tensor] = []

    def hook(_: nn.Module, arguments: Any, result: Any) -> Any:
        seen.append((first(result) if put is None else put).detach().clone().requires_grad_())
        return replaced(result, seen[0].clone())

    handle = module.get_submodule(path).register_forward_hook(hook)
    try:
        score = network.scores(module, x)[0, network.target]
        (gradient,) = torch.autograd.grad(score, seen[0])
    finally:
        handle.remove()
    return seen[0].detach(), gradient


def first(result: Any) -> Tensor:
    """Return the tensor of a module's result; for a record or tuple, the first."""
    if isinstance(result, Tensor):
        return result
    return first(next(iter(result.values() if isinstance(result, Mapping) else result)))


def replaced(result: Any, tensor: Tensor) -> Any:
    """Return the result with its first tensor replaced."""
    if isinstance(result, Tensor):
        return tensor
    if isinstance(result, Mapping):
        key = next(iter(result))
        result[key] = replaced(result[key], tensor)
        return result
    return type(result)([replaced(result[0], tensor), *result[1:]])

"""Convolutions with groups that can be differentiated twice in reasonable time.

torch 2.13 on the CPU takes the second derivative of such a convolution group by group: of a depthwise one that is a
small convolution for each channel, and takes longer than all the rest of the network. A convolution is linear in its
input and in its weights, so that its two gradients and theirs are again one of three operations on whole layers.

A `torch.autograd.Function` does not know which gradients a call of `torch.autograd.grad` asks for, and the gradient by
the weights is the dearest. `TwiceDifferentiable.without_weights` says that nobody asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

Steps = int | Sequence[int]

ROUTED = (torch.conv1d, torch.conv2d, functional.conv1d, functional.conv2d)


@dataclass
class Asked:
    """Whether the backward pass that runs has to give the gradient by the weights."""

    weights: bool = True


@dataclass(frozen=True)
class Geometry:
    """How a convolution steps over its input."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int


class _Context(Protocol):
    needs_input_grad: tuple[bool, ...]
    saved_tensors: tuple[Tensor, ...]
    geometry: Geometry
    asked: Asked

    def save_for_backward(self, *tensors: Tensor) -> None: ...


class _Result(torch.autograd.Function):
    """images, weights -> result."""

    @staticmethod
    def forward(context: _Context, images: Tensor, weights: Tensor, own: Geometry, asked: Asked) -> Tensor:
        context.save_for_backward(images, weights)
        context.geometry, context.asked = own, asked
        zeros = [0] * len(own.stride)
        return torch.convolution(images, weights, None, own.stride, own.padding, own.dilation, False, zeros, own.groups)

    @staticmethod
    def backward(context: _Context, result: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        images, weights = context.saved_tensors
        to_images, to_weights, *_ = context.needs_input_grad
        own, asked = context.geometry, context.asked
        return (
            _Images.apply(result, weights, images.shape, own, asked) if to_images else None,
            _Weights.apply(result, images, weights.shape, own, asked) if to_weights and asked.weights else None,
            None,
            None,
        )


class _Images(torch.autograd.Function):
    """result, weights -> the gradient by the images."""

    @staticmethod
    def forward(
        context: _Context, result: Tensor, weights: Tensor, shape: torch.Size, own: Geometry, asked: Asked
    ) -> Tensor:
        context.save_for_backward(result, weights)
        context.geometry, context.asked = own, asked
        return _gradient(result, result.new_empty(()).expand(shape), weights, own, 0)

    @staticmethod
    def backward(context: _Context, images: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        result, weights = context.saved_tensors
        to_result, to_weights, *_ = context.needs_input_grad
        own, asked = context.geometry, context.asked
        return (
            _Result.apply(images, weights, own, asked) if to_result else None,
            _Weights.apply(result, images, weights.shape, own, asked) if to_weights and asked.weights else None,
            None,
            None,
            None,
        )


class _Weights(torch.autograd.Function):
    """result, images -> the gradient by the weights."""

    @staticmethod
    def forward(
        context: _Context, result: Tensor, images: Tensor, shape: torch.Size, own: Geometry, asked: Asked
    ) -> Tensor:
        context.save_for_backward(result, images)
        context.geometry, context.asked = own, asked
        if _depthwise_and_wide(result, shape, own):
            return _correlated(result, images, shape, own)
        return _gradient(result, images, result.new_empty(()).expand(shape), own, 1)

    @staticmethod
    def backward(context: _Context, weights: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        result, images = context.saved_tensors
        to_result, to_images, *_ = context.needs_input_grad
        own, asked = context.geometry, context.asked
        return (
            _Result.apply(images, weights, own, asked) if to_result else None,
            _Images.apply(result, weights, images.shape, own, asked) if to_images else None,
            None,
            None,
            None,
        )


def _gradient(result: Tensor, images: Tensor, weights: Tensor, own: Geometry, which: int) -> Tensor:
    found: tuple[Tensor, ...] = torch.ops.aten.convolution_backward(
        result, images, weights, None, own.stride, own.padding, own.dilation, False, [0] * len(own.stride), own.groups,
        [which == 0, which == 1, False],
    )  # fmt: skip
    return found[which]


def _depthwise_and_wide(result: Tensor, shape: torch.Size, own: Geometry) -> bool:
    """Return whether `_correlated` is the faster way to the gradient by the weights, several times for 5 x 5."""
    return result.device.type == "cpu" and shape[:2] == (own.groups, 1) and len(shape) == 4 and min(shape[2:]) > 3


def _correlated(result: Tensor, images: Tensor, shape: torch.Size, own: Geometry) -> Tensor:
    """Return the gradient by depthwise weights: each channel of each example, convolved with its own gradient."""
    rows = len(images) * own.groups
    found = functional.conv2d(
        images.reshape(1, rows, *images.shape[2:]), result.reshape(rows, 1, *result.shape[2:]), None, own.dilation,
        own.padding, own.stride, rows,
    )  # fmt: skip
    return found[0, :, : shape[2], : shape[3]].unflatten(0, (-1, own.groups)).sum(0).unsqueeze(1)


class TwiceDifferentiable(TorchFunctionMode):
    """Inside, convolutions with groups run as `_Result`."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = Asked()

    @contextmanager
    def without_weights(self) -> Iterator[None]:
        """Leave out gradients by the weights of these convolutions."""
        before, self.asked.weights = self.asked.weights, False
        try:
            yield
        finally:
            self.asked.weights = before

    def __torch_function__(
        self,
        function: Callable[..., object],
        types: Sequence[type],
        arguments: Sequence[object] = (),
        named: Mapping[str, object] | None = None,
    ) -> object:
        named = named or {}
        if function in ROUTED and torch.is_grad_enabled():
            return self._routed(function, *arguments, **named)  # type: ignore[arg-type]
        return function(*arguments, **named)

    def _routed(
        self,
        function: Callable[..., Tensor],
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Steps = 1,
        padding: Steps | str = 0,
        dilation: Steps = 1,
        groups: int = 1,
    ) -> Tensor:
        dims = weight.dim() - 2
        if groups == 1 or isinstance(padding, str) or input.dim() != weight.dim():
            return function(input, weight, bias, stride, padding, dilation, groups)
        geometry = Geometry(_each(stride, dims), _each(padding, dims), _each(dilation, dims), groups)
        result: Tensor = _Result.apply(input, weight, geometry, self.asked)
        return result if bias is None else result + bias.view(-1, *[1] * dims)


def _each(value: Steps, dims: int) -> tuple[int, ...]:
    return (value,) * dims if isinstance(value, int) else tuple(value) * (dims if len(value) == 1 else 1)

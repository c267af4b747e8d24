"""The linear map from the channels of one layer to those of another, as one convolution, and how maps are composed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor

Pair: TypeAlias = tuple[int, int]  # of y, of x
POSITIONS, MEAN, WHOLE = "positions", "mean", "whole"  # what one output is made of: see `LinearMap.reads`
MOST_NUMBERS = 1 << 26  # of a map: half a gigabyte


class TooLarge(Exception):
    """A map has too many numbers. Raised with their count."""


@dataclass(frozen=True)
class LinearMap:
    """A map of tensors: result[c, p] = sum of kernel[c, f, k] * input[f, p * stride + start + k] over f and k.

    kernel: (channel, from, y, x), float64. ``axes``: names of the result's axes after the first, in order; ``flat``
    where channels and positions were joined. ``reads``: `positions` around each of the result's own; `mean` over all
    positions, where the kernel is what that mean is multiplied with; `whole`, all positions, each with its own weight.
    Edges, where padding takes the place of positions, are left out of account.
    """

    kernel: Tensor
    axes: tuple[str, ...]
    start: Pair = (0, 0)
    stride: Pair = (1, 1)
    reads: str = POSITIONS

    @property
    def channels(self) -> int:
        return self.kernel.shape[0]

    @classmethod
    def identity(cls, channels: int, axes: Sequence[str]) -> LinearMap:
        return cls(torch.eye(channels, dtype=torch.float64)[:, :, None, None], tuple(axes))

    def convolved(
        self, weight: Tensor, stride: Pair = (1, 1), before: Pair = (0, 0), dilation: Pair = (1, 1), groups: int = 1
    ) -> LinearMap:
        """Return the map followed by a convolution. weight: (channel, from / groups, y, x); before: entries of padding
        before y and before x."""
        channels, sources, (high, wide) = self.channels, self.kernel.shape[1], self.kernel.shape[2:]
        step = (dilation[0] * self.stride[0], dilation[1] * self.stride[1])
        size = (high + step[0] * (weight.shape[2] - 1), wide + step[1] * (weight.shape[3] - 1))
        check_size(weight.shape[0], sources, *size)
        own = self.kernel.reshape(groups, channels // groups, -1)
        weight = weight.detach().to(own)
        result = own.new_zeros(weight.shape[0], sources, *size)
        for y in range(weight.shape[2]):
            for x in range(weight.shape[3]):
                part = weight[:, :, y, x].reshape(groups, weight.shape[0] // groups, -1) @ own
                rows, columns = slice(y * step[0], y * step[0] + high), slice(x * step[1], x * step[1] + wide)
                result[:, :, rows, columns] += part.reshape(weight.shape[0], sources, high, wide)
        start = (self.start[0] - before[0] * self.stride[0], self.start[1] - before[1] * self.stride[1])
        strides = (self.stride[0] * stride[0], self.stride[1] * stride[1])
        return replace(self, kernel=result, start=start, stride=strides)

    def scaled(self, factor: Tensor | float) -> LinearMap:
        """Return the map times one number, or times one number for each channel."""
        if isinstance(factor, Tensor):
            factor = factor.detach().to(self.kernel).reshape(-1, 1, 1, 1)
        return replace(self, kernel=self.kernel * factor)

    def averaged(self) -> LinearMap:
        """Return the map followed by the mean over all positions."""
        return replace(self, kernel=self.kernel.sum((2, 3), keepdim=True), start=(0, 0), stride=(1, 1), reads=MEAN)

    def selected(self, channels: slice | Tensor) -> LinearMap:
        """Return the map to some of the channels."""
        return replace(self, kernel=self.kernel[channels])

    def zeros(self, channels: int) -> LinearMap:
        """Return a map to so many channels that do not depend on the input."""
        return replace(self, kernel=self.kernel.new_zeros(channels, *self.kernel.shape[1:]))

    def fits(self, other: LinearMap) -> bool:
        """Return whether the two maps have results of the same kind, which can be added or joined."""
        return (self.axes, self.stride, self.reads) == (other.axes, other.stride, other.reads)


def check_size(*shape: int) -> None:
    count = torch.Size(shape).numel()
    if count > MOST_NUMBERS:
        raise TooLarge(count)


def aligned(maps: Sequence[LinearMap]) -> list[LinearMap]:
    """Return maps that fit, with the kernels of all padded to one window."""
    low = [min(m.start[i] for m in maps) for i in (0, 1)]
    high = [max(m.start[i] + m.kernel.shape[2 + i] for m in maps) for i in (0, 1)]
    check_size(sum(m.channels for m in maps), maps[0].kernel.shape[1], high[0] - low[0], high[1] - low[1])
    padded = []
    for m in maps:
        ends = [(m.start[i] - low[i], high[i] - m.start[i] - m.kernel.shape[2 + i]) for i in (1, 0)]
        kernel = torch.nn.functional.pad(m.kernel, [*ends[0], *ends[1]])
        padded.append(replace(m, kernel=kernel, start=(low[0], low[1])))
    return padded


def added(maps: Sequence[LinearMap]) -> LinearMap:
    """Return the sum of maps to the same channels."""
    first, *others = aligned(maps)
    kernel = first.kernel
    for other in others:
        kernel = kernel + other.kernel
    return replace(first, kernel=kernel)


def joined(maps: Sequence[LinearMap]) -> LinearMap:
    """Return the map to the channels of several, one after the other."""
    every = aligned(maps)
    return replace(every[0], kernel=torch.cat([m.kernel for m in every]))

"""TensorFlow's SAME padding, which is asymmetric, for convolutions and max pools of any input size."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the entries added before and after an axis of ``size`` so that it gives ceil(size / stride) outputs; the
    odd one goes after (TensorFlow, "Neural Network: Convolution", padding SAME)."""
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    """A convolution with SAME padding: (input, channel, y, x) -> (input, channel, ceil(y / stride), ceil(x / stride)).

    ``padding`` stays 0; ``padding_of`` gives what an input of that size gets.
    """

    def padding_of(self, x: Tensor) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return (before, after) of y and of x."""
        (ky, kx), (sy, sx) = self.kernel_size, self.stride
        return same_padding(x.shape[-2], ky, sy), same_padding(x.shape[-1], kx, sx)

    def forward(self, x: Tensor) -> Tensor:
        (top, bottom), (left, right) = self.padding_of(x)
        if top == bottom and left == right:  # without a copy of the input
            return F.conv2d(x, self.weight, self.bias, self.stride, (top, left), self.dilation, self.groups)
        padded = F.pad(x, (left, right, top, bottom))
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class SameMaxPool2d(nn.MaxPool2d):
    """A max pool with SAME padding, whose padding never wins: (input, channel, y, x) -> the same axes, divided.

    PyTorch pads with minus infinity: ``padding`` entries before, and with ``ceil_mode`` what is missing after. So an
    average pool called with ``padding_of(x)``, ``ceil_mode=True`` and ``count_include_pad=False`` has the same windows.
    """

    def __init__(self, kernel_size: int, stride: int):
        super().__init__(kernel_size, stride, ceil_mode=True)

    def padding_of(self, x: Tensor) -> tuple[int, int]:
        """Return the entries before y and before x."""
        kernel, stride = self.kernel_size, self.stride
        assert isinstance(kernel, int) and isinstance(stride, int)
        return same_padding(x.shape[-2], kernel, stride)[0], same_padding(x.shape[-1], kernel, stride)[0]

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, self.kernel_size, self.stride, self.padding_of(x), ceil_mode=True)

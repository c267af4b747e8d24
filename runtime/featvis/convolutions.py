"""Convolutions of a copied network in forms that cost less on a CPU, with the same values up to rounding; for networks
that cannot run as fused operations (`passes/explicit/fused_run.py`).

On EfficientNet-Lite0 up to `block5c.expand` (8 pictures of 96 px, one core, forward and backward, alternating runs)
both together take 8 % less processor time of a step.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bbilang.runtime.passes.autograd import Saved
from bbilang.runtime.passes.same_padding import SameConv2d


class _Product(torch.autograd.Function):
    """One product of matrices over all positions of all pictures. Its result is no view of another tensor, so that an
    activation may work in place on it."""

    @staticmethod
    def forward(context: Saved, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        context.save_for_backward(weight)
        return _product(x, weight.T, bias)

    @staticmethod
    def backward(context: Saved, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (weight,) = context.saved_tensors
        return _product(gradient, weight, None), None, None


def _product(x: Tensor, matrix: Tensor, bias: Tensor | None) -> Tensor:
    """Return (picture, columns, y, x), channels last, of x (picture, rows, y, x) and a matrix (rows, columns)."""
    pictures, rows, *grid = x.shape
    columns = matrix.shape[1]
    result = torch.empty((pictures, columns, *grid), dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    flat, out = x.permute(0, 2, 3, 1).reshape(-1, rows), result.permute(0, 2, 3, 1).view(-1, columns)
    if bias is None:
        torch.mm(flat, matrix, out=out)
    else:
        torch.addmm(bias, flat, matrix, out=out)
    return result


class _Pointwise(nn.Conv2d):
    """A convolution of 1 x 1 pixels whose weights get no gradient."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() != 4:
            return super().forward(x)
        result: Tensor = _Product.apply(x, self.weight[:, :, 0, 0], self.bias)
        return result


class _Extended(SameConv2d):
    """A convolution by channel with SAME padding that is larger after an axis than before it: zeros before the kernel
    in place of a padded copy of the input."""

    def forward(self, x: Tensor) -> Tensor:
        (top, bottom), (left, right) = self.padding_of(x)
        kernel = F.pad(self.weight, (right - left, 0, bottom - top, 0))
        return F.conv2d(x, kernel, self.bias, self.stride, (bottom, right), self.dilation, self.groups)


def quicken(module: nn.Module) -> None:
    """Give convolutions of a module cheaper forwards, in place. Those of other classes, whose forward may differ, stay
    as they are."""
    for each in module.modules():
        if type(each) not in (nn.Conv2d, SameConv2d) or "forward" in vars(each):
            continue
        assert isinstance(each, nn.Conv2d)
        plain = each.padding_mode == "zeros" and each.dilation == (1, 1)
        if plain and each.kernel_size == each.stride == (1, 1) and each.groups == 1 and _unpadded(each):
            each.__class__ = _Pointwise
        elif plain and isinstance(each, SameConv2d) and each.stride != (1, 1) and each.groups == each.in_channels:
            each.__class__ = _Extended


def _unpadded(convolution: nn.Conv2d) -> bool:
    return convolution.padding in ((0, 0), "same", "valid")

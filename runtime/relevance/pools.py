"""Max pools with a modified backward: distributed over the window, or smooth (Olah et al., Distill 2018)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from bbilang.runtime.passes.autograd import Saved

Pair = tuple[int, int]  # (y, x)
Size = int | tuple[int, ...] | list[int]
Geometry = tuple[Pair, Pair, Pair, bool]  # window, stride, padding, ceil_mode
BLEND = ((0.0625, 0.125, 0.0625), (0.125, 0.25, 0.125), (0.0625, 0.125, 0.0625))


class Pools(TorchFunctionMode):
    """A mode in which every two-dimensional max pool without dilation has the backward of ``kind``.

    relaxed_pool: a window's gradient goes to its inputs in proportion to their activation, 0 where none is positive.
    smooth_pool: the gradient of avgpool(x^2) / (.01 + avgpool(|x|)). With ``checkerboard`` each result is blended
    with its neighbours, which are 0 beyond the border.
    """

    def __init__(self, kind: str, checkerboard: bool):
        super().__init__()
        self.kind, self.checkerboard = kind, checkerboard

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        kwargs = dict(kwargs or {})
        if func in (F.max_pool2d, torch.max_pool2d) and not kwargs.get("return_indices"):
            kwargs.pop("return_indices", None)
            x, dilation, geometry = _geometry(*args, **kwargs)
            if dilation == (1, 1) and x.requires_grad:
                return _Pool.apply(x, self.kind, self.checkerboard, geometry)
        return func(*args, **kwargs)


def _geometry(
    input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1,
    ceil_mode: bool = False,
) -> tuple[Tensor, Pair, Geometry]:  # fmt: skip
    """Return (input, dilation, the rest) of a call of `max_pool2d`."""

    def pair(value: Size) -> Pair:
        parts = tuple(value) if isinstance(value, tuple | list) else (value,)
        return int(parts[0]), int(parts[-1])

    window = pair(kernel_size)
    steps = pair(stride) if stride is not None and stride not in ([], ()) else window
    return input, pair(dilation), (window, steps, pair(padding), ceil_mode)


class _PoolSaved(Saved, Protocol):
    """What a pooling layer's forward saves for its backward."""

    kind: str
    checkerboard: bool
    geometry: Geometry


class _Pool(torch.autograd.Function):
    """Max pooling with one of two smoother backwards, `_smooth` or `_relaxed`."""

    @staticmethod
    def forward(context: _PoolSaved, x: Tensor, kind: str, checkerboard: bool, geometry: Geometry) -> Tensor:
        context.save_for_backward(x)
        context.kind, context.checkerboard, context.geometry = kind, checkerboard, geometry
        window, stride, padding, ceil = geometry
        return torch.max_pool2d(x, window, stride, padding, 1, ceil)

    @staticmethod
    def backward(context: _PoolSaved, gradient: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        (x,) = context.saved_tensors
        result = (_smooth if context.kind == "smooth_pool" else _relaxed)(x, gradient, context.geometry)
        return blended(result) if context.checkerboard else result, None, None, None


def _average(x: Tensor, geometry: Geometry) -> Tensor:
    window, stride, padding, ceil = geometry
    return F.avg_pool2d(x, window, stride, padding, ceil, False)


def _spread(gradient: Tensor, x: Tensor, geometry: Geometry) -> Tensor:
    """Apply the transpose of `_average`."""
    window, stride, padding, ceil = geometry
    return torch.ops.aten.avg_pool2d_backward(gradient.contiguous(), x, window, stride, padding, ceil, False, None)


def _relaxed(x: Tensor, gradient: Tensor, geometry: Geometry) -> Tensor:
    active = x.clamp_min(0)
    total = _average(active, geometry)
    share = gradient / total.where(total > 0, torch.ones_like(total))
    return active * _spread(share * (total > 0), x, geometry)


def _smooth(x: Tensor, gradient: Tensor, geometry: Geometry) -> Tensor:
    squares, sizes = _average(x * x, geometry), 0.01 + _average(x.abs(), geometry)
    rising = 2 * x * _spread(gradient / sizes, x, geometry)
    return rising - x.sign() * _spread(gradient * squares / sizes.square(), x, geometry)


def blended(gradient: Tensor) -> Tensor:
    """Blend (input, channel, y, x): .25 its own, .5 the mean of four neighbours, .25 the mean of four diagonal ones."""
    channels = gradient.shape[-3]
    kernel = torch.tensor(BLEND, dtype=gradient.dtype, device=gradient.device).expand(channels, 1, 3, 3)
    return F.conv2d(gradient, kernel, padding=1, groups=channels)

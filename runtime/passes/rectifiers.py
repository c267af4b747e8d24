"""Rectifiers with another derivative: that of a deconvnet, and that of guided backpropagation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from bbilang.runtime.passes.borrow import error

RELU: tuple[Any, ...] = (F.relu, torch.relu, Tensor.relu)
RELU_IN_PLACE: tuple[Any, ...] = (F.relu_, torch.relu_, Tensor.relu_)
BOUNDED: tuple[Any, ...] = (F.hardtanh, F.hardtanh_)
CLAMPED: tuple[Any, ...] = (torch.clamp, Tensor.clamp, torch.clip, Tensor.clip)
CLAMPED_BELOW: tuple[Any, ...] = (torch.clamp_min, Tensor.clamp_min)
SMOOTH: dict[Any, str] = {
    getattr(owner, name): title
    for name, title in {
        "silu": "SiLU", "gelu": "GELU", "mish": "Mish", "elu": "ELU", "elu_": "ELU", "selu": "SELU", "selu_": "SELU",
        "celu": "CELU", "celu_": "CELU", "leaky_relu": "LeakyReLU", "leaky_relu_": "LeakyReLU", "prelu": "PReLU",
        "rrelu": "RReLU", "rrelu_": "RReLU", "hardswish": "Hardswish", "softplus": "Softplus",
    }.items()
    for owner in (F, torch)
    if hasattr(owner, name)
}  # fmt: skip


class Rectifiers(TorchFunctionMode):
    """Inside, every ReLU and ReLU6, and every clamp with a lower bound of 0, has the derivative of ``kind``.

    deconvnet: the signal where it is positive. guided_backprop: that, where the unit is active (and below its upper
    bound). A smooth or leaky rectifier, for which neither is defined, raises BbiError E515.
    """

    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        x = args[0] if args else kwargs.get("input")
        if not (isinstance(x, Tensor) and x.requires_grad):
            return func(*args, **kwargs)
        if func in SMOOTH:
            raise error(
                "E515",
                f"`{self.kind}` is not defined for this network: it has {SMOOTH[func]}, and the method's rule is for "
                "ReLU and ReLU6",
                "take `gradient`, `input_x_gradient` or `integrated_gradients`",
            )
        bounds = _bounds(func, args, kwargs)
        if bounds is None:
            return func(*args, **kwargs)
        high, in_place = bounds
        found = _Rectify.apply(x, self.kind, high)
        return x.copy_(found) if in_place else found


def _bounds(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[float, bool] | None:
    """(upper bound, whether it works in place) of a call that rectifies; None for any other."""

    def given(position: int, name: str, default: Any = None) -> Any:
        return args[position] if len(args) > position else kwargs.get(name, default)

    if func in RELU:
        return math.inf, func is F.relu and bool(given(1, "inplace", False))
    if func in RELU_IN_PLACE:
        return math.inf, True
    if func is F.relu6:
        return 6.0, bool(given(1, "inplace", False))
    if func in BOUNDED and given(1, "min_val", -1.0) == 0:
        in_place = func is F.hardtanh_ or bool(given(3, "inplace", False))
        return float(given(2, "max_val", 1.0)), in_place
    if func in CLAMPED and _is_zero(given(1, "min")) and not isinstance(given(2, "max"), Tensor):
        high = given(2, "max")
        return math.inf if high is None else float(high), False
    if func in CLAMPED_BELOW and _is_zero(given(1, "min")):
        return math.inf, False
    return None


def _is_zero(value: Any) -> bool:
    return isinstance(value, int | float) and value == 0


class _Rectify(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, kind: str, high: float) -> Tensor:
        context.save_for_backward(*([(x > 0) & (x < high)] if kind == "guided_backprop" else []))
        return x.clamp(0, None if math.isinf(high) else high)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Any:  # type: ignore[override]
        passed = gradient.clamp_min(0)
        for active in context.saved_tensors:
            passed = passed * active
        return passed, None, None

"""Nonlinearities that can be shut: where they rise, and a gradient that reaches the value before one that is shut.

A gate rises between its ``floor`` and its ``ceiling``. Below the floor it is constant, almost constant or negative
with a minimum (GELU, SiLU, h-swish), and above the ceiling it is saturated. A unit that is outside of that
everywhere in a picture gives gradient ascent no direction, or the wrong one; the value before the gate does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from bbilang.runtime.passes.autograd import Saved, grad

Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Gate:
    """A gate: ``function`` works out of place."""

    function: Function
    floor: float
    ceiling: float = inf

    def gradient(self, x: Tensor, gradient: Tensor) -> Tensor:
        """Return the plain gradient."""
        if self.function in (F.relu, F.relu6):
            return torch.ops.aten.hardtanh_backward(gradient, x, 0.0, self.ceiling)
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            (plain,) = grad(self.function(leaf), leaf, gradient)
        return plain


# Function -> where it rises. For smooth ones without a minimum the limits are where the slope is 1/400 or 1/100 of its
# largest; those with a minimum are open where they are positive, since near it the mean also rises by what falls.
_SIGMOID, _TANH, _ELU = (-6.0, 6.0), (-3.0, 3.0), (-4.6, inf)
_RISE: Mapping[str, tuple[float, float]] = {
    "relu": (0.0, inf), "relu6": (0.0, 6.0), "gelu": (0.0, inf), "silu": (0.0, inf), "mish": (0.0, inf),
    "hardswish": (0.0, inf), "hardsigmoid": (-3.0, 3.0), "sigmoid": _SIGMOID, "tanh": _TANH, "elu": _ELU,
    "selu": _ELU, "celu": _ELU, "softplus": _ELU,
}  # fmt: skip
_MODULES: Mapping[type[nn.Module], str] = {
    nn.ReLU: "relu", nn.ReLU6: "relu6", nn.GELU: "gelu", nn.SiLU: "silu", nn.Mish: "mish", nn.Hardswish: "hardswish",
    nn.Hardsigmoid: "hardsigmoid", nn.Sigmoid: "sigmoid", nn.Tanh: "tanh", nn.ELU: "elu", nn.SELU: "selu",
    nn.CELU: "celu", nn.Softplus: "softplus",
}  # fmt: skip
_OPTIONS: Mapping[str, tuple[str, ...]] = {"gelu": ("approximate",), "elu": ("alpha",), "celu": ("alpha",)}


def _named(name: str) -> Function:
    return cast(Function, getattr(torch, name) if name in ("sigmoid", "tanh") else getattr(F, name))


def gate_of(module: nn.Module) -> Gate | None:
    """Return the gate that a module is; None for a subclass, whose forward may differ."""
    name = _MODULES.get(type(module))
    if name is None:
        return None
    options = {option: getattr(module, option) for option in _OPTIONS.get(name, ())}
    if name == "softplus" and (module.beta, module.threshold) != (1.0, 20.0):
        return None
    function = _named(name)
    return Gate(cast(Function, partial(function, **options)) if options else function, *_RISE[name])


class GateState:
    """What a gate's backward recorded. ``own``: the gate gives the layer's result; only then is the rest recorded."""

    def __init__(self) -> None:
        self.own = False
        # (batch,): some unit that is to be higher rises, or is at the ceiling; or all are to be lower, and one is shut
        self.opened: Tensor | None = None
        self.highest: Tensor | None = None  # (batch,): of those, the highest value before the gate, less the floor


class _GateSaved(Saved, Protocol):
    """What a gate's forward saves for its backward."""

    gate: Gate
    rows: Tensor | bool
    state: GateState


class Redirected(torch.autograd.Function):
    """A gate that passes the gradient at shut units for an image in which no unit that the loss wants higher would
    rise.

    The gradient is that of a loss, so a positive one pushes a unit lower. Inside the network it passes where it would
    open a unit (Lucid's redirected gradient), for the images that ``rows`` (batch,) says, or all, or none. At the
    layer's own gate (``state.own``) it passes in any case, at the units nearest to opening (over all positions a filter
    whose weights add up to 0 has no gradient), and, where no unit is left to open, entirely: the value before the gate
    goes on beyond the ceiling.
    """

    @staticmethod
    def forward(context: _GateSaved, x: Tensor, gate: Gate, rows: Tensor | bool, state: GateState) -> Tensor:
        context.save_for_backward(x)
        context.gate, context.rows, context.state = gate, rows, state
        return gate.function(x)

    @staticmethod
    def backward(context: _GateSaved, gradient: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        (x,) = context.saved_tensors
        return gradient_before(x, gradient, context.gate, context.rows, context.state), None, None, None


def gradient_before(x: Tensor, gradient: Tensor, gate: Gate, rows: Tensor | bool, state: GateState) -> Tensor:
    """Return the gradient before a gate, see `Redirected`, and note in its state what was learned."""
    channel = _only_channel(gradient) if state.own and host_readable(x) else None
    if channel is None:
        return _redirected(x, gradient, gate, rows, state)
    at = torch.arange(len(x), device=x.device), channel
    result = torch.zeros_like(gradient)
    result[at] = _redirected(x[at][:, None], gradient[at][:, None], gate, rows, state)[:, 0]
    return result


def _only_channel(gradient: Tensor) -> Tensor | None:
    """Return the one index along axis 1 at which each image's gradient is not zero, (batch,); None where an image has
    several. An icon of a unit has one, and the others of a wide layer need not be looked at."""
    if gradient.dim() < 3 or gradient.shape[1] == 1:
        return None
    reached = gradient != 0
    for _ in range(gradient.dim() - 2):
        reached = reached.any(-1)
    return reached.int().argmax(1) if int(reached.sum(1).max()) <= 1 else None


def _redirected(x: Tensor, gradient: Tensor, gate: Gate, rows: Tensor | bool, state: GateState) -> Tensor:
    plain = gate.gradient(x, gradient)
    if rows is False and not state.own:
        return plain
    low, high = x <= gate.floor, x >= gate.ceiling
    shut = ~((gradient != 0) & ~low & ~high).flatten(1).any(1)
    if state.own:
        up, down = gradient < 0, gradient > 0
        beyond = (high & up) | (low & down & ~_wide(up.flatten(1).any(1), x))  # beyond the end that it is driven to
        state.opened = ~shut | beyond.flatten(1).any(1)
        state.highest = torch.where(up, x, -inf).flatten(1).amax(1).float() - gate.floor
    elif isinstance(rows, Tensor):
        shut = shut & rows
    if host_readable(x) and not bool(shut.any()):
        return plain
    opening = gradient.masked_fill((low & (gradient > 0)) | (high & (gradient < 0)), 0.0)
    if state.own:
        opening = torch.where(low & (gradient < 0) & ~_nearest(x, low & (gradient < 0)), 0.0, opening)
        none = ~(opening != 0).flatten(1).any(1)
        opening = torch.where(_wide(none, x), gradient, opening)
    return torch.where(_wide(shut, x), opening, plain)


def _nearest(x: Tensor, shut: Tensor) -> Tensor:
    """Return the shut units of each image whose value is closer to the highest than to the mean."""
    count = shut.flatten(1).sum(1).clamp_min(1)
    mean = torch.where(shut, x, 0.0).flatten(1).sum(1) / count
    top = torch.where(shut, x, -inf).flatten(1).amax(1)
    return x >= _wide((mean + top) / 2, x)


def host_readable(x: Tensor) -> bool:
    """Return whether values may be read: on a GPU this would synchronize, and no CUDA graph could be recorded."""
    return x.device.type != "cuda"


def _wide(rows: Tensor, x: Tensor) -> Tensor:
    return rows.view(-1, *[1] * (x.dim() - 1))


class Gates(TorchFunctionMode):
    """A mode in which gates that a model calls as functions go through ``apply`` (x, gate). In-place gates, and those
    inside a module that is a gate itself and has ``paused`` the mode, are left alone."""

    def __init__(self, apply: Callable[[Tensor, Gate], Tensor]):
        super().__init__()
        self.apply, self.seen, self.paused = apply, 0, False

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        kwargs = kwargs or {}
        if self.paused:
            return func(*args, **kwargs)
        gate = called_gate(getattr(func, "__name__", ""), args, kwargs)
        if gate is None or not isinstance(args[0], Tensor) or not args[0].requires_grad or not torch.is_grad_enabled():
            return func(*args, **kwargs)
        self.seen += 1
        return self.apply(args[0], gate)


def called_gate(name: str, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Gate | None:
    """Return the gate that a function call is; None if it is none or works in place."""
    if kwargs.get("inplace"):
        return None
    if name in ("clamp", "clip", "clamp_min", "hardtanh"):
        return _clamp(name, args, kwargs)
    options = {key: value for key, value in kwargs.items() if key != "inplace"}
    if name not in _RISE or len(args) != 1 or not set(options) <= set(_OPTIONS.get(name, ())):
        return None
    return Gate(cast(Function, partial(_named(name), **options)) if options else _named(name), *_RISE[name])


def _clamp(name: str, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Gate | None:
    """Return the gate of a clamp from below, or between two numbers; None for any other clamp."""
    low, high = ("min_val", "max_val") if name == "hardtanh" else ("min", "max")
    bounds = {**dict(zip((low, high), args[1:], strict=False)), **kwargs}
    floor = bounds.get(low, -1.0 if name == "hardtanh" else None)
    ceiling = bounds.get(high, 1.0 if name == "hardtanh" else inf)
    if len(args) > 3 or not isinstance(floor, int | float):
        return None
    ceiling = inf if ceiling is None else ceiling
    if not isinstance(ceiling, int | float):
        return None
    return Gate(lambda x: x.clamp(floor, ceiling), float(floor), float(ceiling))

"""Rectifiers with the backward of a deconvnet or of guided backpropagation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node
from torch.overrides import TorchFunctionMode

from bbilang.compiler.optimize.target_slots import CHAIN
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.errors import error
from bbilang.runtime.passes.autograd import Saved
from bbilang.runtime.relevance.calls import read_call
from bbilang.runtime.relevance.rectified import SMOOTH, Bound, NoRule, follow_masks, is_zero, kind_of, rectified

_UNREPLACED = {
    "Relu": "ReLU", "Threshold": "Threshold", "LeakyRelu": "LeakyReLU", "Elu": "ELU", "Prelu": "PReLU",
    "PreluKernel": "PReLU", "RreluWithNoise": "RReLU", **{name.title(): title for name, title in SMOOTH.items()},
}  # fmt: skip
_BOUNDED = {"Hardtanh": "min_val", "Clamp": "min", "ClampMin": "min", "Hardtanh_": "min_val"}


class Rectifiers(TorchFunctionMode):
    """A mode in which every ReLU and ReLU6, however it is written, has the backward of ``kind``.

    deconvnet: the signal where it is positive. guided_backprop: that, where the unit is active (and below its upper
    bound). Any other rectifier raises BbiError E515, and so does code that the mode cannot inspect: custom autograd
    functions, and compiled parts.
    """

    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind
        self.inside: list[str] = []  # modules that are running, outermost first

    # --- what passes call -------------------------------------------------------------------

    def begin(self, pixels: Tensor, bounded: bool = True) -> None:
        pass

    def enter(self, name: str) -> None:
        self.inside.append(name)

    def leave(self) -> None:
        self.inside.pop()

    def seed(self, outputs: Tensor, cotangents: Tensor, target_layer: str) -> Tensor:
        """Return the cotangents unchanged. Raises BbiError E515 where a rectifier below was not replaced."""
        if not target_layer.startswith(CHAIN):
            self._check(outputs)
        return cotangents

    def _check(self, outputs: Tensor) -> None:
        seen, todo = set(), [outputs.grad_fn]
        while todo:
            node = todo.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            todo += [before for before, _ in node.next_functions]
            if (what := _unreplaced(node)) is not None:
                raise self._refused(what)

    def _refused(self, what: str) -> BbiError:
        where = f" in `{self.inside[-1]}`" if self.inside and self.inside[-1] else ""
        return error(
            "E515",
            f"`{self.kind}` is not defined for this network: it has {what}{where}, and the method's rule is for "
            "ReLU and ReLU6",
            "use `gradient`, `input_x_gradient` or `integrated_gradients`",
        )

    # --- what operations call --------------------------------------------------------------------------------------

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in ("__get__", "__set__", "__delete__"):
            return func(*args, **kwargs)
        call = read_call(func, args, kwargs, name.partition(".")[0])  # `relu.default` is aten's own name
        try:
            match = rectified(call.name, args, kwargs)
        except NoRule as e:
            raise self._refused(str(e)) from None
        if match is None or not match.source.requires_grad:
            result = func(*args, **kwargs)
            follow_masks(call.name, args, result)
            return result
        result = _Rectify.apply(match.source, self.kind, match.high)
        if call.inplace or call.name == "setitem":
            return args[0].copy_(result)
        return result


def _unreplaced(node: Node) -> str | None:
    """Return the name of an operation that rectifies, or may do so, with its plain derivative; None for any other."""
    if isinstance(node, BackwardCFunction):
        function = getattr(node, "_forward_cls", None)
        if getattr(function, "__module__", "").startswith("bbilang."):
            return None
        return f"a function with a custom backward (`{getattr(function, '__name__', kind_of(node))}`)"
    kind = kind_of(node)
    if "DifferentiableGraph" in kind or "DifferentiableGraph" in node.name():
        return "a compiled part (TorchScript)"
    if kind in _UNREPLACED:
        return f"{_UNREPLACED[kind]} inside a compiled or composed function"
    if kind in _BOUNDED:
        low = getattr(node, f"_saved_{_BOUNDED[kind]}", None)
        return f"{kind.lower()} from 0 inside a compiled or composed function" if is_zero(low) else None
    return None


class _Rectify(torch.autograd.Function):
    """ReLU or ReLU6 whose backward is that of a method."""

    @staticmethod
    def forward(context: Saved, x: Tensor, kind: str, high: Bound) -> Tensor:
        context.save_for_backward(*([(x > 0) & (x < high)] if kind == "guided_backprop" else []))
        return x.clamp_min(0).clamp_max(high)  # type: ignore[arg-type]

    @staticmethod
    def backward(context: Saved, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        passed = gradient.clamp_min(0)
        for active in context.saved_tensors:
            passed = passed * active
        return passed, None, None

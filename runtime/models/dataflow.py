"""Track facts of tensors during one forward: whether they can be negative, their channel axis, the layers behind them.

Nothing is computed: every call of a torch function is intercepted, and the facts of its result are derived. What is
computed where no function is intercepted (scripted parts, numpy, functions of another kind) makes the graph unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypedDict, Unpack

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from bbilang.runtime.models.heads import Args, HeadTracker, Named

GIVES = {"relu", "relu_", "relu6", "sigmoid", "softmax", "square", "abs", "exp", "softplus"}
KEEPS = {
    "cat", "concat", "max_pool2d", "_max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "mean",
    "flatten", "reshape", "view", "permute", "transpose", "contiguous", "squeeze", "unsqueeze", "dropout",
    "local_response_norm", "sqrt", "interpolate", "amax",
}  # fmt: skip
MOVES = {
    "flatten", "reshape", "view", "permute", "transpose", "contiguous", "squeeze", "unsqueeze", "__getitem__", "select",
    "to", "float", "double", "clone", "detach", "dropout", "mean", "avg_pool2d", "adaptive_avg_pool2d", "__get__",
    "view_as", "reshape_as", "expand", "type_as", "narrow", "movedim", "swapaxes", "t", "unbind", "split", "chunk",
}  # fmt: skip
SCALES = {"mul", "__mul__", "__rmul__", "div", "__truediv__", "true_divide"}
PRODUCTS, SHARES = {"mul", "__mul__"}, {"sigmoid", "sigmoid_", "hardsigmoid", "softmax"}
JOINS = {"cat", "concat", "concatenate", "stack", "hstack", "column_stack"}
LEAVES = {"numpy", "__array__", "item", "tolist", "__float__", "__complex__"}  # numbers that no tensor carries on
LINEAR = {  # functions with unbounded results
    "linear", "addmm", "matmul", "mm", "bmm", "baddbmm", "einsum", "conv1d", "conv2d", "conv3d", "__matmul__", "add",
    "sub", "__add__", "__radd__", "__iadd__", "add_", "__sub__", "__isub__", "sub_", "neg", "__neg__", "log_softmax",
    "logsigmoid", "logit", "layer_norm", "batch_norm", "group_norm", "instance_norm", "bilinear",
}  # fmt: skip
CHANNEL_SECOND = {"conv1d", "conv2d", "conv_transpose2d", "batch_norm", "group_norm", "instance_norm"}
CHANNEL_LAST = {"linear", "embedding", "multi_head_attention_forward"}


@dataclass(frozen=True)
class Facts:
    """Facts of one tensor. ``channel``: its axis, from 0; None where unknown. ``origins``: the layers, or ``input``,
    that it was computed from. ``last``: the function that computed its values, ignoring those that only move or average
    them."""

    nonnegative: bool = False
    channel: int | None = None
    origins: frozenset[str] = frozenset()
    last: str = ""


class _Known(TypedDict, total=False):
    """Fields of `Facts`."""

    nonnegative: bool
    channel: int | None
    origins: frozenset[str]
    last: str


NOTHING = Facts()


class Dataflow(TorchFunctionMode):
    """Intercepts every call of a torch function; `of` returns the facts of a tensor, `put` sets them.

    ``module``: the network; its own tensors are constants. ``followed``: False once something was computed from tensors
    of which nothing is known, so that ``origins`` may lack some. Within ``with flow, flow.watch:`` that is noticed.
    """

    def __init__(self, module: nn.Module | None = None) -> None:
        super().__init__()
        self._facts: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self._constants: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self._handles: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        for part in module.modules() if module is not None else ():
            for value in vars(part).values():
                for tensor in _tensors(list(value.values()) if isinstance(value, dict) else value):
                    self._constants[tensor] = True
        self.followed = True
        self.depth = 0
        self.watch = _Watch(self)
        self.heads = HeadTracker()

    def of(self, tensor: object) -> Facts:
        return self._facts.get(tensor, NOTHING) if isinstance(tensor, Tensor) else NOTHING

    def put(self, tensor: Tensor, **known: Unpack[_Known]) -> None:
        self._facts[tensor] = replace(self.of(tensor), **known)

    def handle(self, tensor: Tensor) -> Tensor:
        """Return the same values as another object with the same facts: who held the tensor before a module gave it
        back, as an identity or an in-place module does, reads past that module."""
        other = tensor.view_as(tensor)
        self._facts[other] = self.of(tensor)
        self._handles[other] = True
        return other

    def __torch_function__(
        self, func: Callable[..., object], types: Sequence[type], args: Args = (), kwargs: Named | None = None
    ) -> object:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        shapes = [tuple(tensor.shape) for tensor in _tensors(args)]
        self.depth += 1
        try:
            result = func(*args, **kwargs)
        finally:
            self.depth -= 1
        operands = list(_tensors((args, list(kwargs.values()))))
        origins = frozenset().union(*(self.of(tensor).origins for tensor in operands))
        changed = [args[0]] if _in_place(name) and args and isinstance(args[0], Tensor) else []
        self._check(name, operands, changed, origins)
        self.heads.saw(name, func, args, kwargs, result)
        for tensor in (*changed, *_tensors(result)):
            if tensor.dtype == torch.bool:
                self._facts[tensor] = Facts(
                    origins=origins
                )  # a mask carries no values, and what it hides depends on it
            else:
                sign = tensor not in changed and self._sign(name, args, kwargs)
                sign = sign or name == "relu_" or (name in ("hardtanh_", "clamp_") and _floor(args, kwargs) >= 0)
                axis = _channel(name, args, kwargs, tensor, self.of(operands[0]).channel if operands else None, shapes)
                last = self._last(name, operands)
                self._facts[tensor] = Facts(sign, axis, origins, last)
        return result

    def _check(self, name: str, operands: list[Tensor], changed: list[Tensor], origins: frozenset[str]) -> None:
        """Detect what the origins of results do not tell."""
        unknown = any(tensor not in self._facts and tensor not in self._constants for tensor in operands)
        if unknown or (name in LEAVES and origins and operands[0].is_floating_point()):
            self.followed = False
        for tensor in changed:  # other views of the same memory read what was written here
            base = tensor._base
            if base is None or origins <= self.of(base).origins:
                continue
            if tensor in self._handles:
                self._facts[base] = replace(self.of(base), origins=self.of(base).origins | origins)
            else:
                self.followed = False

    def _last(self, name: str, operands: list[Tensor]) -> str:
        """Return the function that computed the values of a result."""
        if name in SCALES:  # scaling keeps unbounded values unbounded; a product of shares is a share
            lasts = [self.of(tensor).last for tensor in operands if tensor.numel() > 1]
            if len(lasts) > 1 and name in PRODUCTS and all(last in SHARES for last in lasts):
                return "sigmoid"
            return lasts[0] if len(lasts) == 1 and lasts[0] in LINEAR else name
        if name in JOINS:  # joined values keep a kind that all parts have
            kinds = {self.of(tensor).last for tensor in operands}
            return kinds.pop() if len(kinds) == 1 else name
        return self.of(operands[0]).last if name in MOVES and operands else name

    def _sign(self, name: str, args: Args, kwargs: Named) -> bool:
        """Return whether the result of a call cannot be negative: a ReLU's, or a pooling, concatenation or reshape of
        such."""
        if name in ("hardtanh", "clamp"):
            return _floor(args, kwargs) >= 0
        first = args[0] if args else ()
        joined = list(first) if isinstance(first, list | tuple) else [first]
        known = bool(joined) and all(self.of(tensor).nonnegative for tensor in joined)
        return name in GIVES or (name in KEEPS and known)


class _Watch(TorchDispatchMode):
    """Sees every operation; those that run within no intercepted function are not in the facts."""

    def __init__(self, flow: Dataflow) -> None:
        super().__init__()
        self.flow = flow

    def __torch_dispatch__(
        self, func: Callable[..., object], types: Sequence[type], args: Args = (), kwargs: Named | None = None
    ) -> object:
        kwargs = kwargs or {}
        if not self.flow.depth and next(_tensors((args, list(kwargs.values()))), None) is not None:
            self.flow.followed = False
        return func(*args, **kwargs)


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def _in_place(name: str) -> bool:
    return (name.endswith("_") and not name.startswith("__")) or name.startswith("__i") or name == "__setitem__"


def _floor(args: Args, kwargs: Named) -> float:
    """Return the lower bound of a clamp; -1 where none can be read."""
    bound = args[1] if len(args) > 1 else kwargs.get("min_val", kwargs.get("min"))
    return float(bound) if isinstance(bound, int | float) else -1.0


def _channel(
    name: str, args: Args, kwargs: Named, result: Tensor, before: int | None, shapes: list[tuple[int, ...]]
) -> int | None:
    """Return the channel axis of a result, from the function and the channel axis of its first tensor."""
    rank = result.ndim
    if name in CHANNEL_SECOND:
        return 1
    if name in CHANNEL_LAST:
        return rank - 1
    if name == "layer_norm":
        normalized = args[1] if len(args) > 1 else kwargs.get("normalized_shape", ())
        return rank - 1 if before is None and len(normalized) == 1 else before
    if before is None or not shapes or before >= len(shapes[0]):
        return None
    if name in ("permute", "transpose", "swapaxes", "movedim", "t", "mT", "__get__") and rank == len(shapes[0]):
        return _moved(name, args, kwargs, before, rank)
    if rank == len(shapes[0]):
        return before
    size = shapes[0][before]
    matches = [axis for axis, length in enumerate(result.shape) if length == size and axis]
    if before == len(shapes[0]) - 1 and rank - 1 in matches:
        return rank - 1
    return before if before in matches else matches[0] if len(matches) == 1 else None


def _moved(name: str, args: Args, kwargs: Named, before: int, rank: int) -> int | None:
    """Return the new position of an axis."""
    rest = [a for a in (*args[1:], *kwargs.values()) if not isinstance(a, Tensor)]
    order = list(range(rank))
    if name == "permute":
        axes = rest[0] if rest and isinstance(rest[0], list | tuple) else rest
        order = [int(axis) % rank for axis in axes]
    elif name in ("transpose", "swapaxes") and len(rest) == 2:
        first, second = (int(axis) % rank for axis in rest)
        order[first], order[second] = second, first
    elif name in ("t", "mT") and rank >= 2:
        order[-1], order[-2] = order[-2], order[-1]
    elif name == "movedim":
        return None
    return order.index(before) if before in order else None

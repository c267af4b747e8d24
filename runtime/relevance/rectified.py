"""Recognize calls of torch functions that rectify: every way to write a ReLU that a function mode sees."""

from __future__ import annotations

import math
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeGuard

import torch
from torch import Tensor
from torch.autograd.graph import Node

Bound = float | Tensor

SMOOTH = {
    "silu": "SiLU", "gelu": "GELU", "mish": "Mish", "elu": "ELU", "selu": "SELU", "celu": "CELU",
    "leaky_relu": "LeakyReLU", "prelu": "PReLU", "rrelu": "RReLU", "hardswish": "Hardswish", "softplus": "Softplus",
}  # fmt: skip
_SAME = frozenset("float double half bfloat16 to type type_as bool int long detach clone contiguous _to_copy".split())
_ABOVE = {"gt": 1, "ge": 1, "lt": -1, "le": -1, "greater": 1, "greater_equal": 1, "less": -1, "less_equal": -1}
_NOT = frozenset(("logical_not", "bitwise_not", "invert"))
_LARGER = frozenset(("maximum", "max", "fmax"))
_SMALLER = frozenset(("minimum", "min", "fmin"))
_PRODUCTS = frozenset(("mul", "multiply", "rmul"))
_FILLS = frozenset(("masked_fill", "setitem", "index_put"))
_ONE_TO_ONE = frozenset("Add Sub Rsub Mul Div Neg Sigmoid Hardsigmoid Tanh Erf Softplus Exp Pow Clone _Rectify".split())
_SQUASHES = frozenset("Sigmoid Hardsigmoid Tanh Erf Softplus _Rectify".split())


class NoRule(Exception):
    """Raised for a call that rectifies in a way for which the methods have no rule; the message names the call."""


@dataclass(frozen=True)
class Rectified:
    """A rectification of ``source``, up to ``high``."""

    source: Tensor
    high: Bound = math.inf


@dataclass(frozen=True)
class Side:
    """What a mask shows of a tensor: 1 for its positive entries, -1 for its negative ones, 0 for anything else computed
    from it. A weak reference: a tensor that is overwritten with its own mask would otherwise never be freed."""

    of: weakref.ref[Tensor]
    version: int
    sign: int

    def about(self, x: object) -> TypeGuard[Tensor]:
        """Return whether the mask was computed from this tensor, or from one with equal values."""
        own = self.of()
        if own is None or own._version != self.version or not isinstance(x, Tensor):
            return False
        return own is x or (own.shape == x.shape and torch.equal(own, x))


def side_of(x: object) -> Side | None:
    return getattr(x, "_bbilang_side", None) if isinstance(x, Tensor) else None


def follow_masks(name: str, args: tuple[object, ...], result: object) -> None:
    """Record on a mask (a result without a derivative) which tensor's signs it shows."""
    if not isinstance(result, Tensor) or result.requires_grad:
        return
    if (name in _ABOVE or name == "heaviside") and len(args) > 1:
        one, other = args[:2]
        sign = _ABOVE.get(name, 1)
        if not _varies(one):
            one, other, sign = other, one, -sign
        if _varies(one):
            result._bbilang_side = Side(weakref.ref(one), one._version, sign if is_zero(other) else 0)  # type: ignore[attr-defined]
        return
    for side in map(side_of, args):
        if side is not None:
            sign = side.sign if name in _SAME else -side.sign if name in _NOT else 0
            result._bbilang_side = Side(side.of, side.version, sign)  # type: ignore[attr-defined]
            return


def rectified(name: str, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Rectified | None:
    """Return what a call rectifies; None where it does not. Raises NoRule."""

    def argument(position: int, key: str, default: Any = None) -> Any:
        return args[position] if len(args) > position else kwargs.get(key, default)

    x = argument(0, "input", kwargs.get("self"))
    if name in SMOOTH:
        if not _varies(x):
            return None
        raise NoRule(SMOOTH[name])
    if name in ("relu", "relu6"):
        return Rectified(x, 6.0 if name == "relu6" else math.inf)
    if name in ("clamp", "clip"):
        return _between(name, x, argument(1, "min"), argument(2, "max"))
    if name == "clamp_min":
        return _between(name, x, argument(1, "min"), None)
    if name == "clamp_max":
        return _between(name, x, None, argument(1, "max"))
    if name == "hardtanh":
        return _between(name, x, argument(1, "min_val", -1.0), argument(2, "max_val", 1.0))
    if name == "threshold":
        return _threshold(x, argument(1, "threshold"), argument(2, "value"))
    if name in _LARGER or name in _SMALLER:
        return _extremum(name, x, argument(1, "other"))
    if name == "where":
        return _where(args, kwargs)
    if name in _PRODUCTS:
        return _masked(x, argument(1, "other"))
    if name in _FILLS:
        return _filled(name, args, kwargs)
    return None


def _between(name: str, x: object, low: Bound | None, high: Bound | None) -> Rectified | None:
    if not _varies(x) or _varies(low) or _varies(high):
        return None if not (_varies(x) and (_varies(low) or _varies(high))) else _refuse(name)
    if low is None:
        return _refuse(f"{name}(max=0)") if high is not None and is_zero(high) else None
    if is_zero(low):
        return Rectified(x, math.inf if high is None else high)
    below = bool(torch.as_tensor(low < 0).all())
    if (high is not None and below) or not bool((x < low).any()):  # it saturates, as tanh does, or cuts nothing off
        return None
    return _refuse(f"{name} with a lower bound other than 0")


def _threshold(x: Tensor, threshold: Bound, value: object) -> Rectified | None:
    if is_zero(threshold) and is_zero(value):
        return Rectified(x)
    return _refuse("threshold other than at 0") if bool((x <= threshold).any()) else None


def _extremum(name: str, one: object, other: object) -> Rectified | None:
    """Handle a maximum or minimum. Of two varying tensors it routes the gradient, as a max pool does, unless one is
    computed from the other."""
    if not (isinstance(one, Tensor) and isinstance(other, Tensor)):
        return None
    if one.requires_grad and other.requires_grad:
        return _refuse(f"{name}(x, a x), a leaky rectifier") if _related(one, other) else None
    x, bound = (one, other) if one.requires_grad else (other, one)
    if not x.requires_grad:
        return None
    if is_zero(bound):
        return Rectified(_wide(x, bound)) if name in _LARGER else _refuse(f"{name}(x, 0)")
    acts = name in _LARGER and bool((x < bound).any())
    return _refuse(f"{name} with a bound other than 0") if acts else None


def _where(args: tuple[object, ...], kwargs: Mapping[str, object]) -> Rectified | None:
    parts = dict(zip(("condition", "input", "other"), args, strict=False)) | dict(kwargs)
    mask, one, other = (parts.get(key) for key in ("condition", "input", "other"))
    if (
        isinstance(one, Tensor)
        and one.dtype == torch.bool
        and not (isinstance(mask, Tensor) and mask.dtype == one.dtype)
    ):
        mask, one = one, mask  # the method of a tensor: x.where(condition, other)
    side = side_of(mask)
    if side is None or not (_varies(one) or _varies(other)):
        return None
    if side.sign < 0:
        one, other = other, one
    if side.sign and isinstance(one, Tensor) and side.about(one) and not _varies(other) and is_zero(other):
        return Rectified(_wide(one, other))
    return _refuse("a rectifier written with `where`, but no ReLU")


def _masked(one: object, other: object) -> Rectified | None:
    for x, mask in ((one, other), (other, one)):
        side = side_of(mask)
        if side is not None and _varies(x):
            if side.sign > 0 and side.about(x):
                return Rectified(x)
            return _refuse("a product with a mask of signs, but no ReLU")
    if _varies(one) and _varies(other):
        if one is not other and _related(one, other, _SQUASHES):
            return _refuse("x times a squashed x, a smooth rectifier")
    return None


def _filled(name: str, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Rectified | None:
    x = args[0]
    mask = args[1] if len(args) > 1 else kwargs.get("mask", kwargs.get("indices"))
    value = args[2] if len(args) > 2 else kwargs.get("value", kwargs.get("values"))
    masks = mask if isinstance(mask, tuple | list) else (mask,)
    sides = [side for side in map(side_of, masks) if side is not None]
    if not sides or not (_varies(x) or _varies(value)):
        return None
    (side, *rest) = sides
    if not rest and len(masks) == 1 and side.sign < 0 and side.about(x) and not _varies(value) and is_zero(value):
        return Rectified(x)
    return _refuse(f"a rectifier written with `{name}`, but no ReLU")


def _refuse(what: str) -> NoReturn:
    raise NoRule(what)


def _varies(x: object) -> TypeGuard[Tensor]:
    return isinstance(x, Tensor) and x.requires_grad


def _wide(x: Tensor, other: object) -> Tensor:
    """Expand to the shape that both broadcast to."""
    return x.expand(torch.broadcast_shapes(x.shape, other.shape)) if isinstance(other, Tensor) else x


def is_zero(value: object) -> bool:
    """Return whether a value is a number or tensor of zeros that does not vary."""
    if isinstance(value, Tensor):
        return not value.requires_grad and not bool(value.count_nonzero())
    return isinstance(value, int | float) and value == 0


def _related(one: Tensor, other: Tensor, through: frozenset[str] | None = None) -> bool:
    """Return whether both are the same tensor up to elementwise operations (of which one is in ``through``)."""
    left, right = _chain(one), _chain(other)
    common = left.keys() & right.keys()
    if not common:
        return False
    between = [kind for chain in (left, right) for at, kind in chain.items() if at not in common]
    return through is None or bool(through.intersection(between))


def _chain(x: Tensor) -> dict[object, str]:
    """Return (node, number of its result) -> its kind, from a tensor back through elementwise operations."""
    chain: dict[object, str] = {}
    node, number = x.grad_fn, x.output_nr
    if node is None:
        return {id(x): ""}
    while node is not None:
        chain[node, number] = kind = kind_of(node)
        before = [(n, k) for n, k in node.next_functions if n is not None]
        if kind == "AccumulateGrad":
            chain[id(node.variable)] = ""  # type: ignore[attr-defined]
        if kind not in _ONE_TO_ONE or len(before) != 1:
            break
        ((node, number),) = before
    return chain


def kind_of(node: Node) -> str:
    """Return the kind of a node: `Relu` for `ReluBackward0`."""
    name = type(node).__name__
    name = name if name not in ("Node", "CppFunction") else node.name()
    stem, separator, number = name.rpartition("Backward")
    return stem if separator and (not number or number.isdigit()) else name

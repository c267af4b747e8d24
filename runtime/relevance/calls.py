"""Normalize calls of torch functions: one name per operation, however it was called."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from bbilang.runtime.relevance.marks import mark_of, marked

_PYTHON = {
    "truediv": "div",
    "floordiv": "floor_divide",
    "pow": "pow",
    "rtruediv": "rdiv",
    "pos": "positive",
    "_threshold": "threshold",
}


def tensors_in(value: object) -> list[Tensor]:
    """Return every tensor in nested tuples, lists and dictionaries, in order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, tuple | list):
        return [x for part in value for x in tensors_in(part)]
    if isinstance(value, dict):
        return [x for part in value.values() for x in tensors_in(part)]
    return []


@dataclass(frozen=True)
class Call:
    """A call of a function. ``name``: `add` for `+`, `+=`, `torch.add` and `Tensor.add_`. ``inplace``: the result is
    written over the first argument. ``run``: the function out of place, of ``arguments`` and ``named``."""

    name: str
    inplace: bool
    run: Callable[..., Any]
    arguments: tuple[Any, ...]  # numbers, tensors, shapes: whatever the function takes
    named: Mapping[str, Any]

    @property
    def sources(self) -> list[Tensor]:
        """Its floating-point tensors, each once."""
        all_tensors = tensors_in((self.arguments, dict(self.named)))
        return list({id(x): x for x in all_tensors if x.is_floating_point()}.values())

    def as_function_of(self, *sources: Tensor) -> PartialCall:
        """Return the call as a function of some of its tensors, in this order; all others are constants."""
        slots = {id(x): _Slot(index) for index, x in enumerate(sources)}
        target = self.arguments[0] if self.inplace else None

        def put(value: object) -> object:
            if not isinstance(value, Tensor):
                return value
            constant = value.detach()
            return slots.get(id(value)) or (constant.clone() if value is target else constant)

        arguments, named = tree_map(put, (tuple(self.arguments), dict(self.named)))
        return PartialCall(self.run, arguments, named)

    def named_arguments(self, *names: str) -> dict[str, Any]:
        """Return the arguments by name, for functions without a signature: ``names`` are those of the positional
        ones."""
        return {**dict(zip(names, self.arguments, strict=False)), **self.named}

    def write_back(self, result: object) -> object:
        """Write the result over the first argument if the call is in place; return the result."""
        if not self.inplace or not isinstance(result, Tensor):
            return result
        target: Tensor = self.arguments[0]
        target.copy_(result)
        return marked(target, mark_of(result))


@dataclass(frozen=True)
class _Slot:
    """A placeholder for an argument that is passed later."""

    index: int


class PartialCall:
    """A function of some tensors of a call. The graph holds it, so it holds no tensor of the graph: an
    overwritten tensor has this call below it in the graph, and the two would keep each other alive."""

    def __init__(self, run: Callable[..., object], arguments: tuple[object, ...], named: Mapping[str, object]):
        self.run, self.arguments, self.named = run, arguments, named
        self._constants = [x for x in tree_leaves((arguments, named)) if isinstance(x, Tensor)]
        self._versions = [x._version for x in self._constants]

    @property
    def unchanged(self) -> bool:
        """Whether no constant has been overwritten since."""
        return all(x._version == v for x, v in zip(self._constants, self._versions, strict=True))

    def __call__(self, *values: Tensor) -> Any:  # whatever the function returns
        def put(value: object) -> object:
            return values[value.index] if isinstance(value, _Slot) else value

        arguments, named = tree_map(put, (self.arguments, self.named))
        return self.run(*arguments, **named)


def read_call(
    func: Callable[..., object], args: tuple[object, ...], kwargs: Mapping[str, object], called: str = ""
) -> Call:
    """Read a call. ``called``: the function's name, where it is not its ``__name__``."""
    name, inplace = _plain_name(called or getattr(func, "__name__", ""))
    run = func
    if isinstance(func, types.FunctionType) and "inplace" in (signature := _parameters(func)):
        at = signature.index("inplace")
        if kwargs.get("inplace") or (len(args) > at and args[at]):
            inplace = True
            kwargs = {**{k: v for k, v in kwargs.items() if k != "inplace"}, "inplace": False}
            args = args[:at]
    elif inplace:
        run = next((getattr(h, name) for h in (torch.Tensor, torch, F) if hasattr(h, name)), func)
    return Call(name, inplace, run, args, kwargs)


@cache
def _plain_name(called: str) -> tuple[str, bool]:
    """Strip the in-place form from a name: (`add`, True) for `add_` and `__iadd__`."""
    if called.startswith("__") and called.endswith("__"):
        name = called.strip("_")
        name, inplace = (name[1:], True) if name in _INPLACE else (name, False)
        return _PYTHON.get(name, name), inplace
    if called.endswith("_") and not called.startswith("_"):
        return called[:-1], True
    return _PYTHON.get(called, called), False


_INPLACE = frozenset(("iadd", "isub", "imul", "itruediv", "ipow", "imatmul", "ifloordiv"))


@cache
def _parameters(func: Callable[..., object]) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(func).parameters)
    except ValueError:  # a method of a tensor, wrapped
        return ()

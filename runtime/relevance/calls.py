"""One call of a torch function, by the plain name of what it computes, whichever way it was written."""

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


def tensors_in(value: Any) -> list[Tensor]:
    """Every tensor in nested tuples, lists and dictionaries, in order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, tuple | list):
        return [x for part in value for x in tensors_in(part)]
    if isinstance(value, dict):
        return [x for part in value.values() for x in tensors_in(part)]
    return []


@dataclass(frozen=True)
class Called:
    """``name``: `add` for `+`, `+=`, `torch.add` and `Tensor.add_`. ``inplace``: the result is written over the first
    argument. ``run``: the function out of place, of ``arguments`` and ``named``."""

    name: str
    inplace: bool
    run: Callable[..., Any]
    arguments: tuple[Any, ...]
    named: Mapping[str, Any]

    @property
    def sources(self) -> list[Tensor]:
        """Its tensors of numbers, each once."""
        every = tensors_in((self.arguments, dict(self.named)))
        return list({id(x): x for x in every if x.is_floating_point()}.values())

    def taking(self, *sources: Tensor) -> Taking:
        """The call as a function of some of its tensors, in this order; all others are taken as given."""
        place = {id(x): _Slot(at) for at, x in enumerate(sources)}
        target = self.arguments[0] if self.inplace else None

        def put(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            given = value.detach()
            return place.get(id(value)) or (given.clone() if value is target else given)

        arguments, named = tree_map(put, (tuple(self.arguments), dict(self.named)))
        return Taking(self.run, arguments, named)

    def bound(self, *names: str) -> dict[str, Any]:
        """The arguments by the names of their places, for functions that tell them to nobody."""
        return {**dict(zip(names, self.arguments, strict=False)), **self.named}

    def written(self, result: Any) -> Any:
        """The result, in its place. Whatever else reads that tensor later reads the result."""
        if not self.inplace or not isinstance(result, Tensor):
            return result
        target: Tensor = self.arguments[0]
        target.copy_(result)
        return marked(target, mark_of(result))


@dataclass(frozen=True)
class _Slot:
    """The place of an argument that is given later."""

    at: int


class Taking:
    """A function of some tensors of a call. It stays with the graph, so it holds none that is part of the graph: a
    tensor that is written over has this call below it, and the two would keep each other for ever."""

    def __init__(self, run: Callable[..., Any], arguments: tuple[Any, ...], named: Mapping[str, Any]):
        self.run, self.arguments, self.named = run, arguments, named
        self._given = [x for x in tree_leaves((arguments, named)) if isinstance(x, Tensor)]
        self._versions = [x._version for x in self._given]

    @property
    def unchanged(self) -> bool:
        """False where something that is taken as given was written over since."""
        return all(x._version == v for x, v in zip(self._given, self._versions, strict=True))

    def __call__(self, *values: Tensor) -> Any:
        def put(value: Any) -> Any:
            return values[value.at] if isinstance(value, _Slot) else value

        arguments, named = tree_map(put, (self.arguments, self.named))
        return self.run(*arguments, **named)


def called(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], given: str = "") -> Called:
    """A call, read. ``given``: the function's name, where it is not what the function calls itself."""
    given = given or getattr(func, "__name__", "")
    name, inplace = _plain_name(given)
    run = func
    if isinstance(func, types.FunctionType) and "inplace" in (signature := _parameters(func)):
        at = signature.index("inplace")
        if kwargs.get("inplace") or (len(args) > at and args[at]):
            inplace = True
            kwargs = {**{k: v for k, v in kwargs.items() if k != "inplace"}, "inplace": False}
            args = args[:at]
    elif inplace:
        run = next((getattr(h, name) for h in (torch.Tensor, torch, F) if hasattr(h, name)), func)
    return Called(name, inplace, run, args, kwargs)


@cache
def _plain_name(given: str) -> tuple[str, bool]:
    """(`add`, True) for `add_` and `__iadd__`."""
    if given.startswith("__") and given.endswith("__"):
        name = given.strip("_")
        name, inplace = (name[1:], True) if name in _INPLACE else (name, False)
        return _PYTHON.get(name, name), inplace
    if given.endswith("_") and not given.startswith("_"):
        return given[:-1], True
    return _PYTHON.get(given, given), False


_INPLACE = frozenset(("iadd", "isub", "imul", "itruediv", "ipow", "imatmul", "ifloordiv"))


@cache
def _parameters(func: Any) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(func).parameters)
    except ValueError:  # a method of a tensor, wrapped
        return ()

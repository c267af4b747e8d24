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

from bbilang.runtime.relevance.marks import mark_of, marked

_PYTHON = {"truediv": "div", "floordiv": "floor_divide", "pow": "pow", "rtruediv": "rdiv", "pos": "positive"}


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

    def with_sources(self, others: Mapping[int, Tensor]) -> Any:
        """The result with other tensors in the place of some, which go by their identity."""

        def put(value: Any) -> Any:
            if isinstance(value, Tensor):
                return others.get(id(value), value)
            if type(value) in (tuple, list):
                return type(value)(map(put, value))
            return value

        return self.run(*map(put, self.arguments), **{name: put(value) for name, value in self.named.items()})

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


def called(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Called:
    """A call, read."""
    given = getattr(func, "__name__", "")
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
    return given, False


_INPLACE = frozenset(("iadd", "isub", "imul", "itruediv", "ipow", "imatmul", "ifloordiv"))


@cache
def _parameters(func: Any) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(func).parameters)
    except ValueError:  # a method of a tensor, wrapped
        return ()

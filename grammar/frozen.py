"""`@frozen`: `dataclass(frozen=True)` with comparison, hash and repr that are shared by all classes.

There are a hundred of these classes, and generating the methods of each took a fifth of the start-up of `bbi explain`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(kind: type[T]) -> type[T]:
    """Make a frozen dataclass, compared and hashed by its fields with ``compare``, printed by those with ``repr``.
    Methods that the class defines itself are kept."""
    own = set(vars(kind))
    for name, method in (("__eq__", _equal), ("__hash__", _hashed), ("__repr__", _printed)):
        if name not in own:
            setattr(kind, name, method)
    return dataclass(frozen=True, eq=False, repr=False)(kind)


@cache
def _compared(kind: Any) -> Any:
    names = [f.name for f in fields(kind) if f.compare]
    return attrgetter(*names) if names else lambda value: ()


def _equal(self: Any, other: object) -> Any:
    if self is other:
        return True
    if other.__class__ is not self.__class__:
        return NotImplemented
    kind: Any = self.__class__  # mypy (1.20) does not take the class of an object for hashable
    values = _compared(kind)
    return values(self) == values(other)


def _hashed(self: Any) -> int:
    kind: Any = self.__class__
    return hash(_compared(kind)(self))


def _printed(self: Any) -> str:
    shown = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr)
    return f"{self.__class__.__qualname__}({shown})"

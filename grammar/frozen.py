"""`@frozen`: a dataclass like `dataclass(frozen=True)` that costs little when its module is imported.

There are more than a hundred of these classes, and `dataclass` compiles six methods for each: a quarter of the start-up
of `bbi check`. Here all classes share comparison, hash, repr and the refusal of assignments, and `__init__` is compiled
when the first object of a class is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from functools import cache
from operator import attrgetter
from typing import Any, NoReturn, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(kind: type[T]) -> type[T]:
    """Make a frozen dataclass, compared and hashed by its fields with ``compare``, printed by those with ``repr``.
    Methods that the class defines itself stay."""
    own = set(vars(kind))
    for name, method in _SHARED.items():
        if name not in own:
            setattr(kind, name, method)
    if "__init__" not in own:
        setattr(kind, "__init__", _first_init(kind))  # noqa: B010  # mypy refuses the plain assignment
    return dataclass(init=False, eq=False, repr=False)(kind)


def _first_init(kind: Any) -> Callable[..., None]:
    """Return an `__init__` that compiles the one of ``kind`` and replaces itself with it."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        kind.__init__ = compiled = _compiled_init(kind)
        compiled(self, *args, **kwargs)

    return __init__


def _compiled_init(kind: Any) -> Callable[..., None]:
    """Compile an `__init__` with a parameter per field, which writes the object's dictionary."""
    positional, named, body = ["self"], ["*"], ["__own = self.__dict__"]
    values: dict[str, Any] = {"MISSING": MISSING}
    for f in fields(kind):
        default, made = f"default_{f.name}", f"made_{f.name}"
        value, parameter = f.name, f.name
        if f.default is not MISSING:
            values[default] = f.default
            parameter += f"={default}"
        elif f.default_factory is not MISSING:
            values[made] = f.default_factory
            parameter += "=MISSING"
            value = f"{made}() if {f.name} is MISSING else {f.name}"
        if f.init:
            (named if f.kw_only else positional).append(parameter)
        elif f.default_factory is not MISSING:
            value = f"{made}()"
        else:
            continue  # an attribute of the class, or set by `__post_init__`
        body.append(f"__own[{f.name!r}] = {value}")
    if hasattr(kind, "__post_init__"):
        body.append("self.__post_init__()")
    parameters = ", ".join([*positional, *(named if len(named) > 1 else [])])
    lines = [f"def __init__({parameters}):", *(f"    {line}" for line in body)]
    exec("\n".join(lines), values)
    init: Callable[..., None] = values["__init__"]
    init.__qualname__ = f"{kind.__qualname__}.__init__"  # for the errors of calls
    init.__module__ = kind.__module__
    return init


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


def _refuse_assignment(self: Any, name: str, value: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_deletion(self: Any, name: str) -> NoReturn:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


_SHARED: dict[str, Callable[..., Any]] = {
    "__eq__": _equal, "__hash__": _hashed, "__repr__": _printed,
    "__setattr__": _refuse_assignment, "__delattr__": _refuse_deletion,
}  # fmt: skip

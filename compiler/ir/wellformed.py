"""Checks that plain data has the form of a dataclass, before objects are made from JSON of unknown origin."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Union

MOST_LEVELS = 160  # of nested arrays and objects
LARGEST = 1 << 62  # magnitude of an integer


def check_levels(value: Any, most: int = MOST_LEVELS) -> None:
    """Check for JSON that is nested too deeply, or has numbers that are too large or not finite, without recursion.
    Raises ValueError."""
    pending = [(value, 0)]
    while pending:
        value, level = pending.pop()
        if level > most:
            raise ValueError(f"nested deeper than {most} levels")
        if isinstance(value, dict):
            pending.extend((child, level + 1) for child in value.values())
        elif isinstance(value, list | tuple):
            pending.extend((child, level + 1) for child in value)
        elif type(value) is int and abs(value) > LARGEST:
            raise ValueError("a whole number is larger than 2 ** 62")
        elif type(value) is float and value - value != 0:
            raise ValueError(f"{value} is no number of JSON")


def check_form(value: Any, kind: type, path: str) -> None:
    """Check that an object has the fields of the dataclass ``kind``, each of its type. Raises TypeError."""
    if not isinstance(value, dict):
        raise TypeError(f"{path} is no object")
    known = _types(kind)
    for name in value.keys() - known.keys():
        raise TypeError(f"{path} has no field {name!r}")
    for name in _required(kind) - value.keys():
        raise TypeError(f"{path} needs the field {name!r}")
    for name, item in value.items():
        _check(item, known[name], f"{path}.{name}")


def _check(value: Any, expected: Any, path: str) -> None:
    origin, inner = typing.get_origin(expected), typing.get_args(expected)
    if origin in (Union, types.UnionType):
        for one in inner:
            try:
                return _check(value, one, path)
            except TypeError:
                continue
    elif origin is tuple and isinstance(value, list | tuple):
        expect = inner[:1] * len(value) if inner[-1] is ... else inner
        if len(expect) == len(value):
            for number, (item, one) in enumerate(zip(value, expect, strict=True)):
                _check(item, one, f"{path}[{number}]")
            return
    elif origin in (Mapping, dict) and isinstance(value, Mapping):
        for name, item in value.items():
            _check(item, inner[1], f"{path}[{name!r}]")
        return
    elif is_dataclass(expected) and isinstance(expected, type):
        return check_form(value, expected, path)
    elif expected is Any or type(value) is expected or (expected is float and type(value) is int):
        return
    raise TypeError(f"{path} is not {getattr(expected, '__name__', expected)}")


@cache
def _types(kind: type) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


@cache
def _required(kind: type) -> frozenset[str]:
    return frozenset(f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING)

"""Encode numbers over named axes as bytes and decode them: a line of JSON, then the arrays in order. No pickle.

Arrays are of a few plain types in the machine-independent order; words stand in the JSON. What is read is bounded by
the bytes that are there, so that a record from elsewhere can be wrong but neither run code nor fill the memory.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.runtime.fields.binned import Binned
from bbilang.runtime.fields.field import Field, Linked, Named
from bbilang.runtime.fields.findings import Findings
from bbilang.runtime.fields.places import Places
from bbilang.runtime.fields.statements import Statements
from bbilang.runtime.fields.verdicts import Verdicts
from bbilang.runtime.json_types import JsonObject

FIELDS = {"field": Field, "linked": Linked, "findings": Findings, "statements": Statements, "verdicts": Verdicts,
          "binned": Binned, "places": Places}  # fmt: skip
KINDS = {"f": "<f", "i": "<i", "u": "<u", "b": "|b"}
DAMAGED = (
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    AttributeError,
    RecursionError,
    OverflowError,
)  # `decode` raises


class _Writer:
    """Collects arrays as bytes, and describes each as JSON."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0

    def array(self, data: np.ndarray) -> JsonObject:
        if data.dtype.kind in "OU":
            return {"shape": list(data.shape), "words": [str(word) for word in data.ravel().tolist()]}
        if data.dtype.kind not in KINDS:
            raise TypeError(f"an array of {data.dtype} is not stored")
        kind = f"{KINDS[data.dtype.kind]}{data.dtype.itemsize}"
        raw = np.ascontiguousarray(data, dtype=kind).tobytes()
        self.parts.append(raw)
        self.size += len(raw)
        return {"shape": list(data.shape), "type": kind, "at": self.size - len(raw)}

    def plain(self, value: object) -> object:
        if isinstance(value, Named):
            return {"named": list(value.dims), "array": self.array(value.data)}
        if isinstance(value, np.ndarray):
            return {"array": self.array(value)}
        if isinstance(value, Field):
            kind = next((name for name, known in FIELDS.items() if known is type(value)), None)
            if kind is None:  # written as a plain field it would come back without what it has besides
                raise TypeError(f"a {type(value).__name__} is not stored")
            parts = {f.name: self.plain(getattr(value, f.name)) for f in fields(value) if f.name != "type"}
            return {"field": asdict(value.type), "kind": kind, "parts": parts}
        if isinstance(value, dict):
            return {"table": [[name, self.plain(item)] for name, item in value.items()]}
        if isinstance(value, tuple):
            return {"tuple": [self.plain(item) for item in value]}
        if isinstance(value, list):
            return [self.plain(item) for item in value]
        if isinstance(value, np.generic):
            return value.item()
        return value


def encode(value: object) -> bytes:
    """Encode tables with names, lists, words, numbers, arrays, `Named` and `Field` as bytes. Raises TypeError for
    others."""
    writer = _Writer()
    head = json.dumps(writer.plain(value), separators=(",", ":"))
    return b"".join((head.encode(), b"\n", *writer.parts))


def decode(data: bytes) -> object:
    """Decode what `encode` returned. Raises one of `DAMAGED` for anything else."""
    head, _, rest = data.partition(b"\n")
    reader = _Reader(rest)
    value = reader.value(json.loads(head))
    if reader.at != len(rest):
        raise ValueError("there are bytes that no array is made of")
    return value


class _Reader:
    """Arrays lie one after another, each once: so many bytes give so many numbers, and no more."""

    def __init__(self, rest: bytes) -> None:
        self.rest, self.at = rest, 0

    def value(self, plain: Any) -> Any:
        if isinstance(plain, list):
            return [self.value(item) for item in plain]
        if not isinstance(plain, dict):
            return plain
        if "named" in plain:
            return Named(tuple(map(str, plain["named"])), self.array(plain["array"]))
        if "array" in plain:
            return self.array(plain["array"])
        if "field" in plain:
            parts = {str(name): self.value(part) for name, part in plain["parts"].items()}
            return _field(FIELDS[plain["kind"]], plain["field"], parts)
        if "tuple" in plain:
            return tuple(self.value(item) for item in plain["tuple"])
        return {str(name): self.value(item) for name, item in plain["table"]}

    def array(self, plain: JsonObject) -> np.ndarray:
        shape = tuple(plain["shape"])
        if not all(type(size) is int and 0 <= size < 1 << 40 for size in shape) or len(shape) > 32:
            raise ValueError("a shape is made of numbers")
        count = math.prod(shape)
        if "words" in plain:
            if len(plain["words"]) != count or not all(isinstance(word, str) for word in plain["words"]):
                raise ValueError("words do not fit their shape")
            made = np.empty(shape, object)
            made.ravel()[:] = plain["words"] if count else []
            return made
        kind, at = plain["type"], plain["at"]
        if not (isinstance(kind, str) and kind[:2] in KINDS.values() and kind[2:] in ("1", "2", "4", "8")):
            raise ValueError("no plain type of numbers")
        if type(at) is not int or at != self.at:
            raise ValueError("arrays overlap, or bytes between them are left over")
        self.at += count * int(kind[2:])
        if self.at > len(self.rest):
            raise ValueError("numbers are missing")
        return np.frombuffer(self.rest, np.dtype(kind), count, at).reshape(shape).copy()


def _field(kind: type[Field], type: JsonObject, parts: JsonObject) -> Field:
    axes = {name: tuple(Axis(**_tuples(axis)) for axis in type[name]) for name in ("axes", "states")}
    field = kind(FieldType(**{**_tuples(type), **axes}), **parts)
    named = [field.values, *field.coords.values(), *field.names.values(), *field.columns.values()]
    named += field.tables.values() if isinstance(field, Binned) else ()
    named += [part for part in (field.index, field.weight) if part is not None]
    if not all(isinstance(part, Named) for part in named):
        raise ValueError("a field is made of named arrays")
    if isinstance(field, Linked) and not all(isinstance(part, Field) for part in (*field.nodes, *field.pairs)):
        raise ValueError("a linked list is made of fields")
    return field


def _tuples(plain: JsonObject) -> JsonObject:
    return {name: _tupled(value) for name, value in plain.items()}


def _tupled(value: object) -> object:
    return tuple(map(_tupled, value)) if isinstance(value, list) else value

"""The result of a module: a tensor, or tensors in tuples, mappings and records, however deep.

Passes read one tensor of a result, and can replace it: the ``logits`` where there are some, else the first
floating-point tensor directly in it, else the first one inside its parts.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

Path = tuple[object, ...]  # keys, indices and names of fields, from the outside
_PLAIN = (Tensor, str, bytes, int, float, complex, type(None), torch.dtype, torch.device)


def children_of(value: object) -> dict[Any, object] | None:
    """Return key, index or field -> its value; None for what has no parts."""
    if isinstance(value, Mapping):
        return dict(value.items())
    if isinstance(value, tuple | list):
        return dict(enumerate(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return dict(vars(value)) if isinstance(value, SimpleNamespace) else None


def tensor_path(value: object) -> Path | None:
    """Return the path of the tensor that passes read; None where there is none."""
    for kind in (_of_numbers, Tensor.__instancecheck__):
        if (path := _first(value, kind)) is not None:
            return path
    return None


def _of_numbers(value: Tensor) -> bool:
    return value.is_floating_point() or value.is_complex()


def _first(value: object, accepts: Callable[[Tensor], bool]) -> Path | None:
    if isinstance(value, Tensor):
        return () if accepts(value) else None
    parts = children_of(value)
    if not parts:
        return None
    order = sorted(parts, key=lambda key: (key != "logits", not isinstance(parts[key], Tensor)))  # stable
    for key in order:
        if (path := _first(parts[key], accepts)) is not None:
            return (key, *path)
    return None


def value_at(value: object, path: Path) -> Any:
    """Return the value at a path. Raises KeyError where there is none."""
    for key in path:
        value = (children_of(value) or {})[key]
    return value


def first_tensor(value: object) -> Tensor | None:
    """Return the tensor that passes read; None where there is none."""
    path = tensor_path(value)
    return None if path is None else value_at(value, path)


def tensors(value: object) -> Iterator[Tensor]:
    """Yield all tensors of a result, in order."""
    if isinstance(value, Tensor):
        yield value
    for part in (children_of(value) or {}).values():
        yield from tensors(part)


def map_leaves(value: object, change: Callable[[object], object]) -> object:
    """Return the same structure with every leaf changed; a part without a changed leaf is returned as it is."""
    parts = children_of(value)
    if parts is None:
        return change(value)
    changed = {key: map_leaves(part, change) for key, part in parts.items()}
    if all(changed[key] is part for key, part in parts.items()):
        return value
    if isinstance(value, tuple):
        return _tuple_like(value, list(changed.values()))
    if isinstance(value, list):
        same_kind = copy.copy(value)
        same_kind[:] = changed.values()
        return same_kind
    if isinstance(value, Mapping) and not hasattr(value, "__setitem__"):
        return type(value)(changed)  # type: ignore[call-arg]
    fresh: Any = copy.copy(value)
    if isinstance(value, Mapping):
        for key, part in changed.items():
            if part is not parts[key]:
                fresh[key] = part  # a record of transformers keeps its field beside it
        return fresh
    for key, part in changed.items():
        if part is not parts[key]:
            object.__setattr__(fresh, key, part)  # also where it is frozen
    return fresh


def _tuple_like(value: tuple[object, ...], parts: list[object]) -> object:
    kind = type(value)
    if hasattr(kind, "n_sequence_fields"):  # of torch.return_types
        return kind(parts)
    fresh = tuple.__new__(kind, parts)  # whatever its own constructor takes
    if hasattr(value, "__dict__"):
        fresh.__dict__.update(value.__dict__)
    return fresh


def is_transparent(value: object) -> bool:
    """Return whether every tensor in a result can be seen: an object of another kind may hide some."""
    parts = children_of(value)
    if parts is None:
        return isinstance(value, _PLAIN)
    return all(map(is_transparent, parts.values()))

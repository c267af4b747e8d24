"""A mapping keyed by objects, not by their values: equal nodes of an unoptimized program are computed apart."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class IdentityMap(MutableMapping[K, V]):
    """A dictionary that compares keys with ``is``. It holds its keys, so that no other object takes their identity."""

    def __init__(self) -> None:
        self._entries: dict[int, tuple[K, V]] = {}

    def __getitem__(self, key: K) -> V:
        try:
            return self._entries[id(key)][1]
        except KeyError:
            raise KeyError(key) from None

    def get(self, key: K, default: Any = None) -> Any:
        entry = self._entries.get(id(key))
        return default if entry is None else entry[1]

    def setdefault(self, key: K, default: Any = None) -> Any:
        return self._entries.setdefault(id(key), (key, default))[1]

    def __setitem__(self, key: K, value: V) -> None:
        self._entries[id(key)] = (key, value)

    def __delitem__(self, key: K) -> None:
        del self._entries[id(key)]

    def __contains__(self, key: object) -> bool:
        return id(key) in self._entries

    def __iter__(self) -> Iterator[K]:
        return (key for key, _ in self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

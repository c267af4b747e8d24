"""Restore the attributes of a module that its own code changes while it runs under a tracer or a transform."""

from __future__ import annotations

import operator
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

CONTAINERS = frozenset((dict, OrderedDict, defaultdict, list, set, deque))


@contextmanager
def restored(module: nn.Module) -> Iterator[None]:
    """Restore a module's attributes at the end: every attribute is then the same object as before, and every container
    among them has its former contents. Features and caches that the module stores (`self.cache[key] = bias`) may
    otherwise be symbols of a graph, or tensors of a finished transform."""
    filled: list[tuple[Any, Any]] = []
    empty: list[Any] = []  # most containers: the hooks that a module does not have
    for child in module.modules():
        own = vars(child)
        containers = [value for value in own.values() if type(value) in CONTAINERS]
        filled.append((own, dict(own)))
        filled += [(value, value.copy()) for value in containers if value]
        empty += [value for value in containers if not value]
    try:
        yield
    finally:
        for live in filter(None, empty):
            live.clear()
        for live, was in filled:
            if not _same(live, was):
                live.clear()
                live.extend(was) if isinstance(live, list | deque) else live.update(was)


def _same(live: Any, was: Any) -> bool:
    """Return whether a container holds the same objects in the same order."""
    if len(live) != len(was):
        return False
    if isinstance(live, dict):
        return live.keys() == was.keys() and all(map(operator.is_, live.values(), was.values()))
    return live == was if isinstance(live, set) else all(map(operator.is_, live, was))

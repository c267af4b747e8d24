"""Restores the attributes of a module that its own code changes while it runs under a tracer or a transform."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

CONTAINERS = (dict, OrderedDict, defaultdict, list, set, deque)


@contextmanager
def restored(module: nn.Module) -> Iterator[None]:
    """Restore a module's attributes at the end: every attribute is then the object that it was, and every container
    among them holds what it held. Features that the module keeps and caches that it fills (`self.cache[key] = bias`)
    may otherwise be symbols of a graph, or tensors of a transform that is over."""
    known: list[tuple[Any, Any]] = []
    for child in module.modules():
        own = vars(child)
        known.append((own, dict(own)))
        known += [(value, value.copy() if value else ()) for value in own.values() if type(value) in CONTAINERS]
    try:
        yield
    finally:
        for live, was in known:
            if not _same(live, was):
                live.clear()
                live.extend(was) if isinstance(live, list | deque) else live.update(was)


def _same(live: Any, was: Any) -> bool:
    if not live or len(live) != len(was):  # most are empty: the hooks that a module does not have
        return not live and not was
    if isinstance(live, dict):
        return all(key in live and live[key] is value for key, value in was.items())
    return live == was if isinstance(live, set) else all(a is b for a, b in zip(live, was, strict=True))

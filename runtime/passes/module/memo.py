"""The memo of a live module: what passes have learned about it, valid until the module changes.

Once in each run, and at each call outside of a run, a digest of the module (its code, attributes, hooks, and which
tensors it holds) is compared with the last one. Where they differ, or no digest can be made, the memo starts empty.
"""

from __future__ import annotations

import weakref
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from bbilang.runtime.passes.module.digest import Live, live


@dataclass
class _Memory:
    """The memoized results of one module."""

    when: Live | None
    entries: dict[Hashable, Any] = field(default_factory=dict)


_memories: weakref.WeakKeyDictionary[nn.Module, _Memory] = weakref.WeakKeyDictionary()
_checked: ContextVar[weakref.WeakSet[nn.Module] | None] = ContextVar("_checked", default=None)


@contextmanager
def module_unchanged() -> Iterator[None]:
    """Treat modules as unchanged inside, once they were checked: the hooks and stubs of the passes themselves do not
    count."""
    token = _checked.set(weakref.WeakSet()) if _checked.get() is None else None
    try:
        yield
    finally:
        if token is not None:
            _checked.reset(token)


def memo_of(module: nn.Module) -> dict[Hashable, Any]:
    """Return the writable entries of the module in its present state: empty where it has changed."""
    known, checked = _memories.get(module), _checked.get()
    if known is not None and checked is not None and module in checked:
        return known.entries
    now = live(module)
    if known is None or now is None or now != known.when or not known.when.holds:
        known = _memories[module] = _Memory(now)
    if checked is not None:
        checked.add(module)
    return known.entries


def checked_memo(module: nn.Module) -> dict[Hashable, Any] | None:
    """Return the entries of a module that was checked in this run; None for any other, since checking takes longer than
    what a pass would save."""
    checked, known = _checked.get(), _memories.get(module)
    return known.entries if checked is not None and known is not None and module in checked else None

"""Progress events, and the listeners that receive them."""

from __future__ import annotations

import time
from typing import Literal, Protocol

from bbilang.grammar.frozen import frozen


@frozen
class Event:
    """One report: ``pass`` before each step of the plan, ``work`` within a long one (``done`` of ``total`` parts
    of what ``words`` name, ``seconds`` left; ``rate`` of examples in a second, where the parts are examples),
    ``estimate`` before icons are made (``total`` icons in about ``seconds``), ``icons`` while they are (``done`` of
    ``total``, ``seconds`` left)."""

    kind: Literal["pass", "work", "estimate", "icons"]
    words: str = ""
    done: int = 0
    total: int = 0
    seconds: float | None = None
    rate: float | None = None


class RunListener(Protocol):
    """Called with every event of a run, on the thread of the run. An exception ends the run."""

    def __call__(self, event: Event, /) -> None: ...


class Progress:
    """Reports the steps of a plan and, within a long step, its progress and remaining time."""

    def __init__(self, listener: RunListener | None = None):
        self._listener = listener
        self._words = ""
        self._since, self._done_then = 0.0, 0

    def step(self, words: str, done: int, total: int) -> None:
        """Report the start of step ``done`` of ``total``."""
        if self._listener is not None:
            self._listener(Event("pass", words, done, total))

    def work(self, words: str, done: int, total: int) -> None:
        """``done`` of ``total`` parts of one long step are done; ``words`` name the work."""
        now = time.monotonic()
        if words != self._words:
            self._words, self._since, self._done_then = words, now, done
        if self._listener is not None:
            new = done - self._done_then
            left = (now - self._since) / new * (total - done) if new > 0 else 0.0
            self._listener(Event("work", words, done, total, left))

"""Ends a run that takes longer, or more memory, than its limits, at the line that was being computed.

Time is watched by a thread, which ends the work at its next line of Python as Ctrl-C does, so that no loop of a text's
making can outlast it; memory is looked at between steps and within long ones, wherever the run reports progress.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bbilang.compiler.plan.limits import Limits
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.source import Source, Span
from bbilang.runtime.events import Event, RunListener

SpanOf = Callable[[str], "Span | None"]  # of the steps of a kind


class Overtime(BaseException):
    """The time is over. No handler of ordinary errors takes it for one."""


class Watch:
    """Watches one run. ``span_of``: where the text asks for the steps of a kind. The time of several parts of the run,
    each `within` it, is that from the first one's beginning."""

    def __init__(self, limits: Limits, source: Source | None, span_of: SpanOf, listener: RunListener | None):
        self.limits, self.source, self.span_of, self.listener = limits, source, span_of, listener
        self._kind = ""
        self._until: float | None = None
        self._memory = 0

    def __call__(self, event: Event, /) -> None:
        """Take note of an event, and pass it on. Raises BbiError E588."""
        if event.kind == "pass":
            self._kind = event.words
        elif event.kind in ("estimate", "icons"):
            self._kind = "icons"
        self._check_memory()
        if self.listener is not None:
            self.listener(event)

    @contextmanager
    def within(self) -> Iterator[None]:
        """Watch a part of the run. Raises BbiError E587, E588."""
        if self._until is None:
            self._memory = _taken()
            self._until = time.monotonic() + (self.limits.seconds or 0.0)
        try:
            with _ended_after(self._until - time.monotonic() if self.limits.seconds is not None else None):
                yield
        except Overtime:
            raise self._error(
                "E587", f"this page took longer than the {self.limits.seconds:g} s that are allowed",
                "show less of it, smaller icons (`set featvis.steps 64`), or fewer examples",
            ) from None  # fmt: skip
        self._check_memory()

    def _check_memory(self) -> None:
        limit = self.limits.memory
        if limit is None:
            return
        more = _taken() - self._memory
        if more > limit:
            message = f"this page takes {more / 10**6:,.0f} MB of memory, and {limit / 10**6:,.0f} MB is allowed"
            raise self._error("E588", message, "show less of it, or fewer and smaller pictures")

    def _error(self, code: str, message: str, help: str) -> BbiError:
        return BbiError(Diagnostic(code, message, self.span_of(self._kind), help), self.source)


@contextmanager
def before_running(limits: Limits, source: Source | None, doing: str) -> Iterator[None]:
    """Watch work on a text before anything runs: reading, typing, searching for completions; ``doing``: its words.
    Raises BbiError E587, which has no place: the whole text takes so long."""
    try:
        with _ended_after(limits.seconds):
            yield
    except Overtime:
        message = f"{doing} took longer than the {limits.seconds:g} s that are allowed"
        raise BbiError(Diagnostic("E587", message, help="make the text shorter, or its holes fewer"), source) from None


@contextmanager
def _ended_after(seconds: float | None) -> Iterator[None]:
    """End a block with Overtime when so many seconds are over."""
    if seconds is None:
        yield
        return
    if seconds <= 0:
        raise Overtime
    thread, lock, over = threading.get_ident(), threading.Lock(), False

    def end() -> None:
        with lock:
            if not over:
                _raise_in(thread, Overtime)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        with lock:  # after this the timer does nothing
            over = True
        _raise_in(thread, None)  # what it has begun and Python has not delivered


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    wanted = ctypes.py_object(error) if error is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), wanted)


def _taken() -> int:
    """Return the bytes that the process has, and those on its graphics processors."""
    import sys

    import psutil

    count: int = psutil.Process().memory_info().rss
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        count += sum(torch.cuda.memory_allocated(device) for device in range(torch.cuda.device_count()))
    return count

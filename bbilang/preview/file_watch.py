"""Watch the text, the texts beside it, and its pictures for changes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from threading import Condition, Event, Thread

from bbilang.grammar.diagnostic import BbiError, Diagnostic

QUIET = 60  # milliseconds without a change: editors write a file in several steps


class Saves:
    """Counts them."""

    def __init__(self) -> None:
        self._changed = Condition()
        self.number = 0

    def add(self) -> None:
        with self._changed:
            self.number += 1
            self._changed.notify_all()

    def wait(self, beyond: int) -> None:
        """Wait until the count exceeds a number. KeyboardInterrupt passes through."""
        with self._changed:
            self._changed.wait_for(lambda: self.number != beyond)


def watching(text: Path, others: Callable[[], Collection[Path]], saves: Saves, stop: Event) -> Thread:
    """Start a thread that watches the text's folder until ``stop``, for .bbi texts and ``others``.

    Raises BbiError E903 where watchfiles is not installed.
    """
    try:
        from watchfiles import watch
    except ModuleNotFoundError as error:
        if error.name != "watchfiles":
            raise
        help = "pip install 'bbilang[watch]', or pip install watchfiles"
        raise BbiError(Diagnostic("E903", "`bbi watch` needs the package watchfiles", help=help)) from error

    def matters(_: object, name: str) -> bool:
        path = Path(name)
        return path.suffix == ".bbi" or path == text or path in others()

    def run() -> None:
        folder = text.parent
        for _ in watch(
            folder, watch_filter=matters, debounce=1000, step=QUIET, stop_event=stop, recursive=False,
            rust_timeout=500, raise_interrupt=False,
        ):  # fmt: skip
            saves.add()

    thread = Thread(target=run, name="bbi watch", daemon=True)
    thread.start()
    return thread

"""Show the progress of a run: a bar on a terminal, plain lines elsewhere, nothing with `--quiet`."""

from __future__ import annotations

import os
import sys
import time
import warnings
from typing import Any

from bbilang.cli.console import console, duration, is_terminal, plural, report, tell
from bbilang.grammar.diagnostic import Diagnostic
from bbilang.runtime.events import Event

DOING = {"forward": "running the network", "backward": "asking what the scores depend on", "draw": "computing",
         "reruns": "running the network again", "icons": "measuring how long the icons will take"}  # fmt: skip
EVERY = 10.0  # seconds between two lines where nothing can move


class ProgressBar:
    """Shows the events of a run, and counts the icons that were made and those that were cached."""

    def __init__(self, quiet: bool = False):
        self.quiet = quiet
        self.made = self.cached = 0
        self._bar: Any = None
        self._tasks: Any = None  # of unknown length, and of known
        self._started_at = self._reported_at = time.monotonic()
        self._warnings = warnings.catch_warnings()

    def __enter__(self) -> ProgressBar:
        self._warnings.__enter__()
        if not os.environ.get("BBI_DEBUG"):
            warnings.showwarning = self._warned
        if not self.quiet and is_terminal(sys.stderr):
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

            self._bar = Progress(
                SpinnerColumn(), BarColumn(bar_width=24), TextColumn("{task.description}", markup=False),
                console=console(sys.stderr), transient=True,
            )  # fmt: skip
            self._tasks = self._bar.add_task("", total=None), self._bar.add_task("", total=1.0, visible=False)
            self._bar.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._warnings.__exit__(*exception)
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _warned(self, message: Warning | str, *rest: Any, **named: Any) -> None:
        """Show Python warnings that concern the user, which are the cache's own, and hide those of libraries."""
        if str(message).startswith("the cache "):
            report([Diagnostic("W440", str(message), severity="warning")])

    def doing(self, words: str) -> None:
        """Show the current activity, where animation is possible."""
        if self._bar is not None:
            self._move(words)

    def line(self, words: str) -> None:
        """Print a permanent line."""
        if self.quiet:
            return
        if self._bar is not None:
            self._bar.console.print(words, soft_wrap=True)
        else:
            tell(words)

    def __call__(self, event: Event) -> None:
        match event.kind:
            case "pass":
                self.doing(DOING.get(event.words, event.words))
            case "work":
                self._work(event)
            case "estimate":
                self._estimated(event)
            case "icons":
                self._icons(event)

    def _work(self, event: Event) -> None:
        now, left = time.monotonic(), event.seconds or 0.0
        share = event.done / max(event.total, 1)
        words = f"{event.words}: {share:.0%}" + (f", {event.rate:,.1f} examples/s" if event.rate else "")
        words += f", about {duration(left)} left" if left else ""
        if self._bar is not None:
            self._move(words, share)
        elif now - self._reported_at >= EVERY:
            self._reported_at = now
            self.line(words)

    def _estimated(self, event: Event) -> None:
        self.made, self.cached = self.made + event.total, self.cached + event.done
        self._started_at = self._reported_at = time.monotonic()
        if event.total:
            more = f"; {event.done} more {'is' if event.done == 1 else 'are'} in the cache" if event.done else ""
            about = f"about {duration(event.seconds)}" if event.seconds is not None else "no telling how long"
            self.line(f"making {plural(event.total, 'icon')} ({event.words}), {about}{more}")
            self.doing("making icons")
        elif event.done:
            self.line(f"{plural(event.done, 'icon')} ({event.words}), all in the cache")

    def _icons(self, event: Event) -> None:
        now, left = time.monotonic(), event.seconds or 0.0
        words = f"{event.done} of {plural(event.total, 'icon')}"
        words += f", about {duration(left)} left" if event.done < event.total else ""
        if self._bar is not None:
            self._move(words, (now - self._started_at) / max(now - self._started_at + left, 1e-9))
        elif now - self._reported_at >= EVERY:
            self._reported_at = now
            self.line(words)

    def _move(self, words: str, share: float | None = None) -> None:
        """Show one of the two bars: the pulsing one, or, with a share of 0 to 1, the other."""
        unknown, known = self._tasks
        self._bar.update(unknown, visible=share is None, description=words)
        self._bar.update(known, visible=share is not None, description=words, completed=min(share or 0.0, 0.999))

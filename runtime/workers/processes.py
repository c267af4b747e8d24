"""Workers as processes of this machine.

Each is a new Python, not a fork, so that locks and threads of this process do not matter; a thread here talks to it
through its standard input and output.
"""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from typing import Any

from bbilang.runtime.errors import error
from bbilang.runtime.workers.task import MOST_DEATHS, TASK, UNIT, Failure, R, Reserve, Task, U, pickled, too_many_deaths


class Processes(Reserve["subprocess.Popen[bytes]"]):
    """``count`` processes with so many ``threads`` each; by default they share the processors."""

    def __init__(self, count: int, threads: int | None = None):
        if count < 1:
            raise error("E440", f"`--workers` is a number from 1, not {count}")
        super().__init__()
        self.count = count
        self.threads = threads or max(1, usable_processors() // count)

    def _dismiss(self, waiting: Sequence[subprocess.Popen[bytes]]) -> None:
        for process in waiting:
            _end(process)

    def run(self, task: Task[U, R], units: Sequence[U]) -> Generator[tuple[U, R], None, None]:
        """See `Pool`."""
        run = _Run(pickled(task), units, self.threads, [] if self._waiting is None else self._waiting)
        run.start(min(self.count, len(units)))
        try:
            for _ in units:
                unit, result = run.finished.get()
                if isinstance(result, Failure):
                    result.raise_here()
                if isinstance(result, BaseException):
                    raise result
                yield unit, result
            if self._waiting is not None:
                self._waiting += run.leave()
        finally:
            run.stop()


class _Run:
    """One task on its processes. ``there``: processes that wait for a task; those that are used are taken out."""

    def __init__(self, task: bytes, units: Sequence[object], threads: int, there: list[subprocess.Popen[bytes]]):
        self.finished: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()
        self._waiting: queue.SimpleQueue[tuple[Any, int] | None] = queue.SimpleQueue()  # with the deaths at the unit
        for unit in units:
            self._waiting.put((unit, 0))
        self._task, self._threads, self._there = task, threads, there
        self._left: list[subprocess.Popen[bytes]] | None = None  # the processes that outlive the run
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._lock, self._ended = threading.Lock(), False
        self._feeders: list[threading.Thread] = []

    def start(self, count: int) -> None:
        self._feeders = [threading.Thread(target=self._feed, name="worker", daemon=True) for _ in range(count)]
        for feeder in self._feeders:
            feeder.start()

    def leave(self) -> list[subprocess.Popen[bytes]]:
        """End the run after its last unit, and return its processes, which wait for another task."""
        with self._lock:
            self._left = []
        for _ in self._feeders:
            self._waiting.put(None)
        for feeder in self._feeders:
            feeder.join()
        return self._left

    def stop(self) -> None:
        """End all processes, also those that compute."""
        with self._lock:
            self._ended = True
            for process in self._processes:
                process.kill()
        for _ in self._feeders:
            self._waiting.put(None)
        for feeder in self._feeders:
            feeder.join()

    def _feed(self) -> None:
        """Feed units to one process, and to a new one after it died."""
        process: subprocess.Popen[bytes] | None = None
        try:
            while (item := self._waiting.get()) is not None:
                unit, deaths = item
                try:
                    process = process or self._process()
                    if process is None:  # `stop` was called
                        return
                    self.finished.put((unit, _outcome_of(process, unit)))
                except (EOFError, OSError, pickle.UnpicklingError):
                    code = self._end_process(process)
                    process = None
                    if deaths + 1 >= MOST_DEATHS:
                        self.finished.put((unit, too_many_deaths(unit, f"it ended with {code}")))
                    else:
                        self._waiting.put((unit, deaths + 1))
        except Exception as failure:  # raised in the thread that waits
            self.finished.put((None, failure))
        finally:
            if process is not None and not self._stays(process):
                self._end_process(process)

    def _stays(self, process: subprocess.Popen[bytes]) -> bool:
        """Return whether a process without further units of this run waits for another task."""
        with self._lock:
            if self._left is None:
                return False
            self._processes.discard(process)
            self._left.append(process)
        return True

    def _process(self) -> subprocess.Popen[bytes] | None:
        number = str(self._threads)
        paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
        environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": number, "OPENBLAS_NUM_THREADS": number}
        with self._lock:
            if self._ended:
                return None
            self._there[:] = [process for process in self._there if process.poll() is None]
            process = self._there.pop() if self._there else subprocess.Popen(
                [sys.executable, "-m", "bbilang.runtime.workers.worker"], env=environment,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )  # fmt: skip
            self._processes.add(process)
        _send(process, TASK, self._task)
        return process

    def _end_process(self, process: subprocess.Popen[bytes] | None) -> str:
        """End a process if it still runs, and return how it ended, in words."""
        if process is None:
            return "no process"
        code = _end(process)
        with self._lock:
            self._processes.discard(process)
        return f"signal {-code}" if code < 0 else f"code {code}"


def _end(process: subprocess.Popen[bytes]) -> int:
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        try:
            pipe.close()
        except OSError:  # what was not sent yet
            pass
    process.kill()
    return process.wait()


def _send(process: subprocess.Popen[bytes], kind: str, value: object) -> None:
    assert process.stdin is not None
    process.stdin.write(pickle.dumps((kind, value)))
    process.stdin.flush()


def _outcome_of(process: subprocess.Popen[bytes], unit: object) -> object:
    """Return the outcome of a unit. Raises EOFError or OSError where the process ended."""
    assert process.stdout is not None
    _send(process, UNIT, unit)
    return pickle.load(process.stdout)


def usable_processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

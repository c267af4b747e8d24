"""The work of workers: a task, which is sent to each of them once, and its units, which they compute one by one."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Generic, Protocol, TypeVar

from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.frozen import frozen
from bbilang.runtime import heap
from bbilang.runtime.errors import error

U = TypeVar("U")
R = TypeVar("R")
W = TypeVar("W")
U_contra = TypeVar("U_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)
TASK, UNIT = "task", "unit"  # what a message to a process holds
MOST_DEATHS = 3  # of workers at the same unit


class Task(Protocol[U_contra, R_co]):
    """Work that is sent to each worker, pickled between processes of the same user."""

    def start(self) -> Callable[[U_contra], R_co]:
        """Load what every unit needs, in a worker, and return what computes a unit."""


class Pool(Protocol):
    """Workers that compute units."""

    def run(self, task: Task[U, R], units: Sequence[U]) -> Generator[tuple[U, R], None, None]:
        """Yield each unit with its result, in the order in which they are finished. Another worker computes a unit
        whose worker died. Close it to end the workers. Raises what the task raises, and BbiError E517, E518."""

    def kept(self) -> AbstractContextManager[None]:
        """Return a context in which workers wait for the next run after one, instead of ending: a start takes 2 s."""


class Reserve(Generic[W]):
    """Workers that wait for another task, inside of `kept`: what pools have in common."""

    def __init__(self) -> None:
        self._waiting: list[W] | None = None

    @contextmanager
    def kept(self) -> Iterator[None]:
        """See `Pool`."""
        if self._waiting is not None:
            yield
            return
        self._waiting = []
        try:
            yield
        finally:
            waiting, self._waiting = self._waiting, None
            self._dismiss(waiting)

    def _dismiss(self, waiting: Sequence[W]) -> None:
        """End those that still wait."""
        raise NotImplementedError


@frozen
class Failure:
    """An error of a worker: diagnostics, or a traceback."""

    diagnostics: tuple[Diagnostic, ...]
    words: str

    @classmethod
    def of(cls, failure: BaseException) -> Failure:
        own = failure.diagnostics if isinstance(failure, BbiError) else ()
        return cls(own, "".join(traceback.format_exception(failure)))

    def raise_here(self) -> None:
        """Raise the error in the driver."""
        if self.diagnostics:
            raise BbiError(self.diagnostics)
        raise RuntimeError(f"a worker failed:\n{self.words}")


class TaskRunner:
    """Runs the units of a task in a worker; the first of them starts the task. Tasks arrive pickled, since arrays that
    Ray itself sends are read-only."""

    def __init__(self) -> None:
        self._task = b""
        self._compute: Callable[[object], object] | None = None

    def begin(self, task: bytes) -> None:
        """Take another task: the units that follow are of it."""
        self._task, self._compute = task, None

    def outcome(self, unit: object) -> object:
        """Return the result of a unit, or the `Failure`."""
        try:
            if self._compute is None:
                heap.own_process()
                heap.keep_freed_blocks()
                self._compute = self._loaded().start()
            return self._compute(unit)
        except Exception as failure:  # raised again by the process that asked for the unit
            return Failure.of(failure)

    def _loaded(self) -> Task[object, object]:
        try:
            task: Task[object, object] = pickle.loads(self._task)
        except Exception as failure:  # a class that this process does not have
            raise not_sendable(failure) from failure
        return task


def pickled(task: object) -> bytes:
    """Pickle a task for a worker. Raises BbiError E517 for what cannot be pickled."""
    try:
        return pickle.dumps(task)
    except (pickle.PicklingError, AttributeError, TypeError) as failure:
        raise not_sendable(failure) from failure


def not_sendable(failure: Exception) -> BbiError:
    """Make the error of a task that cannot be pickled, or not be unpickled in a worker."""
    message = f"the work cannot be sent to a worker: {failure}"
    return error("E517", message, "define the network's classes in a file, or leave out `--workers`")


def too_many_deaths(unit: object, words: str) -> BbiError:
    """Make the error of a unit at which several workers died."""
    message = f"{unit} ended its worker {MOST_DEATHS} times{': ' if words else ''}{words}"
    return error("E518", message, "usually the memory did not suffice: use fewer workers, or a smaller batch")

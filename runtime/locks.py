"""Exclusive locks between processes, which end with the process that holds them.

POSIX systems lock with `fcntl.flock`: a lock takes 30 microseconds there and `filelock` 270, besides 65 milliseconds to
import it, and a page from the cache takes many. Elsewhere (Windows) `filelock` does it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # a module of POSIX alone


class Lock:
    """A lock on a file, which is made where it is not there, or on a folder that is."""

    def __init__(self, path: Path):
        self.path = path
        self._handle: int | None = None
        self._filelock: Any = None

    def acquire(self, wait: bool = True) -> bool:
        """Take the lock; False where another process, or another lock of this one, has it and ``wait`` is False.
        Raises OSError where the file cannot be opened or locked."""
        return self._by_filelock(wait) if fcntl is None else self._by_flock(wait)

    def _by_flock(self, wait: bool) -> bool:
        flags = os.O_RDONLY if self.path.is_dir() else os.O_RDWR | os.O_CREAT
        handle = os.open(self.path, flags, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(handle)
            return False
        except BaseException:
            os.close(handle)
            raise
        self._handle = handle
        return True

    def _by_filelock(self, wait: bool) -> bool:
        from filelock import FileLock, Timeout

        path = f"{self.path}.lock" if self.path.is_dir() else str(self.path)
        self._filelock = FileLock(path, mode=0o600)
        try:
            self._filelock.acquire(blocking=wait)
        except Timeout:
            self._filelock = None
            return False
        return True

    def release(self) -> None:
        """Give the lock back. The file stays, unless the system's own way removes it."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        if self._filelock is not None:
            self._filelock.release()
            self._filelock = None


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Inside, no other process is inside for the same folder. A folder that is not there, or cannot be locked, keeps
    nobody out."""
    lock = Lock(folder)
    with suppress(OSError):
        if folder.is_dir():
            lock.acquire()
    try:
        yield
    finally:
        lock.release()

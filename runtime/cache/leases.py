"""Which records somebody needs now: one file for each process at work, with a key on each line.

A holder keeps its file locked (flock) for as long as it lives, so a file that can be locked belongs to nobody and is
removed. Where there are no such locks a file counts for a day. Nobody begins to hold a record while another looks who
holds it and removes it, see `alone`.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_DAY = 86400.0


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Inside, no other process is inside for the same folder. Without locks, or such a folder, nothing is kept out."""
    if fcntl is None:
        yield
        return
    handle = None
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


class Hold:
    """The keys that this process holds. Where the folder cannot be written, nothing is held and nothing is said."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._file: IO[bytes] | None = None
        self.keys: set[str] = set()
        self._tried = False

    def add(self, key: str) -> None:
        if key in self.keys:
            return
        self.keys.add(key)
        if not self._tried:
            self._tried = True
            with suppress(OSError):
                self._open()
        if self._file is not None:
            with suppress(OSError), alone(self.folder):
                self._file.write(key.encode() + b"\n")
                self._file.flush()

    def _open(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(prefix="new-", dir=self.folder)
        self._file = os.fdopen(handle, "wb")
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._name = self.folder / f"{os.getpid()}-{Path(name).name.removeprefix('new-')}"
        os.replace(name, self._name)  # from now on others look at it

    def release(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            with suppress(OSError):
                self._name.unlink()


def held(folder: Path) -> set[str]:
    """Every key that a living process holds; what dead ones left is removed."""
    found: set[str] = set()
    try:
        names = os.listdir(folder)
    except OSError:
        return found
    for name in names:
        path = folder / name
        try:
            with path.open("rb") as file:
                if _abandoned(file, name.startswith("new-")):
                    path.unlink()
                else:
                    found.update(file.read().decode("ascii", "replace").split())
        except OSError:  # another process removed it meanwhile
            continue
    return found


def _abandoned(file: IO[bytes], fresh: bool) -> bool:
    age = time.time() - os.fstat(file.fileno()).st_mtime
    if fcntl is None or fresh:
        return age > _DAY
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True

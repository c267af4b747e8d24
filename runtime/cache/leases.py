"""Leases: one file for each running process lists the keys of the records that it needs.

A holder keeps a lock beside its file for as long as it lives, so a file whose lock can be taken belongs to nobody and
is removed. Nobody begins to hold a record while another looks who holds it and removes it, see `locks.alone`.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import IO

from bbilang.runtime.locks import Lock, alone

SUFFIX = ".lock"


class Hold:
    """The keys that this process holds. If the folder cannot be written, holding silently does nothing."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.keys: set[str] = set()
        self._name = folder / f"{os.getpid()}-{secrets.token_hex(8)}"
        self._lock = Lock(_lock_of(self._name))
        self._file: IO[bytes] | None = None
        self._tried = False

    def add(self, key: str) -> None:
        """Hold one more record."""
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
        self._lock.acquire()  # before others can see the file
        self._file = self._name.open("xb")

    def release(self) -> None:
        """Release all records."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            with suppress(OSError):
                self._name.unlink()
        with suppress(OSError):
            _lock_of(self._name).unlink()  # before it is released: afterwards it may be another's
        self._lock.release()
        with suppress(OSError):
            _lock_of(self._name).unlink()  # where a locked file cannot be removed


def held(folder: Path) -> set[str]:
    """Return every key that a running process holds, and remove the files of dead processes."""
    keys: set[str] = set()
    try:
        names = os.listdir(folder)
    except OSError:
        return keys
    for name in names:
        if name.endswith(SUFFIX):
            continue
        path = folder / name
        with suppress(OSError):  # another process removed it meanwhile
            if not _abandoned(path):
                keys.update(path.read_text("ascii", "replace").split())
    return keys


def _lock_of(path: Path) -> Path:
    return path.with_name(path.name + SUFFIX)


def _abandoned(path: Path) -> bool:
    """Return whether nobody holds the file's lock; if so, remove both files."""
    lock = Lock(_lock_of(path))
    try:
        if not lock.acquire(wait=False):
            return False
    except OSError:
        return False
    try:
        path.unlink()
        with suppress(OSError):
            _lock_of(path).unlink()
    finally:
        lock.release()
    with suppress(OSError):
        _lock_of(path).unlink()
    return True

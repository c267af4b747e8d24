"""Read gzip at any offset: forward as a stream, back from copies of the decompressor. Standard library only."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from bbilang.grammar.files import opened
from bbilang.runtime.data.archives.members import MOST_RATIO, RATIO_FROM

CHUNK = 1 << 16  # bytes read at once
STEP = 1 << 20  # bytes unpacked at once, at most
BEHIND = 1 << 20  # bytes kept before what was read last
SPACING = 1 << 20  # bytes between two copies of the decompressor, of about 50 kB each
MOST_COPIES = 256


class Bomb(OSError):
    """A file that unpacks to many times its size."""


@dataclass(frozen=True)
class _State:
    """Of the stream after ``out`` bytes: ``into`` bytes of the file are read, of which ``pending`` wait."""

    out: int
    into: int
    decompressor: zlib._Decompress
    pending: bytes
    between: bool = False  # one file of gzip has ended, and another may follow


class GzipBytes:
    """The unpacked bytes of a file, from any thread. In order they are unpacked once; going back costs what lies
    between the nearest copy and the offset (a megabyte; more in files of over 256 MB, whose copies are rarer)."""

    def __init__(self, path: Path):
        self.path = path
        self._lock = Lock()
        self._open()

    def _open(self) -> None:
        self._process = os.getpid()
        self._file = opened(self.path)
        self.size = os.fstat(self._file.fileno()).st_size
        self._spacing = SPACING
        self._copies = [_State(0, 0, zlib.decompressobj(31), b"")]
        self._restore(self._copies[0])

    def __getstate__(self) -> dict[str, object]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Path]) -> None:
        self.path, self._lock = state["path"], Lock()
        self._process = -1  # opened with the first reading

    def read(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes. Raises OSError where the file is damaged, cut short or a bomb."""
        with self._lock:
            if self._process != os.getpid():  # a fork shares its parent's position in the file
                self._open()
            if offset < self._start:
                self._restore(max((each for each in self._copies if each.out <= offset), key=lambda each: each.out))
            try:
                while self._start + len(self._window) < offset + size and self._forward(offset):
                    pass
            except zlib.error as failure:
                raise OSError(0, "the compressed data is damaged") from failure
            return bytes(self._window[max(offset - self._start, 0) : offset - self._start + size])

    @property
    def read_of_file(self) -> int:
        """Bytes of the file that were read so far."""
        return self._into

    def _restore(self, state: _State) -> None:
        self._start, self._window = state.out, bytearray()
        self._into, self._pending, self._between = state.into, state.pending, state.between
        self._decompressor = state.decompressor.copy()
        self._file.seek(state.into)

    def _forward(self, offset: int) -> bool:
        """Unpack a step; return whether there was one. Bytes far before ``offset`` are forgotten."""
        packed = self._pending or self._file.read(CHUNK)
        if not self._pending:
            self._into += len(packed)
        if not packed:
            if not self._between:
                raise OSError(0, "the compressed data ends too early")
            return False
        self._window += self._decompressor.decompress(packed, STEP)
        self._pending = self._decompressor.unconsumed_tail
        self._between = self._decompressor.eof
        if self._between:  # several files of gzip, one after the other, are one
            self._pending = self._decompressor.unused_data.lstrip(b"\0")
            self._decompressor = zlib.decompressobj(31)
        out = self._start + len(self._window)
        if out > RATIO_FROM and out > MOST_RATIO * self._into:
            raise Bomb(0, f"it unpacks to over {MOST_RATIO} times its size: a bomb")
        self._copy(out)
        if (behind := offset - BEHIND - self._start) > 0:
            behind = min(behind, len(self._window))
            del self._window[:behind]
            self._start += behind
        return True

    def _copy(self, out: int) -> None:
        if out - self._copies[-1].out < self._spacing:
            return
        self._copies.append(_State(out, self._into, self._decompressor.copy(), self._pending, self._between))
        if len(self._copies) > MOST_COPIES:
            self._spacing *= 2
            self._copies = self._copies[::2]


class GzipFile:
    """A file object over `GzipBytes`, as tarfile reads it."""

    def __init__(self, data: GzipBytes):
        self.data = data
        self.position = 0

    def read(self, size: int) -> bytes:
        read = self.data.read(self.position, size)
        self.position += len(read)
        return read

    def seek(self, position: int) -> int:
        self.position = position
        return position

    def tell(self) -> int:
        return self.position

"""Where the bytes of examples come from: files, archives, or objects in memory."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

import numpy as np
from PIL import Image

from bbilang.grammar.files import Unusable, inside, opened
from bbilang.runtime.data.archives.tars import GzipSource, TarSource
from bbilang.runtime.data.archives.zips import ZipSource
from bbilang.runtime.data.listing import Listing
from bbilang.runtime.data.pictures import Unreadable, picture_of
from bbilang.runtime.data.sample_source import SAMPLES
from bbilang.runtime.inputs.images import MOST_BYTES, PREFIX


def as_text(name: str) -> str:
    """Return a name as text: bytes that are no UTF-8 become question marks."""
    return name.encode("utf-8", "replace").decode("utf-8")


class Source(Protocol):
    """The examples of a whole dataset, by their numbers, from any thread. A source can be pickled, and then reads the
    same files."""

    def read(self, number: int) -> bytes:
        """Return the bytes of the example's file. Raises Unreadable."""
        ...

    def load(self, number: int) -> tuple[Image.Image, str]:
        """Return the picture in RGB and the hash of its content, of one reading. Raises Unreadable."""
        ...

    def header(self, number: int) -> BinaryIO:
        """Open the file, of which the start is read. Raises Unreadable."""
        ...

    def digest(self, number: int) -> str:
        """Return a hash of the content. Raises Unreadable."""
        ...

    def stamp(self, number: int) -> tuple[str, int, int] | None:
        """Return what identifies the content without reading it: (path, bytes, time or offset); None if nothing
        does."""
        ...

    def unchanged(self, number: int) -> bool:
        """Return whether the stamp is still true."""
        ...


@runtime_checkable
class Segmented(Protocol):
    """A source that knows what is where in its pictures."""

    segment_names: tuple[str, ...]

    def segments(self, number: int) -> np.ndarray:
        """Return where each segment is (segment, y, x), bool, at the size of the picture."""
        ...


class FileSource:
    """Files below a folder."""

    def __init__(self, listing: Listing, root: Path | None):
        self.listing, self.root = listing, root

    def header(self, number: int) -> BinaryIO:
        name = self.listing.names[number]
        path = os.path.join(self.listing.base, name)
        try:
            if self.root is not None and not inside(Path(path), self.root):
                raise Unusable(0, "it leads out of the folder given with `--root`")
            return opened(path, MOST_BYTES)
        except FileNotFoundError as failure:
            raise Unreadable(as_text(name), "it is not there any more") from failure
        except OSError as failure:
            raise Unreadable(as_text(name), failure.strerror or str(failure)) from failure

    def read(self, number: int) -> bytes:
        with self.header(number) as file:
            try:
                return file.read()
            except OSError as failure:
                raise Unreadable(as_text(self.listing.names[number]), failure.strerror or str(failure)) from failure

    def load(self, number: int) -> tuple[Image.Image, str]:
        data = self.read(number)
        return picture_of(data, as_text(self.listing.names[number])), hashlib.sha256(data).hexdigest()

    def digest(self, number: int) -> str:
        return hashlib.sha256(self.read(number)).hexdigest()

    def stamp(self, number: int) -> tuple[str, int, int] | None:
        listing = self.listing
        return os.path.join(listing.base, listing.names[number]), listing.sizes[number], listing.stamps[number]

    def unchanged(self, number: int) -> bool:
        try:
            status = os.stat(os.path.join(self.listing.base, self.listing.names[number]))
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns) == (self.listing.sizes[number], self.listing.stamps[number])


class Reader(Protocol):
    """Reads the members of an archive."""

    def read(self, name: str, offset: int, size: int) -> bytes: ...


def _reader(listing: Listing) -> Reader:
    if listing.kind == "zip":
        return ZipSource(listing.source)
    return TarSource(listing.source) if listing.kind == "tar" else GzipSource(listing.source)


class ArchiveSource:
    """Members of an archive."""

    def __init__(self, listing: Listing):
        self.listing = listing
        self.reader = _reader(listing)
        status = os.stat(listing.source)
        self._changed = status.st_size, status.st_mtime_ns

    def read(self, number: int) -> bytes:
        listing = self.listing
        try:
            if not self.unchanged(number):
                raise Unusable(0, "the archive has changed since it was opened, or is gone")
            return self.reader.read(listing.names[number], listing.stamps[number], listing.sizes[number])
        except OSError as failure:
            raise Unreadable(as_text(listing.names[number]), failure.strerror or str(failure)) from failure

    def header(self, number: int) -> BinaryIO:
        return io.BytesIO(self.read(number))  # type: ignore[return-value]

    def load(self, number: int) -> tuple[Image.Image, str]:
        data = self.read(number)
        return picture_of(data, as_text(self.listing.names[number])), hashlib.sha256(data).hexdigest()

    def digest(self, number: int) -> str:
        return hashlib.sha256(self.read(number)).hexdigest()

    def stamp(self, number: int) -> tuple[str, int, int] | None:
        size, time = self._changed
        return f"{self.listing.source}\0{size}\0{self.listing.stamps[number]}", self.listing.sizes[number], time

    def unchanged(self, number: int) -> bool:
        try:
            status = os.stat(self.listing.source)
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns) == self._changed


def source_of(listing: Listing, root: Path | None) -> Source:
    if listing.kind == "sample":
        return SAMPLES[listing.source.name.removeprefix(PREFIX)]()
    return FileSource(listing, root) if listing.kind in ("folder", "table") else ArchiveSource(listing)

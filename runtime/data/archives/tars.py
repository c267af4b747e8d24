"""Archives .tar and .tar.gz: the headers between the members say where each is. Standard library only."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol, cast

from bbilang.grammar.files import opened, short
from bbilang.runtime.data.archives.gzips import GzipBytes, GzipFile
from bbilang.runtime.data.archives.members import Members
from bbilang.runtime.data.listing import ENDLESS, Listing
from bbilang.runtime.data.resolve import Kind
from bbilang.runtime.errors import error

MOST_HEADER = 1 << 20  # bytes of a long name or of extended headers
BLOCK = tarfile.BLOCKSIZE


class _Growing(Protocol):
    """A `TarFile`, whose list of members is not in its declaration."""

    members: list[tarfile.TarInfo]


class Seekable(Protocol):
    """What of a file is read: bytes from a position on."""

    def read(self, size: int) -> bytes: ...
    def seek(self, position: int) -> int: ...
    def tell(self) -> int: ...


def list_tar(path: Path, most: int = ENDLESS) -> Listing:
    """List the pictures of a .tar, or those in its first ``most`` bytes. Nothing but headers is read. Raises BbiError
    E451 without one, E455 for a name that leads out, E456 for an archive that is damaged or holds links."""
    members = Members(path)
    with _refused(path), opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        ended = _add(members, file, lambda: file.tell() > most)
        part = 1.0 if ended else file.tell() / size
    return _listing(members, "tar", part)


def list_gzip(path: Path, most: int = ENDLESS) -> Listing:
    """List the pictures of a .tar.gz by one pass, or those in the first ``most`` bytes of the file. Raises BbiError as
    `list_tar`, and E456 for a bomb."""
    members = Members(path)
    with _refused(path):
        data = GzipBytes(path)
        ended = _add(members, GzipFile(data), lambda: data.read_of_file > most)
        part = 1.0 if ended else data.read_of_file / data.size
    return _listing(members, "gzip", part)


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, OSError, ValueError, OverflowError) as failure:
        reason = str(failure.strerror or failure) if isinstance(failure, OSError) else str(failure)
        message = f"{short(path.name)} cannot be read as an archive: {reason or 'it is damaged'}"
        raise error("E456", message, "copy or make it again") from failure


def _listing(members: Members, kind: Kind, part: float) -> Listing:
    count = len(members.reads) if part == 1 else round(len(members.reads) / part)
    return members.listing(kind, count, part == 1)


def _add(members: Members, file: Seekable, enough: Callable[[], bool]) -> bool:
    """Add the members in order, until there are enough; return whether the archive was read to its end."""
    tar = tarfile.open(fileobj=cast("IO[bytes]", _Guarded(file)), mode="r:")
    while (member := tar.next()) is not None:
        if member.size < 0:
            members.refuse("is damaged: a member has a negative size")
        if member.isdir():
            members.checked(member.name)
        elif member.issym() or member.islnk():
            members.refuse_link(member.name, "a link")
        elif not member.isreg() or member.issparse():
            members.refuse_link(member.name, "a sparse file" if member.issparse() else "no regular file")
        else:
            members.add(member.name, member.size, member.offset_data)
        cast(_Growing, tar).members.clear()  # they would take more memory than ours
        if enough():
            return False
    file.seek(tar.offset)
    end = file.read(BLOCK)
    if not end:  # without the block of zeros that every tar ends with
        members.refuse("ends too early", "copy or make it again")
    if end.strip(b"\0"):
        members.refuse(f"is damaged at byte {tar.offset:,}", "copy or make it again")
    return True


class _Guarded:
    """A file of which tarfile reads headers only: extended ones may claim any size, and would fill the memory."""

    def __init__(self, file: Seekable):
        self.seek, self.tell, self._read = file.seek, file.tell, file.read

    def read(self, size: int) -> bytes:
        if size > MOST_HEADER:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._read(size)


class TarSource:
    """Reads members of a .tar by their offsets, from any thread and in any order."""

    def __init__(self, path: Path):
        self.path = path

    def read(self, name: str, offset: int, size: int) -> bytes:
        """Return the bytes of a member. Raises OSError."""
        with opened(self.path) as file:
            file.seek(offset)
            return _whole(file.read(size), size)


class GzipSource:
    """Reads members of a .tar.gz, from any thread; fast in the order of the archive."""

    def __init__(self, path: Path):
        self.data = GzipBytes(path)

    def read(self, name: str, offset: int, size: int) -> bytes:
        """Return the bytes of a member. Raises OSError."""
        return _whole(self.data.read(offset, size), size)


def _whole(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise OSError(0, "the archive ends too early")
    return data

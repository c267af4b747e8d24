"""Archives .zip: the directory at the end says where every member is. Standard library only."""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from pathlib import Path
from threading import Lock

from bbilang.grammar.files import opened, short
from bbilang.runtime.data.archives.members import MOST_RATIO, RATIO_FROM, Members
from bbilang.runtime.data.listing import Listing
from bbilang.runtime.errors import error
from bbilang.runtime.inputs.images import SUFFIXES

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others unpack in one piece, whatever is asked for


def list_zip(path: Path) -> Listing:
    """List the pictures of a .zip. Raises BbiError E451 without one, E455 for a name that leads out, E456 for an
    archive that is damaged, encrypted, a bomb, or holds links."""
    members = Members(path)
    try:
        with opened(path) as file, zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError, UnicodeError) as failure:
        raise error("E456", f"{short(path.name)} cannot be read as a .zip: {failure}", "make it again") from failure
    for info in infos:
        if info.is_dir():
            members.checked(info.filename)
            continue
        mode = info.external_attr >> 16
        if mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode):
            members.refuse_link(info.filename, "a link" if stat.S_ISLNK(mode) else "no regular file")
        if info.flag_bits & 1:
            members.refuse(f"is encrypted ({short(info.filename)})", "unpack it, and make it again without a password")
        if info.file_size > RATIO_FROM and info.file_size > MOST_RATIO * max(info.compress_size, 1):
            members.refuse(f"holds {short(info.filename)}, which unpacks to {info.file_size >> 20:,} MB from "
                           f"{info.compress_size >> 10:,} kB: a bomb")  # fmt: skip
        if info.compress_type not in METHODS and info.filename.lower().endswith(SUFFIXES):
            members.refuse(f"holds {short(info.filename)}, which is neither stored nor deflated", "pack it with `zip`")
        members.add(info.filename, info.file_size, info.header_offset)
    _apart(infos, members)
    return members.listing("zip")


def _apart(infos: list[zipfile.ZipInfo], members: Members) -> None:
    """Refuse members that share bytes: so a small archive unpacks to petabytes (Fifield 2019)."""
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            members.refuse(f"holds members that overlap ({short(info.filename)}): a bomb")
        end = info.header_offset + 30 + info.compress_size  # 30: its header, without the name


class ZipSource:
    """Reads members of a .zip, from any thread and in any order."""

    def __init__(self, path: Path):
        self.path = path
        self._lock = Lock()
        self._open: tuple[int, zipfile.ZipFile] | None = None  # by this process: a fork shares its parent's position

    def __getstate__(self) -> dict[str, object]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Path]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]

    def read(self, name: str, offset: int, size: int) -> bytes:
        """Return the bytes of the member whose header is at an offset. Raises OSError, also where it is damaged."""
        try:
            archive, infos = self._archive()
            with archive.open(infos[offset]) as file:
                data = file.read(size + 1)
        except (zipfile.BadZipFile, zlib.error, KeyError, EOFError) as failure:
            raise OSError(0, "it is damaged in the archive") from failure
        except (NotImplementedError, RuntimeError) as failure:
            raise OSError(0, f"it is packed in a way that cannot be read: {failure}") from failure
        if len(data) != size:
            raise OSError(0, "its size is not what the archive says")
        return data

    def _archive(self) -> tuple[zipfile.ZipFile, dict[int, zipfile.ZipInfo]]:
        with self._lock:
            if self._open is None or self._open[0] != os.getpid():
                archive = zipfile.ZipFile(opened(self.path))
                self._infos = {info.header_offset: info for info in archive.infolist()}
                self._open = os.getpid(), archive
            return self._open[1], self._infos

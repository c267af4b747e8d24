"""Reading files that a user names: `~` is expanded, and only regular files of a bounded size are read.

A pipe, a device or an endless file is refused before any of it is read, so that nothing blocks or fills the memory.
Every refusal is an OSError with a readable reason in ``strerror``: callers add an error code and a span.
"""

from __future__ import annotations

import errno
import glob
import os
import stat
from io import BufferedReader
from pathlib import Path

SHOWN = 80  # characters of a name that a message repeats
LONGEST_PATH, LONGEST_NAME = 4096, 255  # bytes; the limits of Linux, and near those of others
MOST_WEIGHTS = 32 << 30  # bytes of a file of weights, which is read twice: once for its hash
OPEN = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class Unusable(OSError):
    """A name that no file can have, or a file that must not be read."""


def path_of(name: str | os.PathLike[str]) -> Path:
    """Return the path that a name stands for, with `~` and `~user` expanded. Raises Unusable; the file need not
    exist."""
    text = os.fspath(name)
    if "\0" in text:
        raise Unusable(errno.EINVAL, "the name of a file holds no NUL character")
    try:
        raw = os.fsencode(text)
    except UnicodeEncodeError as error:
        raise Unusable(errno.EINVAL, "the name has characters that no file name has") from error
    if len(raw) > LONGEST_PATH or max(map(len, raw.split(b"/"))) > LONGEST_NAME:
        raise Unusable(errno.ENAMETOOLONG, "the name is longer than names of files can be")
    if text.startswith("~") and not os.path.lexists(text):
        full = os.path.expanduser(text)
        if full.startswith("~"):
            user = text[1:].partition("/")[0]
            raise Unusable(errno.ENOENT, f"there is no user `{user}`; `./{short(text)}` is a name that begins with ~")
        return Path(full)
    return Path(text)


def beside(folder: Path, name: str) -> Path:
    """Resolve a name relative to ``folder``; absolute and `~` names stay. Raises Unusable."""
    path = path_of(name)
    return path if name.startswith("~") and path.is_absolute() else folder / path


def is_pattern(name: str) -> bool:
    """Return whether a name may stand for several files."""
    return any(c in name for c in "*?[")


def matching(name: str, folder: str | Path) -> list[str]:
    """Return the file of a name relative to ``folder``, or those that a pattern matches, sorted; none where there is
    nothing. Raises OSError for a name that no file can have, and for what is no regular file."""
    own = path_of(name)
    path = folder / own
    if path.exists():  # before the pattern: a name may hold brackets
        regular(path)
        return [str(path)]
    if not is_pattern(name):
        return []
    return sorted(glob.glob(os.path.join(glob.escape(str(folder)), own), recursive=True))


def inside(path: Path, root: Path | None) -> bool:
    """Return whether a path lies in the folder that a text's files may not leave; None: there is none."""
    return root is None or path.resolve().is_relative_to(root.resolve())


def short(name: str | os.PathLike[str]) -> str:
    """Shorten a name for a message."""
    text = os.fspath(name)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def opened(name: str | os.PathLike[str], most: int | None = None) -> BufferedReader:
    """Open a regular file of at most ``most`` bytes for reading. Raises OSError, at once for anything else."""
    path = path_of(name)
    _regular(os.stat(path), most)  # before it is opened: opening some devices does something
    handle = os.open(path, OPEN)
    try:
        _regular(os.fstat(handle), most)  # what was opened may be another
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def regular(path: Path) -> None:
    """Raise OSError if a path is not a regular file, without opening it."""
    _regular(os.stat(path), None)


def read_bytes(name: str | os.PathLike[str], most: int) -> bytes:
    """Read a regular file of at most ``most`` bytes. Raises OSError."""
    with opened(name, most) as file:
        data = file.read(most + 1)
    if len(data) > most:  # it grew, or has no size, as files of /proc
        raise _too_large(most)
    return data


def read_text(name: str | os.PathLike[str], most: int) -> str:
    """Read a regular file of at most ``most`` bytes as UTF-8 text. Raises OSError."""
    try:
        return read_bytes(name, most).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unusable(errno.EILSEQ, "it is not text in UTF-8") from error


def kind(mode: int) -> str | None:
    """Name the kind of something that is not a regular file; None for a regular file."""
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return None if stat.S_ISREG(mode) else kinds.get(stat.S_IFMT(mode), "a device")


def _regular(status: os.stat_result, most: int | None) -> None:
    what = kind(status.st_mode)
    if what is not None:
        words = f"it is {what}, and not a regular file"
        raise IsADirectoryError(errno.EISDIR, words) if stat.S_ISDIR(status.st_mode) else Unusable(errno.EINVAL, words)
    if most is not None and status.st_size > most:
        raise _too_large(most)


def _too_large(most: int) -> Unusable:
    for unit, size in (("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)):
        if most >= size:
            return Unusable(errno.EFBIG, f"it is larger than {most // size} {unit}")
    return Unusable(errno.EFBIG, f"it is larger than {most} bytes")

"""Write files: regular files atomically, anything else (a pipe, a terminal) directly.

A regular file is written under a temporary name beside it and renamed; a link stays a link, and a file keeps its
permissions. What is no regular file is never replaced: the bytes go into it. Raises OSError throughout, with a reason
in ``strerror``.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bbilang.grammar.files import Unusable, kind, path_of

NEW = ".new-"  # how files begin that are not finished
PATIENCE = 10.0  # seconds for somebody to read from a pipe
PARENTS = "--parents"


class NoFolder(Unusable):
    """The folder of a file to write is missing, and was not to be made."""


def write(path: str | os.PathLike[str], data: bytes, parents: bool = False, sync: bool = True) -> None:
    """Put bytes where a file is or will be: all of them or none; into what is not a regular file. parents: missing
    folders are made. sync: the bytes are on the disk before the name is. Raises OSError."""
    with replacing(path, parents, sync) as file:
        file.write(data)


@contextmanager
def replacing(
    path: str | os.PathLike[str], parents: bool = False, sync: bool = True, private: bool = False
) -> Iterator[IO[bytes]]:
    """Open a file that replaces the target when the block ends well, and else leaves no trace. private: for nobody but
    this user. Raises OSError."""
    target, special = _target(path_of(path))
    if special:
        made = io.BytesIO()
        yield made
        _into(target, made.getvalue())
        return
    mode = 0o600 if private else _mode(target)
    _folder(target, parents)
    handle, temporary = tempfile.mkstemp(prefix=NEW, dir=target.parent)
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
        os.chmod(temporary, mode)
        put(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def put(finished: str | os.PathLike[str], target: str | os.PathLike[str], sync: bool = False) -> None:
    """Give a finished file its own name, at once, over what has that name: nobody ever sees half of a file. sync: it is
    on the disk first, for a file that `replacing` did not write. Raises OSError."""
    if sync:
        with open(finished, "rb") as file:
            os.fsync(file.fileno())
    os.replace(finished, target)


def check(path: str | os.PathLike[str], parents: bool = False) -> None:
    """Check that a file of this name could be written; nothing is left behind, no pipe is opened. Raises OSError."""
    target, special = _target(path_of(path))
    if special:
        if not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return
    _mode(target)
    folder = target.parent
    if not parents:
        _folder(target, False)
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    with tempfile.TemporaryFile(dir=folder):
        pass


def _target(path: Path) -> tuple[Path, bool]:
    """(where to write, whether that is no regular file). A link leads to what it means; Raises OSError."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return Path(os.path.realpath(path)), False
    if stat.S_ISREG(mode):
        return Path(os.path.realpath(path)), False
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        return path, True  # not its real path: /dev/stdout has none where it is a pipe
    number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
    raise Unusable(number, f"it is {kind(mode)}, and not a file")


def _mode(target: Path) -> int:
    """Return the permissions that a file has or would get. Raises PermissionError where it must not be changed."""
    if not target.exists():
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))
    return stat.S_IMODE(target.stat().st_mode)


def _folder(target: Path, parents: bool) -> None:
    folder = target.parent
    if parents:
        folder.mkdir(parents=True, exist_ok=True)
    elif not folder.exists():
        raise NoFolder(errno.ENOENT, f"there is no folder {folder}")


def _into(path: Path, data: bytes) -> None:
    """Write into a pipe or a device, which stays what it is. Raises OSError, also where nobody reads from a pipe."""
    handle = _open(path)
    try:
        os.set_blocking(handle, True)
        if kind(os.fstat(handle).st_mode) is None:  # somebody put a file there meanwhile
            raise Unusable(errno.EINVAL, "it changed while it was opened")
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
    finally:
        os.close(handle)


def _open(path: Path) -> int:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError as error:
            if error.errno != errno.ENXIO or time.monotonic() > end:
                if error.errno == errno.ENXIO:
                    raise Unusable(errno.ENXIO, "nobody reads from this pipe") from error
                raise
            time.sleep(0.05)

"""The texts that a command works on: read whole, written back whole."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from bbilang.faults import fail, misuse
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.source import Source

MARK = "\ufeff"
STDIN, PIPE = "<stdin>", "<command line>"
WHOLE = 4 << 20  # bytes: nobody's text; the parser refuses it in one sentence, and no more of it is read


def source_of(file: str | None, pipe: str | None) -> Source:
    """The one text that a command is about: a file, `-` for stdin, or the pipe given with `-e`."""
    if pipe is not None:
        if file is not None:
            misuse(f"there are two texts: {file}, and the one given with -e", "leave one of them out")
        return Source(pipe, PIPE)
    if file is None:
        misuse("no text", "give a file (`bbi run page.bbi`), a pipe (`-e 'input | present(image)'`), or `-` for stdin")
    return read(file)


def read(name: str) -> Source:
    """A file, or stdin for `-`, without its byte order mark. Raises BbiError E441."""
    text, _ = read_marked(name)
    return text


def read_marked(name: str) -> tuple[Source, str]:
    """The same, and the byte order mark, so that it can be written back. Line ends stay."""
    source = _read(name)
    text = source.text.removeprefix(MARK)
    return Source(text, source.name), source.text[: len(source.text) - len(text)]


def _read(name: str) -> Source:
    if name == "-":
        return Source(_decoded(sys.stdin.buffer.read(WHOLE), "stdin"), STDIN)
    path = Path(name)
    if path.is_dir():
        fail("E441", f"{name} is a folder", "give a .bbi file")
    try:
        with path.open("rb") as file:
            data = file.read(WHOLE)
    except FileNotFoundError:
        fail("E441", f"there is no file {name}", _meant(path))
    except OSError as error:
        raise BbiError(Diagnostic("E441", f"{name} cannot be read: {error.strerror or error}")) from error
    if data[:64].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        fail("E441", f"{name} is a page, not a .bbi text", f"`bbi extract {name}` gives the text that it was made from")
    return Source(_decoded(data, name), name)


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(data) == WHOLE and error.start > WHOLE - 4:  # the end of what was read cuts a character in two
            return data[: error.start].decode("utf-8")
        line = data[: error.start].count(b"\n") + 1
        message = f"{name} is not text in UTF-8 (line {line})"
        raise BbiError(Diagnostic("E441", message, help="save it as UTF-8; is it a .bbi file at all?")) from error


def _meant(path: Path) -> str | None:
    import difflib

    if "|" in str(path) or "(" in str(path):
        return "a pipe on the command line comes after -e: `bbi run -e '...'`"
    folder = path.parent
    names = [p.name for p in folder.iterdir() if p.suffix == ".bbi"] if folder.is_dir() else []
    near = difflib.get_close_matches(path.name, names, 1)
    if near:
        return f"did you mean `{folder / near[0]}`?"
    return None if folder.is_dir() else f"there is no folder {folder} either"


def named(files: Iterable[str]) -> Iterator[str]:
    """The files that were named, each once; a folder stands for every .bbi file in it, at any depth."""
    seen: set[str] = set()
    for name in files:
        found = [name]
        if name != "-" and Path(name).is_dir():
            found = sorted(str(p) for p in Path(name).rglob("*.bbi") if p.is_file())
            if not found:
                fail("E441", f"the folder {name} has no .bbi files")
        yield from (one for one in found if one not in seen)
        seen.update(found)


def writable(path: Path) -> None:
    """Raises BbiError E431 where a file of this name could not be written; folders that are missing can be made."""
    folder = path.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        help = "nothing was computed yet; choose another place with `-o`"
        message = f"{path} cannot be written: {folder}: {error.strerror or error}"
        raise BbiError(Diagnostic("E431", message, help=help)) from error


def write(path: Path, data: bytes) -> None:
    """Put bytes where a file is or will be: all of them or none. A file's permissions stay; a link stays a link.

    Raises BbiError E431.
    """
    path = Path(os.path.realpath(path))
    temporary = None
    try:
        mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
        if mode is not None and not os.access(path, os.W_OK):
            raise PermissionError(13, "Permission denied", str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        if mode is None:
            mask = os.umask(0)
            os.umask(mask)
            mode = 0o666 & ~mask
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except OSError as error:
        _forget(temporary)
        reason = error.strerror or str(error)
        raise BbiError(Diagnostic("E431", f"{path} cannot be written: {reason}", help="it is as it was")) from error
    except BaseException:
        _forget(temporary)
        raise


def _forget(temporary: str | None) -> None:
    if temporary:
        Path(temporary).unlink(missing_ok=True)

"""The texts that a command works on: read whole, written back whole."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from bbilang.cli.errors import fail, misuse
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.files import opened, path_of, short
from bbilang.grammar.source import Source
from bbilang.runtime.files import check
from bbilang.runtime.files import write as write_file
from bbilang.runtime.write_errors import unwritten

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
    try:
        path = path_of(name)
        if path.is_dir():
            fail("E441", f"{name} is a folder", "give a .bbi file")
        with opened(path) as file:
            data = file.read(WHOLE)
    except FileNotFoundError:
        fail("E441", f"there is no file {short(name)}", _meant(Path(name)))
    except OSError as error:
        message = f"{short(name)} cannot be read: {error.strerror or error}"
        help = "`-` reads standard input" if "a pipe" in str(error.strerror) else _after_e(name)
        raise BbiError(Diagnostic("E441", message, help=help)) from error
    if data[:64].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        fail("E441", f"{name} is a page, not a .bbi text", f"`bbi extract {name}` gives the text that it was made from")
    return Source(_decoded(data, name), str(path) if name.startswith("~") else name)


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(data) == WHOLE and error.start > WHOLE - 4:  # the end of what was read cuts a character in two
            return data[: error.start].decode("utf-8")
        line = data[: error.start].count(b"\n") + 1
        message = f"{name} is not text in UTF-8 (line {line})"
        raise BbiError(Diagnostic("E441", message, help="save it as UTF-8; is it a .bbi file at all?")) from error


def _after_e(name: str) -> str | None:
    return "a pipe on the command line comes after -e: `bbi run -e '...'`" if "|" in name or "(" in name else None


def _meant(path: Path) -> str | None:
    import difflib

    if (words := _after_e(str(path))) is not None:
        return words
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
        matches = [name]
        try:
            path = path_of(name)
        except OSError:  # told when it is read
            yield from (one for one in matches if one not in seen)
            continue
        if name != "-" and path.is_dir():
            matches = sorted(str(p) for p in path.rglob("*.bbi") if p.is_file())
            if not matches:
                fail("E441", f"the folder {name} has no .bbi files")
        yield from (one for one in matches if one not in seen)
        seen.update(matches)


def is_folder(name: str) -> bool:
    """Whether there is a folder of this name; a name that nothing can have is none."""
    try:
        return path_of(name).is_dir()
    except OSError:
        return False


def writable(name: str | Path, parents: bool = False) -> Path:
    """The path of a file to write, `~` expanded. Raises BbiError E431 where it could not be written, before any work;
    parents: folders that are missing will be made."""
    try:
        path = path_of(name)
        if str(name).endswith("/"):
            raise IsADirectoryError(errno.EISDIR, "it is the name of a folder")
        check(path, parents)
    except OSError as error:
        raise unwritten(name, error, else_="nothing was computed yet; choose another place with `-o`") from error
    return path


def write(path: Path, data: bytes, parents: bool = False) -> None:
    """Put bytes where a file is or will be: all of them or none; into what is not a regular file. A file's permissions
    stay; a link stays a link. Raises BbiError E431.
    """
    try:
        write_file(path, data, parents)
    except OSError as error:
        raise unwritten(path, error, else_="it is as it was") from error

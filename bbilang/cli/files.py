"""Resolve the files that a command reads (bbilang/texts.py) and writes."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from pathlib import Path

from bbilang.cli.errors import fail, misuse
from bbilang.grammar.files import path_of
from bbilang.grammar.source import Source
from bbilang.runtime.files import check
from bbilang.runtime.files import write as write_file
from bbilang.runtime.write_errors import unwritten
from bbilang.texts import read

PIPE = "<command line>"  # the name of a text given with `-e`


def source_of(file: str | None, pipe: str | None) -> Source:
    """Return the text of a command: a file, `-` for stdin, or the pipe given with `-e`."""
    if pipe is not None:
        if file is not None:
            misuse(f"there are two texts: {file}, and the one given with -e", "leave one of them out")
        return Source(pipe, PIPE)
    if file is None:
        misuse("no text", "give a file (`bbi run page.bbi`), a pipe (`-e 'input | present(image)'`), or `-` for stdin")
    return read(file)


def named(files: Iterable[str]) -> Iterator[str]:
    """Return the named files, each once; a folder stands for every .bbi file in it, at any depth."""
    seen: set[str] = set()
    for name in files:
        matches = [name]
        try:
            path = path_of(name)
        except OSError:  # reported when the file is read
            yield from (one for one in matches if one not in seen)
            continue
        if name != "-" and path.is_dir():
            matches = sorted(str(p) for p in path.rglob("*.bbi") if p.is_file())
            if not matches:
                fail("E441", f"the folder {name} has no .bbi files")
        yield from (one for one in matches if one not in seen)
        seen.update(matches)


def is_folder(name: str) -> bool:
    """Return whether a folder of this name exists; False for an invalid name."""
    try:
        return path_of(name).is_dir()
    except OSError:
        return False


def writable(name: str | Path, parents: bool = False) -> Path:
    """Return the path of a file to write, with `~` expanded. Raises BbiError E431 if it cannot be written, before any
    work; parents: missing folders will be created."""
    try:
        path = path_of(name)
        if str(name).endswith("/"):
            raise IsADirectoryError(errno.EISDIR, "it is the name of a folder")
        check(path, parents)
    except OSError as error:
        raise unwritten(name, error, else_="nothing was computed yet; choose another location with `-o`") from error
    return path


def write(path: Path, data: bytes, parents: bool = False) -> None:
    """Write a file atomically; write directly to anything that is not a regular file. Permissions and links are
    preserved. Raises BbiError E431.
    """
    try:
        write_file(path, data, parents)
    except OSError as error:
        raise unwritten(path, error, else_="it is as it was") from error

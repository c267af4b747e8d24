"""Read the texts that a user names: a file, or standard input."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bbilang.grammar.files import opened, path_of, short
from bbilang.grammar.source import Source
from bbilang.runtime.errors import error
from bbilang.runtime.inputs import arguments as givens

MARK = "\ufeff"  # a byte order mark
STDIN = "<stdin>"
WHOLE = 4 << 20  # bytes: nobody's text; the parser refuses it in one sentence, and no more of it is read


def source_of(text: str | Source | os.PathLike[str], name: str = "<text>") -> Source:
    """Return a text, or that of the file at a path. Raises BbiError E423 for what is neither."""
    if isinstance(text, os.PathLike):
        return read(givens.file_name("text", text) or "")
    if isinstance(text, str):
        return Source(text, givens.words("name", name))
    return text if isinstance(text, Source) else givens.wrong("text", text, "a str, or the path of a file")


def read(name: str) -> Source:
    """Read a file, or stdin for `-`, without its byte order mark. Raises BbiError E441."""
    text, _ = read_marked(name)
    return text


def read_marked(name: str) -> tuple[Source, str]:
    """Read a file and its byte order mark, so that it can be written back. Line endings are preserved."""
    source = _read(name)
    text = source.text.removeprefix(MARK)
    return Source(text, source.name), source.text[: len(source.text) - len(text)]


def _read(name: str) -> Source:
    if name == "-":
        return Source(_decoded(sys.stdin.buffer.read(WHOLE), "stdin"), STDIN)
    try:
        path = path_of(name)
        if path.is_dir():
            raise error("E441", f"{name} is a folder", "give a .bbi file")
        with opened(path) as file:
            data = file.read(WHOLE)
    except FileNotFoundError as e:
        raise error("E441", f"there is no file {short(name)}", _nearest(Path(name))) from e
    except OSError as e:
        message = f"{short(name)} cannot be read: {e.strerror or e}"
        help = "`-` reads standard input" if "a pipe" in str(e.strerror) else _after_e(name)
        raise error("E441", message, help) from e
    if data[:64].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        help = f"`bbi extract {name}` gives the text that it was made from"
        raise error("E441", f"{name} is a page, not a .bbi text", help)
    return Source(_decoded(data, name), str(path) if name.startswith("~") else name)


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        if len(data) == WHOLE and e.start > WHOLE - 4:  # the end of what was read cuts a character in two
            return data[: e.start].decode("utf-8")
        line = data[: e.start].count(b"\n") + 1
        message = f"{name} is not text in UTF-8 (line {line})"
        raise error("E441", message, "save it as UTF-8; is it a .bbi file at all?") from e


def _after_e(name: str) -> str | None:
    return "a pipe on the command line comes after -e: `bbi run -e '...'`" if "|" in name or "(" in name else None


def _nearest(path: Path) -> str | None:
    import difflib

    if (words := _after_e(str(path))) is not None:
        return words
    folder = path.parent
    names = [p.name for p in folder.iterdir() if p.suffix == ".bbi"] if folder.is_dir() else []
    near = difflib.get_close_matches(path.name, names, 1)
    if near:
        return f"did you mean `{folder / near[0]}`?"
    return None if folder.is_dir() else f"there is no folder {folder} either"

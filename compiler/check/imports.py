"""`use "other.bbi"`: the bindings and definitions of another file."""

from __future__ import annotations

from pathlib import Path

from bbilang.compiler.check.arguments.binding import CheckError, at
from bbilang.grammar import ast
from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.files import beside, inside, read_text, short
from bbilang.grammar.parse import parse
from bbilang.grammar.source import Source, Span

LARGEST = 256 * 1024


def read(statement: ast.Use, folder: Path, root: Path | None, open_files: tuple[Path, ...]) -> tuple[Path, ast.File]:
    """Return the tree of the file that a `use` names, relative to the file that names it and never outside of
    ``root``."""
    name, span = statement.path.value, statement.path.span
    try:
        path = beside(folder, name).resolve()
    except (OSError, RuntimeError) as error:
        raise _unreadable(span, name, error) from error
    if not inside(path, root):
        raise at(span, "E242", f'"{name}" lies outside of the folder given with `--root`')
    if path in open_files:
        raise at(span, "E241", f'"{name}" uses this file in turn', "files cannot use each other in a circle")
    try:
        text = read_text(path, LARGEST)
    except OSError as error:
        raise _unreadable(span, name, error) from error
    source = Source(text, name)
    try:
        return path, parse(source)
    except BbiError as error:
        first = error.diagnostics[0]
        position = ":".join(map(str, source.position(first.span.start))) if first.span else "1:1"
        raise at(span, "E243", f'"{name}" has an error at {position}: {first.message}', first.help) from error


def _unreadable(span: Span, name: str, error: Exception) -> CheckError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    help = "names are relative to the folder of the file that uses them"
    return at(span, "E242", f'"{short(name)}" cannot be read: {reason}', help)

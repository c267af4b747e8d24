"""The photographs that icons are checked against: the pictures of `set featvis(check="photos/")`."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from bbilang.compiler.ir.program import Program
from bbilang.grammar import ast
from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.files import opened
from bbilang.grammar.frozen import frozen
from bbilang.grammar.parse import parse
from bbilang.grammar.source import Span
from bbilang.runtime.errors import error
from bbilang.runtime.inputs.images import MOST_BYTES, expand

LEAST, MOST = 24, 5000


@frozen
class Photographs:
    """Photographs in a folder. ``name``: as the text gives it. ``digest``: of the names and bytes of all files."""

    name: str
    files: tuple[str, ...]
    digest: str


def photographs_of(program: Program) -> Photographs | None:
    """Return the photographs that a program's icons are checked against, None if it requests no check. Names are
    relative to the folder of the text, like those of inputs.

    Raises BbiError E411, E415, E417 (no such pictures), E418 (a network that takes no pictures), E447 (their number).
    """
    name = program.setting("featvis.check")
    if name is None:
        return None
    try:
        return _read(str(name), program)
    except BbiError as e:
        span = _span(program, str(name))
        raise BbiError([replace(d, span=d.span or span) for d in e.diagnostics], program.source) from e


def _read(name: str, program: Program) -> Photographs:
    if program.description is not None and program.description.reads != "image":
        text = f"icons are checked against photographs, and {program.description.name} takes none"
        raise error("E418", text, "leave out `check`")
    return read_photographs(name, program.folder)


def read_photographs(name: str, folder: Path) -> Photographs:
    """Return the photographs of a name relative to a folder. Raises BbiError E411, E415, E417, E447."""
    files = tuple(expand(name, folder))
    if not LEAST <= len(files) <= MOST:
        text = f"{name} holds {len(files):,} pictures"
        raise error("E447", text, f"{LEAST} to {MOST:,} show what a unit responds to: name a folder of photographs")
    digest = hashlib.sha256()
    for file in files:
        try:
            with opened(Path(file), MOST_BYTES) as content:
                own = hashlib.file_digest(content, "sha256").hexdigest()
        except OSError as e:
            raise error("E411", f"{Path(file).name} cannot be opened: {e.strerror or e}") from e
        digest.update(f"{Path(file).name} {own}\n".encode())
    return Photographs(name, files, digest.hexdigest())


def _span(program: Program, name: str) -> Span | None:
    """Return the span that names the photographs in the text; None if the command line named them."""
    if program.source is None:
        return None
    for statement in parse(program.source).statements:
        if isinstance(statement, ast.Set) and statement.name.text == "featvis":
            for argument in statement.arguments:
                if isinstance(argument.value, ast.String) and argument.value.value == name:
                    return argument.value.span
    return None

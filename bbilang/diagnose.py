"""Everything that is wrong with a text, in one go: its syntax, and what can be said of the rest."""

from __future__ import annotations

from bbilang.compiler.check.check import Options, check_recovering
from bbilang.compiler.ir.program import Program
from bbilang.grammar import ast
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.parse import lost_names, parse_recovering
from bbilang.grammar.source import Source
from bbilang.registry import registry


def diagnosed(source: Source, options: Options) -> tuple[Program | None, tuple[Diagnostic, ...]]:
    """The program, or None; and everything wrong with the text, syntax and meaning, in the order of the text.

    What could not be parsed is known by name, so that a broken line makes no errors in lines that use it.
    """
    file, syntax = parse_recovering(source)
    if not syntax:
        return check_recovering(file, registry(), options)
    if _lost(file.source, "model", "output", "set", "use"):  # what the rest means depends on these
        return None, syntax
    _, meaning = check_recovering(file, registry(), options, lost_names(file))
    if _lost(file.source, "input"):
        meaning = tuple(d for d in meaning if d.code != "E420")
    found = (*syntax, *meaning)
    return None, tuple(sorted(found, key=lambda d: d.span.start if d.span else -1))


def _lost(source: Source | None, *words: str) -> bool:
    """Whether a line that begins with one of these words could not be parsed."""
    if source is None:
        return False
    file, _ = parse_recovering(source)
    kept = {source.position(s.span.start)[0] for s in file.statements}
    lines = source.text.split("\n")
    return any(
        line.split(maxsplit=1)[:1] and line.split(maxsplit=1)[0].split("(")[0] in words and number not in kept
        for number, line in enumerate(lines, 1)
    )


def program_of(source: Source, options: Options) -> Program:
    """The program of a text. Raises BbiError with everything that is wrong with it."""
    program, diagnostics = diagnosed(source, options)
    if program is None:
        raise BbiError(diagnostics, source)
    return program


def names_pictures(source: Source) -> bool:
    """Whether the text says itself which picture it is about."""
    file, _ = parse_recovering(source)
    return any(isinstance(statement, ast.Input) for statement in file.statements)

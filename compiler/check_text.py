"""Check a text: return its typed program and all syntactic and semantic diagnostics."""

from __future__ import annotations

from bbilang.compiler.check.check import check_recovering
from bbilang.compiler.check.options import Options
from bbilang.compiler.check.preamble import starts_without_input
from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.program import Program
from bbilang.grammar import ast, verification
from bbilang.grammar.diagnostic import Diagnostic
from bbilang.grammar.parse import lost_names, parse_recovering
from bbilang.grammar.source import Source


def check_text(
    text: Source | ast.File, registry: Registry, options: Options
) -> tuple[Program | None, tuple[Diagnostic, ...]]:
    """The program, or None where there are errors; and all diagnostics in the order of the text.

    A text is parsed with recovery: names that a broken line binds are known, so that no other line is reported for
    using them. A syntax tree is checked as it is.
    """
    if isinstance(text, ast.File):
        return check_recovering(text, registry, options)
    file, syntax = parse_recovering(text)
    if not syntax:
        if verification.enabled():
            from bbilang.grammar.verify import verify_ast

            verify_ast(file)
        return check_recovering(file, registry, options)
    if _is_lost(file, "model", "output", "set", "use"):  # what the rest means depends on these
        return None, syntax
    _, meaning = check_recovering(file, registry, options, lost_names(file))
    if _is_lost(file, "input"):
        meaning = tuple(d for d in meaning if d.code != "E420")
    return None, tuple(sorted((*syntax, *meaning), key=lambda d: d.span.start if d.span else -1))


def names_its_input(text: Source) -> bool:
    """Whether the text has an `input` statement."""
    return _has(text, ast.Input)


def may_need_no_input(text: Source, registry: Registry) -> bool:
    """Whether the text has a `dataset` statement, or a call that starts a pipe without an input, as of weights."""
    return _has(text, ast.Dataset) or starts_without_input(parse_recovering(text)[0], registry)


def _has(text: Source, kind: type[ast.Statement]) -> bool:
    file, _ = parse_recovering(text)
    return any(isinstance(statement, kind) for statement in file.statements)


def _is_lost(file: ast.File, *words: str) -> bool:
    """Whether a line that begins with one of these words could not be parsed."""
    source = file.source
    if source is None:
        return False
    parsed = {source.position(s.span.start)[0] for s in file.statements}
    first_words = (line.split(maxsplit=1)[:1] for line in source.text.split("\n"))
    return any(
        word[0].split("(")[0] in words and number not in parsed for number, word in enumerate(first_words, 1) if word
    )

"""Fill all holes of a text: every way that type-checks, equal ways once.

The statements with holes are filled in order, each by `check.holes.search` with the names that are bound above it; what
uses a name that a hole leaves open is checked for each way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bbilang.compiler.check.check import Checker, check_recovering
from bbilang.compiler.check.holes.search import Search
from bbilang.compiler.check.holes.written import written
from bbilang.compiler.check.options import Options
from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.program import Program
from bbilang.compiler.optimize.normal_form import Form, NormalForms
from bbilang.grammar import ast
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.format import format_file
from bbilang.grammar.frozen import frozen
from bbilang.grammar.holes import has_hole, holes

MOST = 20_000  # ways to fill the holes of a text


@frozen
class Filled:
    """A text without holes. ``fillings``: what stands for each hole, in their order. ``pipes``: the statements that had
    holes, as text."""

    file: ast.File
    program: Program
    fillings: tuple[str, ...]
    pipes: tuple[str, ...]


class _FoundAll(Exception):
    """Ends a check at the first statement with holes, when all ways to fill them are known."""


class _Filler(Checker):
    """Checks a text up to its first statement with holes, and fills that."""

    statement: ast.Bind | ast.Show | None = None
    ways: tuple[ast.Bind | ast.Show, ...] = ()

    def fill(self, statement: ast.Bind | ast.Show) -> None:
        self.statement = statement
        self.ways = tuple(Search(self.resolver).statement(statement))
        raise _FoundAll


def fill(file: ast.File, registry: Registry, options: Options) -> Iterator[Filled]:
    """Iterate over the ways to fill the holes of a text, equal ones once. Raises BbiError of a text with errors."""
    _, diagnostics = check_recovering(file, registry, options)
    if any(diagnostic.severity == "error" for diagnostic in diagnostics):
        raise BbiError(diagnostics, file.source)
    forms, seen = NormalForms(registry), set[tuple[Form, ...]]()
    for number, (whole, fillings, pipes) in enumerate(_filled(file, registry, options)):
        if number >= MOST:
            message = f"there are more than {MOST:,} ways to fill the holes"
            raise BbiError([Diagnostic("E339", message, None, "write out one of the holes")], file.source)
        program, _ = check_recovering(whole, registry, options)
        if program is None:
            continue
        key = tuple(forms.of(element.node) for element in program.elements)
        if key not in seen:
            seen.add(key)
            yield Filled(whole, program, fillings, pipes)


def _filled(
    file: ast.File, registry: Registry, options: Options
) -> Iterator[tuple[ast.File, tuple[str, ...], tuple[str, ...]]]:
    """Iterate over (the text without holes, what stands for each hole, the statements that had holes)."""
    if not has_hole(file):
        yield file, (), ()
        return
    filler = _Filler(file, registry, options)
    try:
        filler.read()
    except _FoundAll:
        pass
    else:  # a statement before it failed for this way to fill an earlier one, or all that could fill this
        if any(diagnostic.code == "E339" for diagnostic in filler.diagnostics):
            raise BbiError(filler.diagnostics, file.source)
        return
    assert filler.statement is not None
    for way in filler.ways:
        own = tuple(written(hole, filler.statement, way) for hole in holes(filler.statement))
        pipe = format_file(ast.File((way,))).strip()
        for whole, more, pipes in _filled(_with(file, filler.statement, way), registry, options):
            yield whole, (*own, *more), (pipe, *pipes)


def _with(file: ast.File, old: ast.Statement, new: ast.Statement) -> ast.File:
    """Return the file with one statement in place of another."""

    def changed(statement: ast.Statement) -> ast.Statement:
        if statement is old:
            return new
        if isinstance(statement, ast.Interface):
            return replace(statement, statements=tuple(map(changed, statement.statements)))
        return statement

    return replace(file, statements=tuple(map(changed, file.statements)))

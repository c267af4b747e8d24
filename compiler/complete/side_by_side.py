"""One text of several completions, so that one page shows them side by side and their passes are shared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bbilang.compiler.complete.completions import Completion
from bbilang.compiler.ir.program import Layout
from bbilang.grammar import ast
from bbilang.grammar.format import format_file

IN_A_ROW = 2  # elements beside each other
COMMON = (ast.Version, ast.Model, ast.Input, ast.Dataset, ast.AtomName, ast.Output, ast.Set, ast.Use, ast.Define)


def side_by_side(completions: Sequence[Completion]) -> str:
    """Return the text of a page with each completion. Where they differ in one element alone, the elements stand in
    rows; else each completion is an interface with a title."""
    files = [completion.filled.file for completion in completions]
    first, shown = files[0].statements, [_shown(file) for file in files]
    common = tuple(statement for statement in first if isinstance(statement, COMMON))
    single = [statements[0] for statements in shown if len(statements) == 1]
    if len(single) == len(shown) and not any(isinstance(statement, ast.Interface) for statement in single):
        body = _rows(single, completions)
    else:
        body = tuple(_interface(file, completion) for file, completion in zip(files, completions, strict=True))
    return format_file(ast.File((*common, *body)))


def _shown(file: ast.File) -> list[ast.Statement]:
    return [statement for statement in file.statements if not isinstance(statement, COMMON)]


def _title(completion: Completion) -> str:
    return f"{completion.number}. {completion.sentence}"


def _rows(statements: Sequence[ast.Statement], completions: Sequence[Completion]) -> tuple[ast.Statement, ...]:
    names = [f"completion_{completion.number}" for completion in completions]
    bound = []
    for statement, name, completion in zip(statements, names, completions, strict=True):
        assert isinstance(statement, ast.Bind | ast.Show)
        bound.append(ast.Bind(ast.Name(name), _titled(statement.value, _title(completion))))
    calls = [_call("row", [ast.Path(name) for name in row]) for row in _split(names)]
    return (*bound, ast.Layout(_call("column", calls) if len(calls) > 1 else calls[0]))


def in_rows(names: Sequence[str]) -> Layout:
    """Return the layout of elements in rows, as `side_by_side` writes it."""
    rows: tuple[Layout, ...] = tuple(("row", tuple(row)) for row in _split(names))
    return ("column", rows) if len(rows) > 1 else rows[0]


def _split(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[start : start + IN_A_ROW] for start in range(0, len(names), IN_A_ROW)]


def _call(name: str, values: Sequence[ast.Expression]) -> ast.Call:
    return ast.Call(name, tuple(ast.Argument(value) for value in values))


def _titled(value: ast.Expression, title: str) -> ast.Expression:
    """Return a pipe whose last stage has a title, unless the text gives it one."""
    if not isinstance(value, ast.Pipe):
        return value
    last = value.stages[-1]
    if any(argument.name == "title" for argument in last.arguments):
        return value
    last = replace(last, arguments=(*last.arguments, ast.Argument(ast.String(title), "title")))
    return replace(value, stages=(*value.stages[:-1], last))


def _interface(file: ast.File, completion: Completion) -> ast.Interface:
    """Return one completion as an interface, with everything that it binds inside of it."""
    statements: list[ast.Statement] = []
    for statement in _shown(file):
        statements += statement.statements if isinstance(statement, ast.Interface) else [statement]
    layouts = [statement for statement in statements if isinstance(statement, ast.Layout)]
    if len(layouts) > 1:
        statements = [statement for statement in statements if statement not in layouts]
    inner = tuple(s for s in statements if isinstance(s, ast.Bind | ast.Show | ast.Layout))
    return ast.Interface(ast.String(_title(completion)), inner)

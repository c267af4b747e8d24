"""Invariants of a syntax tree: every node has a span inside that of its parent; the formatted text is the same tree."""

from __future__ import annotations

from bbilang.grammar import ast
from bbilang.grammar.format import format_file
from bbilang.grammar.parse import parse_recovering
from bbilang.grammar.source import NOWHERE, Source, Span
from bbilang.grammar.verification import require
from bbilang.grammar.walk import children


def verify_ast(file: ast.File) -> None:
    """Raise InvariantError if a tree without syntax errors is not what the parser produces."""
    length = len(file.source.text) if file.source is not None else None
    pending: list[tuple[ast.Node, Span]] = [(child, file.span) for child in children(file)]
    while pending:
        node, outer = pending.pop()
        name, span = type(node).__name__, node.span
        require(span is not NOWHERE, f"{name} has no span")
        require(0 <= span.start <= span.end, f"{name} has the span {span}")
        require(outer.start <= span.start and span.end <= outer.end, f"{name} at {span} reaches out of {outer}")
        require(length is None or span.end <= length, f"{name} at {span} reaches out of the text")
        pending += [(child, span) for child in children(node)]
    again, diagnostics = parse_recovering(Source(format_file(file)))
    require(not diagnostics, "the formatted text has syntax errors")
    require(again == file, "the formatted text is another tree")

"""Completion where a hole stands: what fits it, given the rest of the statement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from bbilang.compiler.check.arguments.binding import CheckError, Poisoned
from bbilang.compiler.check.holes.search import Search
from bbilang.compiler.check.holes.written import written
from bbilang.grammar import ast
from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.holes import HOLE, Hole, holes
from bbilang.grammar.walk import shift
from bbilang.lsp.cursor import Cursor, Token
from bbilang.lsp.document import Document
from bbilang.lsp.string_completion import Choice

MOST = 2000  # ways that are looked at for one answer
TOPICS = {"operation": "operation", "atom": "atom", "layer": "layer"}


def complete_hole(document: Document, cursor: Cursor, most: int) -> tuple[list[Choice], bool, Cursor] | None:
    """Return what fits the hole that the cursor touches, whether the list was cut off, and the cursor with the hole as
    the word that a choice replaces; None where there is no hole."""
    found = hole_at(document, cursor.offset)
    if found is None:
        return None
    statement, hole = found
    fitting = list(islice(hole_choices(document, statement, hole), most + 1))
    start, end = hole.span.start, hole.span.end
    word = Token("path", cursor.text[start:end], start, end)
    return fitting[:most], len(fitting) > most, replace(cursor, offset=end, word=word)


def hole_at(document: Document, offset: int) -> tuple[ast.Bind | ast.Show, Hole] | None:
    """Return the hole that an offset touches, with its statement; None where there is none."""
    if HOLE not in document.text[max(offset - 2, 0) : offset + 2]:
        return None
    for line in document.lines.lines:
        if line.start <= offset <= line.end and isinstance(line.statement, ast.Bind | ast.Show):
            statement = shift(line.statement, line.start)
            for hole in holes(statement):
                if hole.span.start <= offset <= hole.span.end:
                    return statement, hole
    return None


def hole_choices(document: Document, statement: ast.Bind | ast.Show, hole: Hole) -> Iterator[Choice]:
    """Iterate over what fits a hole, each once."""
    resolver = document.resolver_at(statement.span.start)
    if resolver is None:
        return
    seen: set[str] = set()
    try:
        for filled in islice(Search(resolver).statement(statement), MOST):
            text = written(hole, statement, filled)
            if text and text not in seen:
                seen.add(text)
                name = text.partition("(")[0].partition(" |")[0]
                topic = (TOPICS[hole.kind], name) if hole.kind in TOPICS else None
                yield Choice(text, hole.kind, "fits this hole", rank="0", match=HOLE, topic=topic)
    except (CheckError, Poisoned, BbiError):
        return

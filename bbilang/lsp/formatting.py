"""`bbi fmt` as minimal line edits, so that an editor keeps its cursor and scroll position.

A statement without a comment inside is formatted again only if its text changed (`CachingWriter`).
"""

from __future__ import annotations

from difflib import SequenceMatcher

from bbilang.grammar import ast
from bbilang.grammar.format import Writer
from bbilang.grammar.walk import shift
from bbilang.lsp.document import Document
from bbilang.lsp.incremental_check import statements_of

MAX_CACHED = 20_000  # statements, over all versions of a text
Edit = tuple[int, int, str]


def format_edits(document: Document) -> list[Edit] | None:
    """Return (start, end, replacement) for every run of changed lines, or None for a text with syntax errors."""
    if document.refusal or document.lines.diagnostics():
        return None
    old, new = document.text, formatted_text(document)
    if old.count("\r\n") * 2 > old.count("\n"):
        new = new.replace("\n", "\r\n")
    return edits(old, new)


def formatted_text(document: Document) -> str:
    """Return the text that `bbi fmt` writes."""
    lines = document.lines
    file = ast.File(statements_of(lines), comments=lines.comments, source=document.source)
    if len(document.formatted_statements) > MAX_CACHED:
        document.formatted_statements.clear()
    return CachingWriter(file, document.text, document.formatted_statements).file()


class CachingWriter(Writer):
    """A writer that reuses formatted statements from ``cache``. ``tree``: of `statements_of`."""

    def __init__(self, tree: ast.File, text: str, cache: dict[tuple[str, int], str]):
        super().__init__(tree)
        self.text, self.cache = text, cache

    def statement_text(self, statement: ast.Statement, indent: int) -> str:
        """Write a statement, from the cache where its text and indent are the same and it has no comment inside."""
        span, whole = statement.span, getattr(statement, "whole", None)
        if self.waiting(span.end):  # a comment inside
            return super().statement_text(statement if whole is None else shift(whole, span.start), indent)
        key = self.text[span.start : span.end], indent
        if key not in self.cache:
            self.cache[key] = super().statement_text(statement if whole is None else whole, indent)
        return self.cache[key]


def edits(old: str, new: str) -> list[Edit]:
    """Return the runs of lines in which one text differs from another."""
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    first, most = 0, min(len(before), len(after))
    while first < most and before[first] == after[first]:
        first += 1
    last = 0
    while last < most - first and before[-1 - last] == after[-1 - last]:
        last += 1
    starts = [0]
    for line in before:
        starts.append(starts[-1] + len(line))
    changed, into = before[first : len(before) - last], after[first : len(after) - last]
    return [
        (starts[first + a], starts[first + b], "".join(into[c:d]))
        for kind, a, b, c, d in SequenceMatcher(None, changed, into, autojunk=False).get_opcodes()
        if kind != "equal"
    ]

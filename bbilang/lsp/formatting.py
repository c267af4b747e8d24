"""`bbi fmt` as edits: only the lines that change, so that an editor keeps its place.

A statement without a comment inside is written anew only where its text is another: `Remembering`.
"""

from __future__ import annotations

from difflib import SequenceMatcher

from bbilang.grammar import ast
from bbilang.grammar.format import Writer
from bbilang.grammar.walk import shift
from bbilang.lsp.document import Document
from bbilang.lsp.incremental_check import statements_of

MOST = 20_000  # statements that are remembered, over all versions of a text
Edit = tuple[int, int, str]


def formatted(document: Document) -> list[Edit] | None:
    """(beginning, end, what comes in its place) for every run of lines that changes; None for a text with errors."""
    if document.refusal or document.lines.diagnostics():
        return None
    old, new = document.text, written(document)
    if old.count("\r\n") * 2 > old.count("\n"):
        new = new.replace("\n", "\r\n")
    return edits(old, new)


def written(document: Document) -> str:
    """The text of `bbi fmt`."""
    lines = document.lines
    file = ast.File(statements_of(lines), comments=lines.comments, source=document.source)
    if len(document.written) > MOST:
        document.written.clear()
    return Remembering(file, document.text, document.written).file()


class Remembering(Writer):
    """A writer that finds in ``memory`` what it wrote before. ``tree``: of `statements_of`."""

    def __init__(self, tree: ast.File, text: str, memory: dict[tuple[str, int], str]):
        super().__init__(tree)
        self.text, self.memory = text, memory

    def statement_text(self, statement: ast.Statement, indent: int) -> str:
        span, whole = statement.span, getattr(statement, "whole", None)
        if self.waiting(span.end):  # a comment inside is written where it stands
            return super().statement_text(statement if whole is None else shift(whole, span.start), indent)
        key = self.text[span.start : span.end], indent
        if key not in self.memory:
            self.memory[key] = super().statement_text(statement if whole is None else whole, indent)
        return self.memory[key]


def edits(old: str, new: str) -> list[Edit]:
    """The runs of lines in which one text differs from another."""
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

"""`bbi fmt` as edits: only the lines that change, so that an editor keeps its place."""

from __future__ import annotations

from difflib import SequenceMatcher

from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.format import format_file
from bbilang.grammar.parse import parse
from bbilang.lsp.document import Document


def formatted(document: Document) -> list[tuple[int, int, str]] | None:
    """(beginning, end, what comes in its place) for every run of lines that changes; None for a text with errors."""
    old = document.text
    if document.lines.diagnostics():
        return None
    try:
        new = format_file(parse(document.source))
    except BbiError:
        return None
    if old.count("\r\n") * 2 > old.count("\n"):
        new = new.replace("\n", "\r\n")
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    starts = [0]
    for line in before:
        starts.append(starts[-1] + len(line))
    edits = []
    for kind, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind != "equal":
            edits.append((starts[a], starts[b], "".join(after[c:d])))
    return edits

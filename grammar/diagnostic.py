"""Diagnostics as data: code, message, span and help. They are rendered at the edge, as text or JSON."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import field
from typing import Any, Literal

from bbilang.grammar.frozen import frozen
from bbilang.grammar.source import Source, Span

LONGEST = 400  # characters of a line that a message shows in full
Severity = Literal["error", "warning"]


@frozen
class Diagnostic:
    """One error or warning about a source.

    ``span`` is None for errors on the command line or in a call, not in the text.
    ``related``: further spans, each with a note on its role.
    """

    code: str
    message: str
    span: Span | None = None
    help: str | None = None
    severity: Severity = "error"
    related: tuple[tuple[Span, str], ...] = field(default=())

    def to_json(self, source: Source | None) -> dict[str, Any]:
        """Return the JSON form for editors: zero-based offsets, one-based lines and columns."""

        def position(span: Span) -> dict[str, Any]:
            if source is None:
                return {"start": span.start, "end": span.end}
            (line, column), (end_line, end_column) = source.position(span.start), source.position(span.end)
            return {
                "start": span.start, "end": span.end,
                "line": line, "column": column, "end_line": end_line, "end_column": end_column,
            }  # fmt: skip

        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "help": self.help,
            "file": source.name if source else None,
            "span": position(self.span) if self.span else None,
            "related": [{"message": message, "span": position(span)} for span, message in self.related],
        }


class BbiError(Exception):
    """Errors of the compiler or the runtime: one or more diagnostics, and the source that their spans refer to."""

    def __init__(self, diagnostics: Iterable[Diagnostic] | Diagnostic, source: Source | None = None):
        self.diagnostics = (diagnostics,) if isinstance(diagnostics, Diagnostic) else tuple(diagnostics)
        self.source = source
        super().__init__(render(self.diagnostics, source))

    def to_json(self) -> list[dict[str, Any]]:
        return [d.to_json(self.source) for d in self.diagnostics]


def _width(text: str) -> int:
    """Return the columns that a text takes in a terminal: wide characters two, combining ones none."""
    wide = {"W": 2, "F": 2}
    return sum(0 if unicodedata.combining(c) else wide.get(unicodedata.east_asian_width(c), 1) for c in text)


def _clipped(text: str, left: int, right: int) -> tuple[str, int, int]:
    """Return the part of a very long line that a message shows, and where its span begins and ends in it."""
    if len(text) <= LONGEST:
        return text, left, right
    start, end = max(0, left - LONGEST // 4), min(len(text), left + LONGEST // 2)
    before, after = "… " if start else "", " …" if end < len(text) else ""
    by = len(before) - start
    return f"{before}{text[start:end]}{after}", left + by, min(right, end) + by


def _excerpt(source: Source, span: Span, note: str = "") -> list[str]:
    """Return the source lines of a span with carets under it; long spans show their first and last line."""
    (first, column), (last, end_column) = source.position(span.start), source.position(span.end)
    gutter = max(4, len(str(last)) + 1)
    lines = [f"  --> {source.name}:{first}:{column}"]
    for number in range(first, last + 1) if last - first < 4 else (first, first + 1, last):
        text = source.line(number).replace("\t", " ")
        left = column - 1 if number == first else len(text) - len(text.lstrip())
        right = end_column - 1 if number == last else len(text)
        text, left, right = _clipped(text, left, right)
        lines.append(f"{number:>{gutter}} | {text}")
        carets = "^" * max(1, _width(text[left:right]))
        lines.append(f"{'':>{gutter}}   {' ' * _width(text[:left])}{carets}{' ' + note if note else ''}")
    return lines


def render(diagnostics: Iterable[Diagnostic], source: Source | None) -> str:
    """Render diagnostics for a terminal, one block each, separated by blank lines."""
    blocks = []
    for d in diagnostics:
        lines = [f"{d.severity}[{d.code}]: {d.message}"]
        if source is not None and d.span is not None:
            lines += _excerpt(source, d.span)
        for span, note in d.related:
            if source is not None:
                lines += _excerpt(source, span, note)
        if d.help:
            lines.append(f"  help: {d.help}")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)

"""Incremental scanning: after an edit, only the logical lines around it are scanned and parsed again.

    old lines   a b c d e f         reused: a b, and f at its new offset
    new text    a b C d'e f         scanned: the window from the edited line to the next unchanged line

The window is scanned as a text of its own. Where that could give another result (an interface opens or closes in it,
or a bracket stays open) the whole text is scanned as `grammar.parse` does.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

from bbilang.grammar import ast, codes
from bbilang.grammar.diagnostic import Diagnostic
from bbilang.grammar.parse import parse_line, shifted, version_not_first
from bbilang.grammar.scan import Piece, scan
from bbilang.grammar.source import Span

_OF_BLOCKS = re.compile(r"[{}]|\binterface\b")
MARGIN = 2  # lines on either side of the edit that are scanned again: where one ends depends on the next
UNBALANCED = (codes.OPEN_BRACKET, codes.STRAY_CLOSER, codes.BAD_BLOCK)  # errors that affect following lines
MAX_SLIPS = 40  # the scanner stops at 50


@dataclass(slots=True)
class Line:
    """A logical line. Spans in ``statement`` and ``diagnostics`` are relative to ``start``."""

    piece: Piece
    start: int
    end: int
    statement: ast.Statement | None
    diagnostics: tuple[Diagnostic, ...]


@dataclass(frozen=True)
class Lines:
    """All logical lines of a text, its lexical errors (``slips``), and its comments."""

    text: str
    lines: tuple[Line, ...]
    slips: tuple[Diagnostic, ...]
    comments: tuple[ast.Comment, ...]

    @classmethod
    def of(cls, text: str) -> Lines:
        scanned = scan(text)
        return cls(text, tuple(map(_line, scanned.pieces)), scanned.diagnostics, scanned.comments)

    def edited(self, text: str) -> Lines:
        """Return the lines of an edited version of this text."""
        if text == self.text:
            return self
        return self._rescan_window(text) or Lines.of(text)

    def _rescan_window(self, text: str) -> Lines | None:
        old, lines = self.text, self.lines
        first, last = _difference(old, text)  # only old[first:last] differs
        shift = len(text) - len(old)
        low = max(bisect_left(lines, first, key=_start) - MARGIN, 0)
        high = min(bisect_left(lines, last + 1, key=_start) + MARGIN, len(lines))
        while 0 < low and old.find("\n", lines[low - 1].end, lines[low].start) < 0:
            low -= 1
        while high < len(lines) and old.find("\n", max(last, lines[high - 1].end), lines[high].start) < 0:
            high += 1
        begin = old.rfind("\n", 0, lines[low].start) + 1 if low else 0
        stop = old.rfind("\n", 0, lines[high].start) + 1 if high < len(lines) else len(old)
        outside = [d for d in self.slips if d.span and not begin <= d.span.start < stop]
        if len(self.slips) > MAX_SLIPS or any(d.code in UNBALANCED for d in outside):
            return None
        if _OF_BLOCKS.search(old, begin, stop) or _OF_BLOCKS.search(text, begin, stop + shift):
            return None
        scanned = scan(text[begin : stop + shift])
        below = [d for d in outside if d.span and d.span.start >= stop]
        if below and any(d.code in UNBALANCED for d in scanned.diagnostics):
            return None  # a bracket left open here may close further down
        fresh = [_line(Piece(p.kind, p.span.shift(begin), p.text)) for p in scanned.pieces]
        if high < len(lines):  # the window must end in an unchanged line
            unchanged = lines[high - 1]
            if unchanged.start <= last or not fresh or fresh[-1].piece.text != unchanged.piece.text:
                return None
            if fresh[-1].start != unchanged.start + shift:
                return None
        shifted_lines = [_moved_line(line, shift) for line in lines[high:]] if shift else lines[high:]
        slips = [d for d in outside if d.span and d.span.start < begin]
        slips += [shifted(d, begin) for d in scanned.diagnostics]
        slips += [shifted(d, shift) for d in below]
        above = [c for c in self.comments if c.span.start < begin]
        inside = [_moved_comment(c, begin) for c in scanned.comments]
        under = [_moved_comment(c, shift) for c in self.comments if c.span.start >= stop]
        return Lines(text, (*lines[:low], *fresh, *shifted_lines), tuple(slips), (*above, *inside, *under))

    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Return all syntax errors, in text order."""
        diagnostics = list(self.slips)
        for number, line in enumerate(self.lines):
            diagnostics += (shifted(diagnostic, line.start) for diagnostic in line.diagnostics)
            if number and isinstance(line.statement, ast.Version):
                diagnostics.append(version_not_first(Span(line.start, line.end)))
        return tuple(sorted(diagnostics, key=lambda d: (d.span.start, d.span.end) if d.span else (0, 0)))


def _start(line: Line) -> int:
    return line.start


def _line(piece: Piece) -> Line:
    if piece.kind == "close":
        return Line(piece, piece.span.start, piece.span.end, None, ())
    statement, diagnostics = parse_line(piece.text, "header" if piece.kind == "open" else "statement")
    return Line(piece, piece.span.start, piece.span.end, statement, diagnostics)


def _moved_line(line: Line, by: int) -> Line:
    piece = Piece(line.piece.kind, line.piece.span.shift(by), line.piece.text)
    return Line(piece, line.start + by, line.end + by, line.statement, line.diagnostics)


def _moved_comment(comment: ast.Comment, by: int) -> ast.Comment:
    return ast.Comment(comment.text, comment.span.shift(by), comment.alone) if by else comment


def _difference(old: str, new: str) -> tuple[int, int]:
    """Return (first, last): old[:first] is a common prefix and old[last:] a common suffix."""
    shorter = min(len(old), len(new))
    first = _largest(lambda n: old[:n] == new[:n], shorter)
    suffix = _largest(lambda n: old[len(old) - n :] == new[len(new) - n :], shorter - first)
    return first, len(old) - suffix


def _largest(holds: Callable[[int], bool], maximum: int) -> int:
    """Return the largest n up to ``maximum`` that satisfies the monotone predicate ``holds``, by bisection."""
    low, high = 0, maximum
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle):
            low = middle
        else:
            high = middle - 1
    return low

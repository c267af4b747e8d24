"""The logical lines of a text that is being written: after an edit only those around it are scanned and parsed again.

    old lines   a b c d e f         kept: a b, and f where it is now
    new text    a b C d'e f         scanned: the window from the edit's line to the next line that stands as it stood

The window is read as a text of its own. Where that could be wrong (a block of an interface opens or closes in it, a
bracket stays open) the whole text is scanned as `grammar.parse` does.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

from bbilang.grammar import ast, codes
from bbilang.grammar.diagnostic import Diagnostic
from bbilang.grammar.parse import _moved, parse_line
from bbilang.grammar.scan import Piece, scan
from bbilang.grammar.source import Span

_OF_BLOCKS = re.compile(r"[{}]|\binterface\b")
BESIDE = 2  # lines on either side of the edit that are read again: where one ends depends on what follows
UNBALANCED = (codes.OPEN_BRACKET, codes.STRAY_CLOSER, codes.BAD_BLOCK)  # mistakes that reach beyond their line
MOST_SLIPS = 40  # the scanner stops at 50


@dataclass(slots=True)
class Line:
    """A logical line at ``start``. ``statement`` and ``found`` count their places from there."""

    piece: Piece
    start: int
    end: int
    statement: Any
    found: tuple[Diagnostic, ...]


@dataclass(frozen=True)
class Lines:
    """All logical lines of a text, what is wrong with single characters of it, and the comments in it."""

    text: str
    lines: tuple[Line, ...]
    slips: tuple[Diagnostic, ...]
    comments: tuple[ast.Comment, ...]

    @classmethod
    def of(cls, text: str) -> Lines:
        scanned = scan(text)
        return cls(text, tuple(map(_line, scanned.pieces)), scanned.diagnostics, scanned.comments)

    def edited(self, text: str) -> Lines:
        """The lines of a text that came from this one."""
        if text == self.text:
            return self
        return self._around(text) or Lines.of(text)

    def _around(self, text: str) -> Lines | None:
        old, lines = self.text, self.lines
        first, last = _difference(old, text)  # old[first:last] is another text now; what follows is the same
        moved = len(text) - len(old)
        low = max(bisect_left(lines, first, key=_start) - BESIDE, 0)
        high = min(bisect_left(lines, last + 1, key=_start) + BESIDE, len(lines))
        while 0 < low and old.find("\n", lines[low - 1].end, lines[low].start) < 0:
            low -= 1
        while high < len(lines) and old.find("\n", max(last, lines[high - 1].end), lines[high].start) < 0:
            high += 1
        begin = old.rfind("\n", 0, lines[low].start) + 1 if low else 0
        stop = old.rfind("\n", 0, lines[high].start) + 1 if high < len(lines) else len(old)
        outside = [d for d in self.slips if d.span and not begin <= d.span.start < stop]
        if len(self.slips) > MOST_SLIPS or any(d.code in UNBALANCED for d in outside):
            return None
        if _OF_BLOCKS.search(old, begin, stop) or _OF_BLOCKS.search(text, begin, stop + moved):
            return None
        scanned = scan(text[begin : stop + moved])
        below = [d for d in outside if d.span and d.span.start >= stop]
        if below and any(d.code in UNBALANCED for d in scanned.diagnostics):
            return None  # a bracket that stays open here may close in what is wrong there
        fresh = [_line(Piece(p.kind, p.span.shift(begin), p.text)) for p in scanned.pieces]
        if high < len(lines):  # the window's last line is one that stands as it stood, or all may be another text
            known = lines[high - 1]
            if known.start <= last or not fresh or fresh[-1].piece.text != known.piece.text:
                return None
            if fresh[-1].start != known.start + moved:
                return None
        kept = [_moved_line(line, moved) for line in lines[high:]] if moved else lines[high:]
        slips = [d for d in outside if d.span and d.span.start < begin]
        slips += [_moved(d, begin) for d in scanned.diagnostics]
        slips += [_moved(d, moved) for d in below]
        above = [c for c in self.comments if c.span.start < begin]
        inside = [_moved_comment(c, begin) for c in scanned.comments]
        under = [_moved_comment(c, moved) for c in self.comments if c.span.start >= stop]
        return Lines(text, (*lines[:low], *fresh, *kept), tuple(slips), (*above, *inside, *under))

    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Everything wrong with the syntax, in the order of the text."""
        found = list(self.slips)
        for number, line in enumerate(self.lines):
            found += (_moved(diagnostic, line.start) for diagnostic in line.found)
            if number and isinstance(line.statement, ast.Version):
                message = "the version stands on the first line, before everything else"
                span = Span(line.start, line.end)
                found.append(Diagnostic(codes.VERSION_NOT_FIRST, message, span, "move it there"))
        return tuple(sorted(found, key=lambda d: (d.span.start, d.span.end) if d.span else (0, 0)))


def _start(line: Line) -> int:
    return line.start


def _line(piece: Piece) -> Line:
    if piece.kind == "close":
        return Line(piece, piece.span.start, piece.span.end, None, ())
    statement, found = parse_line(piece.text, "header" if piece.kind == "open" else "statement")
    return Line(piece, piece.span.start, piece.span.end, statement, found)


def _moved_line(line: Line, by: int) -> Line:
    piece = Piece(line.piece.kind, line.piece.span.shift(by), line.piece.text)
    return Line(piece, line.start + by, line.end + by, line.statement, line.found)


def _moved_comment(comment: ast.Comment, by: int) -> ast.Comment:
    return ast.Comment(comment.text, comment.span.shift(by), comment.alone) if by else comment


def _difference(old: str, new: str) -> tuple[int, int]:
    """(first, last): old[:first] begins both texts and old[last:] ends both."""
    most = min(len(old), len(new))
    first = _common(lambda n: old[:n] == new[:n], most)
    behind = _common(lambda n: old[len(old) - n :] == new[len(new) - n :], most - first)
    return first, len(old) - behind


def _common(same: Any, most: int) -> int:
    """The largest n up to ``most`` for which ``same`` holds; it holds for all smaller ones."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if same(middle):
            low = middle
        else:
            high = middle - 1
    return low

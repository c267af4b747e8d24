"""Parse a text to its syntax tree.

    text -> logical lines -> statements -> file
        scan             build        (blocks)

Logical lines are parsed one by one and cached by their text, with spans relative to the line that are shifted
afterwards. So a line with an error does not affect the others, and an editor parses only what changed.
"""

from __future__ import annotations

import re
import threading
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any, Final, Literal

from lark import Lark
from lark.exceptions import UnexpectedInput

from bbilang.grammar import ast, codes, parse_tables
from bbilang.grammar.ast import File
from bbilang.grammar.build import Builder
from bbilang.grammar.codes import CODES
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.holes import HOLE, misplaced
from bbilang.grammar.scan import MAX_DEPTH, Piece, scan
from bbilang.grammar.source import Source, Span
from bbilang.grammar.statement_words import RESERVED_WORDS, STATEMENT_WORDS
from bbilang.grammar.syntax_errors import syntax_error
from bbilang.grammar.walk import first_too_deep, shift

__all__ = ["CODES", "MAX_BYTES", "MAX_DEPTH", "RESERVED_WORDS", "STATEMENT_WORDS", "lost_names", "parse",
           "parse_recovering"]  # fmt: skip

MAX_BYTES: Final = 256 * 1024

Rule = Literal["statement", "header"]


def parse(source: Source | str) -> File:
    """Parse a file, or a single pipe.

    Raises BbiError with every syntax error of the file. A byte order mark is dropped: spans refer to ``File.source``.
    """
    file, diagnostics = parse_recovering(source)
    if diagnostics:
        raise BbiError(diagnostics, file.source)
    return file


def parse_recovering(source: Source | str) -> tuple[File, tuple[Diagnostic, ...]]:
    """Parse a file as far as possible. Returns its tree, and the errors in the order of the text. Never raises.

    ``lost_names``: the bindings that the tree lacks because of errors.
    """
    return _parsed(Source(source) if isinstance(source, str) else source)


@lru_cache(maxsize=4)  # a command parses a text several times, and trees are immutable
def _parsed(source: Source) -> tuple[File, tuple[Diagnostic, ...]]:
    if source.text.startswith("\ufeff"):
        source = Source(source.text[1:], source.name)
    if refusal := too_large(source.text):
        return File((), span=Span(0, len(source.text)), source=source), (refusal,)
    scanned = scan(source.text)
    statements, errors = _assemble(scanned.pieces)
    diagnostics = sorted(
        (*scanned.diagnostics, *errors), key=lambda d: (d.span.start, d.span.end) if d.span else (0, 0)
    )
    file = File(statements, span=Span(0, len(source.text)), comments=scanned.comments, source=source)
    return file, tuple(diagnostics)


_BOUND = re.compile(r"^[ \t]*(?:def[ \t]+|dataset[ \t]+)?([^\W\d]\w*)[ \t]*(?:=(?!=)|\()", re.MULTILINE)


def lost_names(file: File) -> frozenset[str]:
    """Return the names that the text seems to bind and the tree does not. A checker reports no errors about them."""
    if file.source is None:
        return frozenset()
    bound: set[str] = set()
    pending: list[ast.Node] = [file]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Bind | ast.Define | ast.Dataset):
            bound.add(node.name.text)
        if isinstance(node, ast.File | ast.Interface):
            pending.extend(node.statements)
    return frozenset(_BOUND.findall(file.source.text)) - bound - STATEMENT_WORDS


def too_large(text: str) -> Diagnostic | None:
    """Return the diagnostic for a source of more than 256 kB; None for any other."""
    if len(text) <= MAX_BYTES // 4 or len(text.encode("utf-8", "surrogatepass")) <= MAX_BYTES:
        return None
    help = "split it with `use`"
    return Diagnostic(codes.TOO_LARGE, "the source is larger than 256 kB", Span(0, 0), help)


# --- blocks ---------------------------------------------------------------------------------------------------------


def _assemble(pieces: tuple[Piece, ...]) -> tuple[tuple[Any, ...], list[Diagnostic]]:
    """Parse logical lines into statements, and put those of a block into their interface."""
    diagnostics: list[Diagnostic] = []
    blocks: list[tuple[ast.Interface | None, Span, list[Any]]] = [(None, Span(0, 0), [])]

    def close(end: int) -> None:
        header, span, statements = blocks.pop()
        title = header.title if header else None
        blocks[-1][2].append(ast.Interface(title, tuple(statements), span=Span(span.start, max(end, span.end))))

    for number, piece in enumerate(pieces):
        if piece.kind == "close":
            close(piece.span.end if piece.text else pieces[number - 1].span.end)
            continue
        statement, errors = parse_line(piece.text, "header" if piece.kind == "open" else "statement")
        diagnostics += (shifted(diagnostic, piece.span.start) for diagnostic in errors)
        if piece.kind == "open":
            header = shift(statement, piece.span.start) if statement else None
            blocks.append((header, piece.span, []))
        elif statement is not None:
            if isinstance(statement, ast.Version) and number > 0:
                diagnostics.append(version_not_first(piece.span))
            blocks[-1][2].append(shift(statement, piece.span.start))
    while len(blocks) > 1:
        close(pieces[-1].span.end)
    return tuple(blocks[0][2]), diagnostics


def version_not_first(span: Span) -> Diagnostic:
    message = "the version must be on the first line, before everything else"
    return Diagnostic(codes.VERSION_NOT_FIRST, message, span, "move it there")


def shifted(diagnostic: Diagnostic, by: int) -> Diagnostic:
    """Move every span of a diagnostic."""
    span = diagnostic.span.shift(by) if diagnostic.span else None
    related = tuple((other.shift(by), note) for other, note in diagnostic.related)
    return replace(diagnostic, span=span, related=related)


# --- one logical line -----------------------------------------------------------------------------------------------

_LOCK = threading.Lock()  # the parser and its builder keep the state of one line


@cache
def _parser() -> tuple[Lark, Builder]:
    builder = Builder()
    parser = parse_tables.parser(builder)
    return parser, builder


@lru_cache(maxsize=4096)
def parse_line(text: str, rule: Rule = "statement") -> tuple[Any, tuple[Diagnostic, ...]]:
    """Parse one logical line. Returns (statement or None, diagnostics), with spans relative to the line."""
    with _LOCK:
        parser, builder = _parser()
        builder.problems.clear()
        try:
            statement: Any = parser.parse(text, start=rule)
        except UnexpectedInput as unexpected:
            # What the builder reported before that is true as well, but rarely the cause.
            return None, (syntax_error(text, _offset(unexpected, text)),)
        problems = tuple(_narrowed(problem, text) for problem in builder.problems)
    object.__setattr__(statement, "span", Span(0, len(text)))
    if not problems and HOLE in text:
        problems = tuple(misplaced(statement))
    if not problems and (too_deep := _too_deep(statement, text)):
        problems = (too_deep,)
    return (None if problems else statement), problems


def _narrowed(diagnostic: Diagnostic, text: str) -> Diagnostic:
    """Trim white space from the ends of a diagnostic's span."""
    assert diagnostic.span is not None
    start, end = diagnostic.span.start, diagnostic.span.end
    covered = text[start:end]
    if not covered.strip():
        return diagnostic
    span = Span(start + len(covered) - len(covered.lstrip()), end - len(covered) + len(covered.rstrip()))
    return replace(diagnostic, span=span)


def _offset(unexpected: UnexpectedInput, text: str) -> int:
    token = getattr(unexpected, "token", None)
    if token is not None and token.type == "$END":
        return len(text)
    offset = unexpected.pos_in_stream if token is None else token.start_pos
    return len(text) if offset is None else offset


_NESTING = re.compile(r"[(\[|.+\-*/<>=!]|and|or|not")  # each may add two levels to the tree: a pipe and its stage


def _too_deep(statement: ast.Node, text: str) -> Diagnostic | None:
    """Return the diagnostic for expressions that nest too deeply without brackets, which the scanner cannot see."""
    if 2 * len(_NESTING.findall(text)) + 8 <= MAX_DEPTH or (node := first_too_deep(statement, MAX_DEPTH)) is None:
        return None
    help = "bind a part of it to a name and use the name"
    return Diagnostic(codes.TOO_DEEP, f"expressions are nested deeper than {MAX_DEPTH}", node.span, help)

"""Go to definition, find references, and rename for bindings."""

from __future__ import annotations

import re
from bisect import bisect_right

from bbilang.grammar import ast
from bbilang.grammar.parse import _BOUND
from bbilang.grammar.statement_words import RESERVED_WORDS, STATEMENT_WORDS
from bbilang.lsp.calls import parameters_of
from bbilang.lsp.cursor import Cursor, Token
from bbilang.lsp.document import Definition, Document
from bbilang.lsp.hover import token_at

WORD_KINDS = (
    "axis",
    "word",
    "style",
    "method",
    "quoted",
    "measures",
    "flag",
    "text",
)
_NAME = re.compile(r"[^\W\d]\w*")


class RenameRefused(Exception):
    """The new name is not allowed; the message says why."""


def definitions(document: Document) -> list[Definition]:
    """Return every name that the text binds, cached per version."""
    version, known = document.definitions
    if version != document.version:
        known = _definitions(document)
        document.definitions = document.version, known
    return known


def _definitions(document: Document) -> list[Definition]:
    definitions, blocks = [], document.blocks()
    for line in document.lines.lines:
        statement = line.statement
        if isinstance(statement, ast.Bind | ast.Define | ast.Dataset):
            span = statement.name.span.shift(line.start)
            block = next((b for b in blocks if b[0] <= line.start <= b[1]), None)
            definitions.append(Definition(statement.name.text, span.start, span.end, block))
        elif isinstance(statement, ast.Model):
            for item in statement.items:
                if item.alias is not None:
                    span = item.alias.span.shift(line.start)
                    definitions.append(Definition(item.alias.text, span.start, span.end, None))
    parsed = {definition.start for definition in definitions}
    for match in _BOUND.finditer(document.text):  # in lines that could not be parsed
        start = match.start(1)
        if start not in parsed and match[1] not in STATEMENT_WORDS and not _within(document, start):
            block = next((b for b in blocks if b[0] <= start <= b[1]), None)
            definitions.append(Definition(match[1], start, match.end(1), block))
    return definitions


def _within(document: Document, offset: int) -> bool:
    """Return whether an offset is in a line that could be parsed."""
    lines = document.lines.lines
    number = bisect_right(lines, offset, key=lambda line: line.start) - 1
    return number >= 0 and lines[number].statement is not None and offset < lines[number].end


def definition_at(document: Document, offset: int) -> Definition | None:
    """Return the definition that the word at an offset is or refers to."""
    token, cursor = token_at(document.text, offset)
    if token is None or cursor is None or token.kind != "path":
        return None
    known = definitions(document)
    own = next((d for d in known if d.start <= offset <= d.end), None)
    if own is not None:
        return own
    if not _is_reference(document, token, cursor):
        return None
    for name in dict.fromkeys((token.text, token.text.rpartition(".")[0], token.text.partition(":")[0])):
        if definition := _visible_from(known, name, token.start):
            return definition
    return None


def _visible_from(known: list[Definition], name: str, offset: int) -> Definition | None:
    """Return the definition of a name visible at an offset; an interface shadows the file."""
    same = [d for d in known if d.name == name]
    inside = [d for d in same if d.block is not None and d.block[0] <= offset <= d.block[1]]
    return next(iter(inside or [d for d in same if d.block is None]), None)


def _is_reference(document: Document, token: Token, cursor: Cursor) -> bool:
    """Return whether a word refers to a binding rather than being a parameter name, axis, style or operation."""
    frame, following = cursor.frame, document.text[token.end : token.end + 20].lstrip(" ")
    if following.startswith("=") and not following.startswith("==") and len(cursor.frames) > 1:
        return False
    if token.start == cursor.start and following.startswith("=") and not following.startswith("=="):
        return True
    if cursor.first == "def" and token.text.partition(".")[0] in _parameters_of_def(document.text, cursor):
        return False
    if cursor.is_stage:
        return any(d.name == token.text for d in definitions(document))
    if frame.callee and frame.opener == "(":
        parameters = parameters_of(document, cursor, frame)
        named = [p for p in parameters if p.name == frame.name]
        at = parameters[frame.argument : frame.argument + 1] if not frame.given and frame.name is None else ()
        for parameter in named or at:
            if parameter.kind in WORD_KINDS or token.text in parameter.choices:
                return False
    return True


def _parameters_of_def(text: str, cursor: Cursor) -> set[str]:
    head = text[cursor.start : cursor.offset].partition("(")[2].partition(")")[0]
    return set(_NAME.findall(head))


def references(document: Document, definition: Definition) -> list[tuple[int, int]]:
    """Return the span of every occurrence of the name, including its definition, in text order."""
    text, spans = document.text, []
    known = definitions(document)
    for match in re.finditer(rf"(?<![\w.:]){re.escape(definition.name)}(?!\w)", text):
        if match.start() == definition.start:
            spans.append(match.span())
            continue
        token, cursor = token_at(text, match.start())
        if token is None or cursor is None or cursor.comment or token.kind != "path" or token.start != match.start():
            continue
        if token.text not in (definition.name, f"{definition.name}.{token.text.rpartition('.')[2]}"):
            if not token.text.startswith(f"{definition.name}:"):
                continue
        if (
            _is_reference(document, token, cursor)
            and _visible_from(known, definition.name, match.start()) == definition
        ):
            spans.append(match.span())
    return spans


def rename_spans(document: Document, definition: Definition, name: str) -> list[tuple[int, int]]:
    """Return the spans to replace with the new name. Raises `RenameRefused`."""
    if not _NAME.fullmatch(name):
        raise RenameRefused(f"`{name}` is not a name: a letter, then letters, digits and underscores")
    if name in STATEMENT_WORDS or name in RESERVED_WORDS:
        raise RenameRefused(f"`{name}` is a word of the language")
    for other in definitions(document):
        if other.name == name and other != definition and (other.block in (None, definition.block)
                                                           or definition.block is None):  # fmt: skip
            raise RenameRefused(f"`{name}` is bound already")
    operations = document.registry.operations
    if name in operations and any(d == definition for d in definitions(document) if _is_def(document, d)):
        raise RenameRefused(f"`{name}` is an operation of the language")
    description = document.description_at(definition.start)
    if description is not None and name in description.by_name:
        raise RenameRefused(f"`{name}` is a layer of {description.name}, which the name would hide")
    return references(document, definition)


def _is_def(document: Document, definition: Definition) -> bool:
    return document.text[: definition.start].rstrip(" \t").endswith("def")

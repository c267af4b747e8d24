"""Semantic tokens for syntax highlighting: bindings, layers, operations, styles ... Tokens are cached per line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from bbilang.compiler.check.selections import SELECTIONS
from bbilang.compiler.ir.types import ATOMS
from bbilang.grammar.parse import _BOUND
from bbilang.grammar.statement_words import RESERVED_WORDS, STATEMENT_WORDS
from bbilang.lsp.cursor import Token, tokens
from bbilang.lsp.document import Document

KINDS = ("keyword", "comment", "string", "number", "operator", "variable", "function", "parameter", "class", "type",
         "enumMember", "property")  # fmt: skip
NUMBER = {kind: number for number, kind in enumerate(KINDS)}


@dataclass(frozen=True, slots=True)
class SemanticToken:
    """``name``: of a word whose kind depends on the bindings of the file; ``kind`` applies where it is not bound."""

    start: int
    end: int
    kind: int
    name: str = ""


@lru_cache(maxsize=8192)
def line_tokens(line: str, continues: bool) -> tuple[SemanticToken, ...]:
    """Return the tokens of one physical line. ``continues``: it continues the statement above."""
    result: list[SemanticToken] = []
    all_tokens = tokens(line)
    depth = 1 if continues and not line.lstrip().startswith("|") else 0
    for number, token in enumerate(all_tokens):
        before = all_tokens[number - 1] if number else None
        following = all_tokens[number + 1] if number + 1 < len(all_tokens) else None
        if token.text in "([{" and token.kind == "operator":
            depth += 1
        elif token.text in ")]}" and token.kind == "operator":
            depth -= 1
        elif token.kind == "path":
            first = number == 0 and not continues
            result += _path(token, before, following, depth, first)
        elif token.kind in ("comment", "string", "number"):
            result.append(SemanticToken(token.start, token.end, NUMBER[token.kind]))
        elif token.kind in ("operator", "range") and token.text not in ".,:":
            result.append(SemanticToken(token.start, token.end, NUMBER["operator"]))
    return tuple(result)


def _path(
    token: Token, before: Token | None, following: Token | None, depth: int, first: bool
) -> Iterator[SemanticToken]:
    next_text = following.text if following is not None else ""
    text = token.text

    def word(kind: str, name: str = "", start: int = token.start, end: int = token.end) -> SemanticToken:
        return SemanticToken(start, end, NUMBER[kind], name)

    if first and text in STATEMENT_WORDS and next_text != "=" and next_text != "|":
        yield word("keyword")
    elif text in RESERVED_WORDS or (text == "from" and before is not None):
        yield word("keyword")
    elif before is not None and before.text == "|":
        yield word("function")
    elif next_text == "=" and depth > 0:
        yield word("parameter")
    elif before is not None and before.text in ("set", "def") and before.start == 0:
        yield word("property" if before.text == "set" else "function")
    elif next_text == "(" or text in SELECTIONS:
        yield word("function")
    elif (before is not None and before.text == "=" and depth > 0) or (before is not None and before.text == "("):
        yield word("enumMember", text)
    elif before is not None and before.text == "." and before.end == token.start:
        yield word("type")
    else:
        head, dot, last = text.rpartition(".")
        if dot and last in ATOMS:
            yield word("class", head, end=token.end - len(last) - 1)
            yield word("type", start=token.end - len(last))
        else:
            yield word("class", text)


def semantic_tokens(document: Document, start: int = 0, end: int | None = None) -> list[int]:
    """Return the protocol's encoding, five integers per token: line delta, start delta, length, kind, modifiers."""
    source, text = document.source, document.text
    first = source.position(min(start, len(text)))[0]
    last = source.position(len(text) if end is None else min(end, len(text)))[0]
    names = _names(document)
    variable, constant = NUMBER["variable"], NUMBER["enumMember"]
    numbers: list[int] = []
    last_row, column = 0, 0
    began = {source.position(line.start)[0] for line in document.lines.lines}
    for number in range(first, last + 1):
        line = source.line(number)
        if not line:
            continue
        wide = not line.isascii()
        for each in line_tokens(line, number not in began):
            kind = each.kind
            if each.name:
                head = each.name.partition(":")[0] if ":" in each.name else each.name
                if head in names or each.name.rpartition(".")[0] in names:
                    kind = variable
                elif kind == constant and ("." in each.name or each.name in ("output", "input")):
                    kind = NUMBER["class"]
            begin = _units(line[: each.start]) if wide else each.start
            length = _units(line[each.start : each.end]) if wide else each.end - each.start
            row = number - 1
            numbers += (row - last_row, begin - column if row == last_row else begin, length, kind, 0)
            last_row, column = row, begin
    return numbers


def _names(document: Document) -> set[str]:
    """Return the names that the text appears to bind; highlighting does not wait for the checker."""
    return {*_BOUND.findall(document.text)} - STATEMENT_WORDS


def _units(text: str) -> int:
    return len(text) + sum(ord(character) > 0xFFFF for character in text)

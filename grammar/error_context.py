"""The tokens of a logical line around the one that the parser rejected: what a syntax error is diagnosed from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from bbilang.grammar.comparisons import COMPARE
from bbilang.grammar.frozen import frozen
from bbilang.grammar.source import Span

_TOKEN = re.compile(
    r"""
      [ \t\r\n]+ | \#[^\n]*
    | (?P<string>"(?:[^"\\\n]|\\[^\n])*")
    | (?P<number>(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\w*(?:\.\w+)*)
    | (?P<rest>\?\*)
    | (?P<word>(?:[^\W\d]\w*:)?(?:[^\W\d]\w*|\?)(?:\.(?:\w+|\?))*)
    | (?P<attribute>\.(?:[^\W\d]\w*|\?))
    | (?P<mark>\.\.|->|<=|>=|==|!=|.)
    """,
    re.VERBOSE | re.DOTALL,
)
OPERATORS: Final = frozenset(COMPARE) | {"+", "-", "*", "/", "->", "and", "or", "not"}


@dataclass(frozen=True, slots=True)
class Token:
    """A token of the line. The last is followed by one of kind `end`, the first preceded by one of kind `begin`."""

    kind: str
    text: str
    span: Span

    @property
    def is_value(self) -> bool:
        """Whether the token could be a value, or the beginning of one."""
        return self.kind in ("string", "number", "word") and self.text not in OPERATORS

    @property
    def quoted(self) -> str:
        """The token in backquotes, for a message; a long one is truncated."""
        if self.kind == "end":
            return "the end of the statement"
        return f"`{self.text}`" if len(self.text) <= 40 else f"`{self.text[:37]}...`"

    @property
    def ends_value(self) -> bool:
        return self.is_value or self.kind == "attribute" or self.text in (")", "]")


@frozen
class ErrorContext:
    """The token that the parser rejected, those around it, and the brackets that are open there."""

    text: str
    tokens: tuple[Token, ...]
    index: int  # of the rejected token

    @property
    def at(self) -> Token:
        return self.tokens[self.index]

    @property
    def before(self) -> Token:
        return self.tokens[self.index - 1]

    @property
    def after(self) -> Token:
        return self.tokens[min(self.index + 1, len(self.tokens) - 1)]

    @property
    def first(self) -> Token:
        return self.tokens[1]

    @property
    def second(self) -> Token:
        return self.tokens[min(2, len(self.tokens) - 1)]

    @cached_property
    def open(self) -> tuple[int, ...]:
        """Indices of the brackets that are open before the rejected token, innermost last."""
        stack: list[int] = []
        for number, token in enumerate(self.tokens[: self.index]):
            if token.kind == "mark" and token.text in "([":
                stack.append(number)
            elif token.kind == "mark" and token.text in ")]" and stack:
                stack.pop()
        return tuple(stack)

    @property
    def opener(self) -> str:
        return self.tokens[self.open[-1]].text if self.open else ""

    @property
    def in_stage(self) -> bool:
        """Whether the value before the rejected token is a stage of a pipe."""
        return self.tokens[self.value_start - 1].text == "|"

    @property
    def value_start(self) -> int:
        """Index of the first token of the value before the rejected one: a name, or a bracket."""
        number = self.index - 1
        while number > 0:
            token = self.tokens[number]
            if token.text in (")", "]"):
                number = self._matching(number)
                if self.tokens[number - 1].ends_value:
                    number -= 1
                else:
                    return number
            elif token.kind == "attribute":
                number -= 1
            else:
                return number
        return max(number, 1)

    def _matching(self, closer: int) -> int:
        level = 0
        for number in range(closer, 0, -1):
            level += (self.tokens[number].text in (")", "]")) - (self.tokens[number].text in ("(", "["))
            if level == 0:
                return number
        return 1


def error_context(text: str, offset: int) -> ErrorContext:
    """Return the context of the token at a character offset of a logical line."""
    tokens = [Token("begin", "", Span(0, 0))]
    for match in _TOKEN.finditer(text):
        if match.lastgroup is not None:
            tokens.append(Token(match.lastgroup, match[0], Span(match.start(), match.end())))
    end = tokens[-1].span.end
    tokens.append(Token("end", "", Span(max(0, end - 1), end)))
    number = len(tokens) - 1
    if offset < end:
        number = next(n for n, token in enumerate(tokens) if n and token.span.end > offset)
    return ErrorContext(text, tuple(tokens), number)

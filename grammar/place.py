"""The tokens of a logical line around the place where the parser stopped: what grammar/complain.py looks at."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from bbilang.grammar.frozen import frozen
from bbilang.grammar.source import Span

_TOKEN = re.compile(
    r"""
      [ \t\r\n]+ | \#[^\n]*
    | (?P<string>"(?:[^"\\\n]|\\[^\n])*")
    | (?P<number>(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\w*(?:\.\w+)*)
    | (?P<word>(?:[^\W\d]\w*:)?[^\W\d]\w*(?:\.\w+)*)
    | (?P<attribute>\.[^\W\d]\w*)
    | (?P<mark>\.\.|->|<=|>=|==|!=|.)
    """,
    re.VERBOSE | re.DOTALL,
)
COMPARISONS: Final = frozenset({"<", "<=", ">", ">=", "==", "!="})
OPERATORS: Final = COMPARISONS | {"+", "-", "*", "/", "->", "and", "or", "not"}


@dataclass(frozen=True, slots=True)
class Word:
    """A token of the line; kind `end` stands behind the last, `begin` before the first."""

    kind: str
    text: str
    span: Span

    @property
    def is_value(self) -> bool:
        """Whether it could be a value, or the beginning of one."""
        return self.kind in ("string", "number", "word") and self.text not in OPERATORS

    @property
    def ends_value(self) -> bool:
        return self.is_value or self.kind == "attribute" or self.text in (")", "]")


@frozen
class Place:
    """Where the parser stopped: the token it could not use, those around it, and the brackets it is in."""

    text: str
    words: tuple[Word, ...]
    number: int

    @property
    def at(self) -> Word:
        return self.words[self.number]

    @property
    def before(self) -> Word:
        return self.words[self.number - 1]

    @property
    def after(self) -> Word:
        return self.words[min(self.number + 1, len(self.words) - 1)]

    @property
    def first(self) -> Word:
        return self.words[1]

    @property
    def second(self) -> Word:
        return self.words[min(2, len(self.words) - 1)]

    @cached_property
    def open(self) -> tuple[int, ...]:
        """Numbers of the brackets that are open before the place."""
        stack: list[int] = []
        for number, word in enumerate(self.words[: self.number]):
            if word.kind == "mark" and word.text in "([":
                stack.append(number)
            elif word.kind == "mark" and word.text in ")]" and stack:
                stack.pop()
        return tuple(stack)

    @property
    def opener(self) -> str:
        return self.words[self.open[-1]].text if self.open else ""

    @property
    def in_stage(self) -> bool:
        """Whether the value before the place is a stage of a pipe."""
        return self.words[self.value_start - 1].text == "|"

    @property
    def value_start(self) -> int:
        """Number of the token with which the value before the place begins: its name, or its bracket."""
        number = self.number - 1
        while number > 0:
            word = self.words[number]
            if word.text in (")", "]"):
                number = self._matching(number)
                if self.words[number - 1].ends_value:
                    number -= 1
                else:
                    return number
            elif word.kind == "attribute":
                number -= 1
            else:
                return number
        return max(number, 1)

    def _matching(self, closer: int) -> int:
        level = 0
        for number in range(closer, 0, -1):
            level += (self.words[number].text in (")", "]")) - (self.words[number].text in ("(", "["))
            if level == 0:
                return number
        return 1


def find(text: str, offset: int) -> Place:
    """The place at a character of a logical line."""
    words = [Word("begin", "", Span(0, 0))]
    for match in _TOKEN.finditer(text):
        if match.lastgroup is not None:
            words.append(Word(match.lastgroup, match[0], Span(match.start(), match.end())))
    end = words[-1].span.end
    words.append(Word("end", "", Span(max(0, end - 1), end)))
    number = len(words) - 1
    if offset < end:
        number = next(n for n, word in enumerate(words) if n and word.span.end > offset)
    return Place(text, tuple(words), number)

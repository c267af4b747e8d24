"""Source texts, and spans of characters in them."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bbilang.grammar.frozen import frozen


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open range of character offsets into one source."""

    start: int
    end: int

    def __or__(self, other: Span) -> Span:
        """Return the smallest span that covers both."""
        return Span(min(self.start, other.start), max(self.end, other.end))

    def shift(self, by: int) -> Span:
        return Span(self.start + by, self.end + by)


NOWHERE = Span(0, 0)


@frozen
class Source:
    """A text with a name. Lines and columns are one-based and count characters, as editors show them."""

    text: str
    name: str = "<text>"

    @property
    def folder(self) -> Path:
        """Return the folder that file names in the text are relative to: that of its file, else the working folder."""
        return Path() if self.name.startswith("<") else Path(self.name).parent

    @cached_property
    def line_starts(self) -> tuple[int, ...]:
        return (0, *(match.end() for match in re.finditer("\n", self.text)))

    def position(self, offset: int) -> tuple[int, int]:
        """Return (line, column) of a character offset."""
        line = bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """Return the text of a line, without its line end."""
        start = self.line_starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start : len(self.text) if end < 0 else end].rstrip("\r")

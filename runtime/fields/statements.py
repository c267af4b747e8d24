"""Sentences with verdicts, and the numbers that they stand for, which a page shows as a list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from bbilang.runtime.fields.findings import Findings

Line: TypeAlias = tuple[str, str, str, tuple[tuple[str, str], ...]]


@dataclass
class Statements(Findings):
    """stated: of each sentence its verdict, the kind of the verdict ("holds", "fails", "open"), the sentence, and lines
    below it, each (as a text has it, in words). leads: their finding is what the page opens with."""

    stated: tuple[Line, ...] = ()
    leads: bool = False

    def lines(self) -> Iterator[Line]:
        yield from self.stated

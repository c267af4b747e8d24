"""Which claims hold: a row for each condition, with what a test of the claims needs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from bbilang.runtime.fields.field import Named
from bbilang.runtime.fields.prose import p_value
from bbilang.runtime.fields.statements import Line, Statements


@dataclass
class Verdicts(Statements):
    """sentences, verdicts: of each claim. conditions: (the claim, its words) of each row. outcomes (row, 6): mean, low
    and high end of its interval, p-value before any correction, number of random sets, whether it is satisfied.
    corrected: the p-value of each claim after the correction for all claims of the page."""

    sentences: tuple[str, ...] = ()
    verdicts: tuple[str, ...] = ()
    conditions: tuple[tuple[int, str], ...] = ()
    outcomes: Named | None = None
    corrected: tuple[float, ...] = ()

    def lines(self) -> Iterator[Line]:
        """Yield of each claim its verdict, the kind of its verdict, its sentence, and (as the text has it, its number
        in words) of each of its conditions."""
        for number, (sentence, verdict) in enumerate(zip(self.sentences, self.verdicts, strict=True)):
            kind = verdict if verdict in ("holds", "fails") else "open"
            yield verdict, kind, sentence, tuple(self._tests(number))

    def _tests(self, number: int) -> Iterator[tuple[str, str]]:
        assert self.outcomes is not None
        for (claim, text), (value, low, high, p, sets, _) in zip(self.conditions, self.outcomes.data, strict=True):
            if claim == number:
                words = plain_number(value)
                if math.isfinite(low):
                    words += f", from {plain_number(low)} to {plain_number(high)} (95 %)"
                if math.isfinite(p):
                    most = round((1 + sets) * p) - 1
                    words += f"; {most} of {int(sets)} random sets do as much, {p_value(self.corrected[number])}"
                yield text, words


def plain_number(value: float) -> str:
    """Write a number with three digits and a minus sign."""
    return f"{value:.3g}".replace("-", "\u2212")

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
    corrected: the p-value of each claim after the correction for all claims of the page. checkpoints: of each row the
    checkpoint that its numbers are of, in which it is met least; empty for a single network."""

    sentences: tuple[str, ...] = ()
    verdicts: tuple[str, ...] = ()
    conditions: tuple[tuple[int, str], ...] = ()
    outcomes: Named | None = None
    corrected: tuple[float, ...] = ()
    checkpoints: tuple[str, ...] = ()

    def lines(self) -> Iterator[Line]:
        """Yield of each claim its verdict, the kind of its verdict, its sentence, and (as the text has it, its number
        in words) of each of its conditions."""
        for number, (sentence, verdict) in enumerate(zip(self.sentences, self.verdicts, strict=True)):
            kind = verdict if verdict in ("holds", "fails") else "open"
            yield verdict, kind, sentence, tuple(self._tests(number))

    def _tests(self, number: int) -> Iterator[tuple[str, str]]:
        assert self.outcomes is not None
        of = self.checkpoints or ("",) * len(self.conditions)
        rows = zip(self.conditions, self.outcomes.data, of, strict=True)
        for (claim, text), (value, low, high, p, sets, _), checkpoint in rows:
            if claim == number:
                words = plain_number(value) + (f" in {checkpoint}, the least of all" if checkpoint else "")
                if math.isfinite(low):
                    words += f", from {plain_number(low)} to {plain_number(high)} (95 %)"
                if math.isfinite(p):
                    most = round((1 + sets) * p) - 1
                    words += f"; {most} of {int(sets)} random sets do as much, {p_value(self.corrected[number])}"
                yield text, words


def plain_number(value: float) -> str:
    """Write a number with three digits and a minus sign."""
    return f"{value:.3g}".replace("-", "\u2212")

"""Which claims hold: a row for each condition, with what a test of the claims needs."""

from __future__ import annotations

from dataclasses import dataclass

from bbilang.runtime.fields.field import Named
from bbilang.runtime.fields.findings import Findings


@dataclass
class Verdicts(Findings):
    """sentences, verdicts: of each claim. conditions: (the claim, its words) of each row. outcomes (row, 6): mean, low
    and high end of its interval, p-value before any correction, number of random sets, whether it is satisfied."""

    sentences: tuple[str, ...] = ()
    verdicts: tuple[str, ...] = ()
    conditions: tuple[tuple[int, str], ...] = ()
    outcomes: Named | None = None

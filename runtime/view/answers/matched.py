"""Sentences about matched channels: the most alike, beside what chance gives."""

from __future__ import annotations

from bbilang.runtime.view.answers.pieces import sentence
from bbilang.runtime.view.answers.shown import Shown
from bbilang.runtime.view.model import Answer


def matched(shown: Shown) -> Answer:
    """Name the pairs that are most alike."""
    marks = shown.strongest()
    if not marks:
        return sentence("none of these channels has a partner")
    chance = shown.drawing.field.beside.get("chance")
    known = float(chance.data) if chance is not None else float("nan")
    beside = f"; pairs that do not belong together have {shown.number(known)} on average" if known == known else ""
    return sentence(*shown.listed(marks), f" {'is' if len(marks) == 1 else 'are'} the most alike{beside}")

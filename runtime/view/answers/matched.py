"""Sentences about matched channels: the clearest pairs, how many are not clear, and what chance gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbilang.runtime.fields.prose import prose
from bbilang.runtime.ops.comparing.match import AS_ALIKE, NEXT, as_alike
from bbilang.runtime.view.answers.checkpoints import in_each
from bbilang.runtime.view.answers.pieces import Part, listed, sentence, sentences
from bbilang.runtime.view.answers.shown import Mark, Shown, leading
from bbilang.runtime.view.model import Answer, Piece

if TYPE_CHECKING:
    from bbilang.runtime.view.drawing import Drawing

MOST = 3  # pairs that are named
UNTOLD = "which of them is the counterpart cannot be told"


def next_numbers(drawing: Drawing) -> np.ndarray | None:
    """Return the largest number of each drawn channel with any but its partner, over (states, facet, slot), without
    slots where one channel is drawn; None where the channels are not matched, or differently along another axis."""
    others = drawing.field.beside.get(NEXT)
    axes = [*drawing.states, *([drawing.facet] if drawing.facet else [])]
    slots = () if drawing.drawn.slots is None else (drawing.slots,)
    if others is None or not {*others.dims} <= {axis.name for axis in (*axes, *slots)}:
        return None  # as of a table with a column for each checkpoint
    return drawing.grid(others, *slots)


def next_words(number: float) -> str:
    """Return what stands below a pair: "next best 0.16"; nothing where there is no other channel."""
    return f"next best {prose(number, decimals=2)}" if number == number else ""


def matched(shown: Shown) -> Answer:
    """Name the pairs that are most alike, first those whose channel has no other such partner."""
    if not shown.marks:
        return sentence("none of these channels has a partner")
    if shown.facet_word == "checkpoint":
        return in_each(shown)
    known = shown.beside("chance")
    beside = f"; pairs that do not belong together have {shown.number(known)} on average" if known == known else ""
    if len(shown.marks) == 1:
        return _alone(shown, shown.marks[0], beside)
    others = [_next(shown, mark) for mark in shown.marks]
    near = as_alike(np.array([mark.value for mark in shown.marks]), np.array(others))
    clear = [mark for mark, other in zip(shown.marks, near, strict=True) if not other]
    ranked = leading(sorted(clear or shown.marks, key=lambda mark: -abs(mark.value))[:MOST])
    items: list[list[Part]] = [[_pair(shown, mark)] for mark in ranked]
    are = "is" if len(ranked) == 1 else "are"
    what = "the clearest" if near.any() and clear else "the most alike"
    return sentences(sentence(*listed(items), f" {are} {what}{beside}"), _unclear(int(near.sum()), len(near)))


def _alone(shown: Shown, mark: Mark, beside: str) -> Answer:
    other = _next(shown, mark)
    near = as_alike(np.array(mark.value), np.array(other))
    following = f", and {shown.number(other)} with the next best" if other == other else ""
    own, named, partner = shown.label(mark.atom).rpartition(" with ")
    own, partner = (own, partner) if named else (partner, "its partner")
    pair = Piece(f"{own} has {shown.number(mark.value)} with {partner}", mark.atom)
    return sentence(pair, f"{following}{f': {UNTOLD}' if near else ''}{beside}")


def _unclear(near: int, count: int) -> Answer:
    if not near:
        return ()
    words = f"for {near} of these {count} channels, another one is as alike, to within {AS_ALIKE}"
    return sentence(f"{words}: {UNTOLD}")


def _pair(shown: Shown, mark: Mark) -> Piece:
    other = _next(shown, mark)
    beside = f"; next best {shown.number(other)}" if other == other else ""
    return Piece(f"{shown.label(mark.atom)} ({shown.number(mark.value)}{beside})", mark.atom)


def _next(shown: Shown, mark: Mark) -> float:
    table = next_numbers(shown.drawing)
    return float("nan") if table is None else float(np.atleast_1d(table[shown.index(mark.panel)])[mark.slot])

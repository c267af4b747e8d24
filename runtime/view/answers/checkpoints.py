"""Sentences about checkpoints: how a number changes along them, and what is strongest in each."""

from __future__ import annotations

from bbilang.compiler.ir.models import CHECKPOINT_AXIS, SINCE
from bbilang.runtime.fields.prose import counted, prose
from bbilang.runtime.view.answers.pieces import Part, listed, sentence
from bbilang.runtime.view.answers.shown import Mark, Shown
from bbilang.runtime.view.model import Answer, Piece

MOST = 6  # checkpoints that a sentence names


def is_along(shown: Shown) -> bool:
    """Return whether the marks are checkpoints."""
    slots = shown.drawing.drawn.slots
    return slots is not None and slots.name == CHECKPOINT_AXIS


def changed(shown: Shown) -> bool:
    """Return whether the numbers are changes since the first checkpoint."""
    return any(step.endswith(SINCE) for step in shown.type.steps)


def along(shown: Shown) -> Answer:
    """Give the first and the last number, and the extreme where it lies between them."""
    marks = [mark for mark in shown.marks if mark.value == mark.value]
    if len(marks) < 2:
        return sentence(f"{prose(marks[0].value)} in {shown.label(marks[0].atom)}") if marks else ()
    first, last = marks[0], marks[-1]
    verb = "rises" if last.value > first.value else "falls" if last.value < first.value else "is the same:"
    what = shown.subject or shown.target or shown.type.content
    parts: list[Part] = [f"{what} {verb} from {prose(first.value)} in ", _named(shown, first),
                         f" to {prose(last.value)} in ", _named(shown, last)]  # fmt: skip
    high, low = max(marks, key=lambda mark: mark.value), min(marks, key=lambda mark: mark.value)
    for mark, word in ((high, "highest"), (low, "lowest")):
        if mark not in (first, last) and mark.value not in (first.value, last.value):
            parts += [f"; {word} in ", _named(shown, mark), f", {prose(mark.value)}"]
    return sentence(*parts)


def in_each(shown: Shown) -> Answer:
    """Name the mark with the largest number in every checkpoint."""
    scores = shown.type.content == "score" and not changed(shown)
    best: dict[int, Mark] = {}
    for mark in shown.marks:
        known = best.get(mark.panel)
        if known is None or _size(mark, scores) > _size(known, scores):
            best[mark.panel] = mark
    if not best:
        return ()
    atoms = {shown.label(mark.atom) for mark in best.values()}
    word = "highest score" if scores else "largest number"
    word = "largest change since the first checkpoint" if changed(shown) else word
    if len(atoms) == 1:
        (first, *_) = best.values()
        all_of_them = "both" if len(best) == 2 else f"all {counted(len(best))}"
        end = f" in {all_of_them} checkpoints" if len(best) > 1 else ""
        return sentence(_named(shown, first), f" has the {word}{end}")
    items: list[list[Part]] = [[_named(shown, mark), f" in {shown.labels[panel]}"]
                               for panel, mark in [*best.items()][:MOST]]  # fmt: skip
    more = f", and {counted(len(best) - MOST)} more" if len(best) > MOST else ""
    return sentence(f"the {word} in each checkpoint: ", *listed(items), more)


def _named(shown: Shown, mark: Mark) -> Piece:
    return Piece(shown.named(shown.label(mark.atom)), mark.atom)


def _size(mark: Mark, signed: bool) -> float:
    return mark.value if signed else abs(mark.value)

"""Sentences about interventions: the score before and after, and what random sets of atoms do."""

from __future__ import annotations

from math import isfinite

import numpy as np

from bbilang.runtime.fields.prose import counted, p_value, prose, singular
from bbilang.runtime.view.answers.pieces import Part, sentence, sentences
from bbilang.runtime.view.answers.shown import Mark, Shown
from bbilang.runtime.view.budget.controls import Controls
from bbilang.runtime.view.model import Answer, Piece


def effects_of(shown: Shown) -> Answer:
    """Describe the effect of an intervention: of a single one from what to what, of several which change most."""
    said = shown.type.steps[0] if shown.type.steps else "the change"
    target = shown.sure(shown.target) if shown.target else ""
    of = f"the score of {target}" if target else "the target"
    if len(shown.type.steps) > 1:  # arithmetic came after it: these are no effects on one score
        return _most(shown, said, f"{shown.drawing.field.type.steps[-1]} of {of}", "")
    if len(shown.marks) == 1 and len(shown.frames) == 1:
        return sentences(_one(shown, shown.marks[0], said, of), _chance_of_one(shown))
    before = shown.beside("before")
    return sentences(_most(shown, said, of, prose(before, decimals=2) if isfinite(before) else ""), _chance(shown))


def _one(shown: Shown, mark: Mark, said: str, of: str) -> Answer:
    """Write "With channel 447 set to zero, the score of tiger cat (39 %) falls from 9.17 to 8.56 (−0.61)"."""
    noun = singular(shown.type.atom)
    label = shown.named(shown.label(mark.atom))
    whom = said.replace(f"each {noun}", f"the {noun}" if label in shown.type.layers else label, 1)
    before, change = shown.beside("before"), Piece(shown.number(mark.value), mark.atom)
    start: list[Part] = [_chosen(shown), f"with {whom}, {of} "]
    if not isfinite(before):
        return sentence(*start, "changes by ", change)
    if not round(mark.value, 4):
        return sentence(*start, f"stays at {prose(before, decimals=2)}")
    ends = f"from {prose(before, decimals=2)} to {prose(before + mark.value, decimals=2)} ("
    return sentence(*start, f"{'rises' if mark.value > 0 else 'falls'} {ends}", change, ")")


def _most(shown: Shown, said: str, of: str, before: str) -> Answer:
    """Write which of several atoms, changed one at a time, change the score most."""
    marks = shown.strongest()
    score = f"{of}{f', {before},' if before else ''}"
    if not marks or not marks[0].value:
        return sentence(_chosen(shown), f"with {said}, {score} does not change")
    how = said.removeprefix(f"each {singular(shown.type.atom)} ")
    how = said if how == said else f"{how} one at a time"
    verb = "changes" if len(marks) == 1 else "change"
    return sentence(_chosen(shown), f"{how}, ", *shown.listed(marks), f" {verb} {score} most")


def _chosen(shown: Shown) -> str:
    if shown.example:
        return f"in {shown.example}, "
    return f"at {shown.position}, " if shown.position else ""


def _chance_of_one(shown: Shown) -> Answer:
    """Say what random sets do beside a single effect."""
    controls = Controls.of(shown.drawing)
    if controls is None:
        return ()
    values = controls.of_frame(shown.index())
    if not values.size:
        return ()
    low, high = (shown.number(float(end), True) for end in (values.min(), values.max()))
    words = f"{controls.called(values.shape[-1])} change it by {low} to {high}"
    p = controls.p_value(values.reshape(-1), shown.marks[0].value)
    return sentence(words if p is None else f"{words} ({p_value(p)})")


def _chance(shown: Shown) -> Answer:
    """Count the effects that lie outside of what random atoms do."""
    controls = Controls.of(shown.drawing)
    if controls is None or shown.drawing.drawn.slots is None or len(shown.frames) > 1:
        return ()
    low, high = controls.ends(shown.drawing.drawn.slots)
    at = shown.index()
    beyond = sum(mark.value < low[at][mark.slot] or mark.value > high[at][mark.slot] for mark in shown.marks)
    some = [mark for mark in shown.marks if np.isfinite(low[at][mark.slot])]
    if not some:
        return ()
    count = "none" if not beyond else "all" if beyond == len(some) else counted(beyond)
    each = "lies" if beyond == 1 else "lie"
    return sentence(f"{count} of the {counted(len(some))} {each} outside of what "
                    f"{controls.called(controls.count)} do, the band")  # fmt: skip

"""The line under an intervention's effects: the score before and after, and what random sets do."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite

from bbilang.runtime.fields.prose import PLURALS, p_value
from bbilang.runtime.view.budget.controls import Controls
from bbilang.runtime.view.budget.numbers import digits_of, plain, signed
from bbilang.runtime.view.drawing import Drawing
from bbilang.runtime.view.model import Frame, Panel


def with_effects(drawing: Drawing, panels: tuple[Panel, ...]) -> tuple[Panel, ...]:
    """Return the panels with a line for each state: "score 9.17 before, 8.56 after; 20 random channels: −0.05 to
    +0.04". Nothing where arithmetic changed the numbers, or classes have a score each."""
    before = drawing.field.beside.get("before")
    if before is None or len(drawing.field.type.steps) != 1:
        return panels
    try:
        known = drawing.grid(before)
    except ValueError:
        return panels
    controls = Controls.of(drawing)
    made = []
    for facet, panel in enumerate(panels):
        frames = []
        for frame, state in zip(panel.frames, drawing.each_state(), strict=True):
            at = drawing.index(state, facet)
            frames.append(replace(frame, budget=_line(drawing, frame, float(known[at]), controls, at)))
        made.append(replace(panel, frames=tuple(frames)))
    return tuple(made)


def _line(drawing: Drawing, frame: Frame, before: float, controls: Controls | None, at: tuple[int, ...]) -> str:
    own = [row[0] for atom, row in zip(frame.atoms, frame.values, strict=False) if atom >= 0 and row[0] is not None]
    if not own or not isfinite(before):
        return ""
    digits = digits_of([before, *own])
    if len(own) > 1:
        plural = PLURALS.get(drawing.field.type.atom, "atoms")
        total = signed(sum(own), digits)
        return (f"Score {plain(before, digits)} before. Changed one at a time, these {plural} add up to {total}; "
                "together they may do more or less.")  # fmt: skip
    words = f"Score {plain(before, digits)} before, {plain(before + own[0], digits)} after"
    if controls is not None and (values := controls.of_frame(at)).size:
        ends = f"{signed(float(values.min()), digits)} to {signed(float(values.max()), digits)}"
        words += f"; {controls.called(values.size)}: {ends}"
        p = controls.p_value(values, own[0])
        words += f", {p_value(p)}" if p is not None else ""
    return f"{words}."

"""Sentences about what the tokens of a layer predict."""

from __future__ import annotations

from bbilang.runtime.fields.prose import percent
from bbilang.runtime.view.answers.pieces import Part, listed, sentence
from bbilang.runtime.view.answers.ranked import largest
from bbilang.runtime.view.answers.shown import Shown
from bbilang.runtime.view.model import Answer, Frame, Piece

MOST = 4  # panels that are described one by one


def predicted(shown: Shown) -> Answer:
    """Say what the last token of each panel predicts first; of classes that the text names, which tokens say most."""
    if not shown.frame.words:
        return largest(shown)
    items: list[list[Part]] = []
    panels = list(zip(shown.frames, shown.labels, strict=True))
    most = min(MOST, len(panels))
    for frame, label in [panels[round(i * (len(panels) - 1) / max(most - 1, 1))] for i in range(most)]:
        slot = max((slot for slot, atom in enumerate(frame.atoms) if atom >= 0), default=-1)
        if slot >= 0:
            items.append([_said(shown, frame, slot), f" in {label}" if label else ""])
    if not items:
        return ()
    last = next(atom for atom in reversed(shown.frame.atoms) if atom >= 0)
    token = shown.label(last).removeprefix(f"{shown.type.layers[0]}, ").strip()
    return sentence(f"at “{token}”, the last token, the lens reads ", *listed(items))


def _said(shown: Shown, frame: Frame, slot: int) -> Piece:
    value, *others = frame.values[slot]
    if others and others[-1] == value:  # the order of ties means nothing
        return Piece("no class above the others", frame.atoms[slot])
    number = "" if value is None else percent(value) if shown.type.unit == "probability" else shown.number(value)
    return Piece(f"“{frame.words[slot][0]}” ({number})", frame.atoms[slot])

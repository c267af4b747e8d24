"""Sentences about weights: the largest, and what they lead from and to."""

from __future__ import annotations

from bbilang.runtime.fields.prose import prose
from bbilang.runtime.view.answers.explained import ends_of
from bbilang.runtime.view.answers.pieces import Part, sentence
from bbilang.runtime.view.answers.shown import Mark, Shown
from bbilang.runtime.view.model import Answer, Piece


def weights(shown: Shown) -> Answer:
    """Name the channels or pairs of channels with the largest weights, or the panel with the largest of a kernel."""
    if shown.drawing.drawn.cells is not None:
        return _kernels(shown)
    marks = [mark for mark in shown.strongest() if mark.value]
    earlier, later = ends_of(shown.drawing)
    slots = shown.drawing.drawn.slots
    between, components = f"from {earlier} to {later}", slots.components if slots is not None else ()
    if not marks:
        return sentence(f"none of the weights {between} differs from zero")
    if len(shown.marks) == 1:
        return sentence(f"the weight {between} is ", Piece(shown.number(marks[0].value), marks[0].atom))
    has, weight = ("has", "weight") if len(marks) == 1 else ("have", "weights")
    if components == ("channel",):
        return sentence(*shown.listed(marks), f" of {shown.type.layers[0]} {has} the largest {weight} into {later}")
    if components == ("to.channel",):
        return sentence(*shown.listed(marks), f" of {shown.type.linked[0]} {has} the largest {weight} from {earlier}")
    return sentence(f"the largest {weight} {between}: ", *shown.listed(marks))


def circuit(shown: Shown) -> Answer:
    """Follow the largest weights back from the first channel of the last layer."""
    frame = shown.frame
    end = frame.columns.index(max(frame.columns))
    parts: list[Part] = []
    while into := [(value, start) for start, to, value in frame.links if to == end]:
        value, start = max(into, key=lambda link: abs(link[0]))
        asked = shown.listed([Mark(frame.atoms[end], value, 0, end)], numbers=False)
        parts += [", and the largest into that one"] if parts else ["the largest weight into ", *asked]
        parts += [" is from "]
        parts += shown.listed([Mark(frame.atoms[start], value, 0, start)])
        end = start
    return sentence(*parts)


def _kernels(shown: Shown) -> Answer:
    """Give the largest weight of all kernels, and where it is."""
    drawing, field = shown.drawing, shown.drawing.field
    cells = drawing.grid(field.values, drawing.axis("y"), drawing.axis("x"))
    best: tuple[float, float, str, tuple[int, ...]] | None = None
    for panel, label in enumerate(shown.labels):
        own = cells[shown.index(panel)]
        at = divmod(int(abs(own).argmax()), own.shape[-1])
        value = float(own[at])
        if best is None or abs(value) > best[0]:
            best = (abs(value), value, label, at)
    if best is None:
        return ()
    offsets = [int(field.coords[f"d{name}"].data[number]) for name, number in zip("yx", best[3], strict=True)]
    where = "in the middle" if offsets == [0, 0] else f"{_side(offsets)}"
    which = f", {best[2]}" if best[2] else ""
    return sentence(f"the largest weight is {prose(best[1], signed=shown.type.signed, decimals=shown.decimals)}, "
                    f"{where}{which}")  # fmt: skip


def _side(offsets: list[int]) -> str:
    """Describe an offset in positions: "1 up and 2 to the right"."""
    y, x = offsets
    words = [f"{abs(y)} {'up' if y < 0 else 'down'}"] if y else []
    words += [f"{abs(x)} to the {'left' if x < 0 else 'right'}"] if x else []
    return " and ".join(words)

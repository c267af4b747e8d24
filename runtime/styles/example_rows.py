"""Rows of examples: small pictures with what the dataset calls them and their numbers."""

from __future__ import annotations

import numpy as np

from bbilang.runtime.execution.thumbnails import thumbnail
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.fields.prose import percent
from bbilang.runtime.ops.datasets.by_column import shown_by
from bbilang.runtime.ops.datasets.pipes import chain
from bbilang.runtime.view.answers.explained import sole_atom
from bbilang.runtime.view.drawing import Drawing, Index, rounded
from bbilang.runtime.view.legend import title_of
from bbilang.runtime.view.model import Frame, Panel

SIDE = 96  # pixels of a picture
PLAIN = ("dataset", "picture")  # contents without numbers


def panels(drawing: Drawing) -> tuple[Panel, ...]:
    """Return panels with an example in each slot."""
    axis = drawing.slots
    field = drawing.field
    field.names.setdefault("example", _names(field))
    atoms, values = drawing.slot_atoms(axis), drawing.values(axis)
    made = drawing.results.thumbnails.get(drawing.element.id)
    numbers = drawing.grid(_alone(made["index"], field), axis) if made is not None else np.full(atoms.shape, -1)
    files = drawing.grid(field.columns["file"], axis)
    remarks = _remarks(drawing)

    def picture(number: int, name: str) -> int:
        if number < 0 or made is None:
            return -1
        data, width, height = thumbnail(made, number)
        return drawing.picture(data, "image/webp", width, height, f"the example {name}")

    def frame(index: Index) -> Frame:
        own = [(int(a), int(n), str(f)) for a, n, f in zip(atoms[index], numbers[index], files[index], strict=True)]
        return Frame(
            tuple(atom for atom, _, _ in own),
            tuple(picture(number, name) if atom >= 0 else -1 for atom, number, name in own),
            tuple(tuple(map(rounded, row)) for row in values[index]) if numbered(drawing) else (),
            drawing.series(index),
            tuple(str(remark) for remark in remarks[index]) if remarks is not None else (),
        )

    return drawing.panels(frame)


def _remarks(drawing: Drawing) -> np.ndarray | None:
    """Return what the network says of each example, where a condition asked for it, and the number that examples
    without numbers of their own are ranked by: "loss 4.2, as electric ray"."""
    said, ranked = _said(drawing), shown_by(drawing.node)
    if not ranked or numbered(drawing) or ranked == "confidence":
        return said
    numbers = drawing.grid(drawing.field.columns[ranked], drawing.slots).astype(float)
    made = np.empty(numbers.shape, object)
    for at in np.ndindex(made.shape):
        own = f"{ranked} {numbers[at]:.4g}" if np.isfinite(numbers[at]) else ""
        other = str(said[at]) if said is not None else ""
        made[at] = ", ".join(words for words in (own, other) if words)
    return made


def _said(drawing: Drawing) -> np.ndarray | None:
    field, axis = drawing.field, drawing.slots
    said = {name.rpartition(":")[0]: drawing.grid(column, axis) for name, column in field.columns.items()
            if name.rpartition(":")[2] == "predicted"}  # fmt: skip
    if said:
        remarks = np.empty(next(iter(said.values())).shape, object)
        for at in np.ndindex(remarks.shape):
            own = {model: predicted[at] for model, predicted in said.items() if predicted[at]}
            remarks[at] = ", ".join(f"{model}: {words}" if model else f"as {words}" for model, words in own.items())
        return remarks
    if "confidence" in field.columns:
        sure = drawing.grid(field.columns["confidence"], axis)
        remarks = np.empty(sure.shape, object)
        for at in np.ndindex(remarks.shape):
            remarks[at] = f"{percent(float(sure[at]))} sure" if np.isfinite(sure[at]) else ""
        return remarks
    return None


def _alone(index: Named, field: Field) -> Named:
    """Drop the axes of a single atom, as the field does."""
    for name in set(index.dims) - set(field.coords["example"].dims):
        index = index.take(name, Named((), np.array(0)))
    return index


def _names(field: Field) -> Named:
    """Return what each example is called: its label, or its file where it has none."""
    files = field.columns["file"]
    labels = field.columns.get("label")
    if labels is None or labels.dims != files.dims:
        return files
    return Named(files.dims, np.where(labels.data == "", files.data, labels.data))


def numbered(drawing: Drawing) -> bool:
    """Return whether the examples have numbers."""
    return drawing.field.type.content not in PLAIN


def title(drawing: Drawing) -> str:
    """Return the title of an element without one: "Examples for channels of block5c.expand"."""
    from bbilang.runtime.view.answers import influences  # loads numpy: plug-ins load without it

    if not numbered(drawing):
        called = next((stage["called"] for stage in chain(drawing.node) if stage.get("called")), "")
        ranked = shown_by(drawing.node)
        return f"Examples{f' of {called}' if called else ''}{f', by {ranked}' if ranked else ''}"
    if drawing.field.type.content == influences.CONTENT:
        return influences.title_of(drawing)
    if alone := sole_atom(drawing):
        return f"Examples for {alone} of {drawing.field.type.layers[0]}"
    words = title_of(drawing)
    return f"Examples for {words[:1].lower()}{words[1:]}"

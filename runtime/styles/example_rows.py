"""Rows of examples: small pictures with what the dataset calls them and their numbers."""

from __future__ import annotations

import numpy as np

from bbilang.runtime.execution.thumbnails import thumbnail
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.view.drawing import Drawing, Index, rounded
from bbilang.runtime.view.model import Frame, Panel

SIDE = 96  # pixels of a picture
PLAIN = ("dataset", "picture")  # contents without numbers


def of_one_atom(field: Field) -> Field:
    """Drop the axes of a single atom from a field of examples."""
    single = [axis.name for axis in field.type.axes if axis.size == 1 and axis.exact and axis.name != "example"]
    if field.type.axis("example") is None or not single:
        return field
    type = field.type.without(*single)
    for name in single:
        field = field.take(name, Named((), np.array(0))) if name in field.values.dims else field
    return field.with_values(field.values, type)


def panels(drawing: Drawing) -> tuple[Panel, ...]:
    """Return panels with an example in each slot."""
    axis = drawing.slots
    field = drawing.field
    field.names.setdefault("example", field.columns.get("label", field.columns["file"]))
    atoms, values = drawing.slot_atoms(axis), drawing.values(axis)
    made = drawing.results.thumbnails.get(drawing.element.id)
    numbers = np.full(atoms.shape, -1)
    if made is not None:
        index = made["index"]
        for name in set(index.dims) - set(drawing.field.values.dims):  # of one atom
            index = index.take(name, Named((), np.array(0)))
        numbers = drawing.grid(index, axis)
    files = drawing.grid(field.columns["file"], axis)
    plain = field.type.content in PLAIN

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
            () if plain else tuple(tuple(map(rounded, row)) for row in values[index]),
            drawing.series(index),
        )

    return drawing.panels(frame)


def title(drawing: Drawing) -> str:
    """Return the title of an element without one."""
    return "Examples" if drawing.field.type.content in PLAIN else ""

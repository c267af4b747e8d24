"""A field of pairs of numbers as a point set: examples with their columns, or more atoms than marks can show."""

from __future__ import annotations

import io
import math

import numpy as np

from bbilang.runtime.execution.thumbnails import thumbnail
from bbilang.runtime.view.drawing import Drawing
from bbilang.runtime.view.model import PointSet
from bbilang.runtime.view.points.pack import Points, Thumbnail, pack

MOST_MARKS = 2_000  # points that are drawn as marks
MOST_ATOMS = 5_000  # points that are atoms, so that pointing at one is a selection
MEANINGLESS = ("umap", "tsne")  # of such maps only nearness means something: no axes
COLOURS = ("subset", "label", "predicted")  # columns that colour a map at first
TITLE = "file"
MOST_COLOURS = 50  # different words, above which colours say nothing
SIDE = 96  # pixels of a thumbnail


def many(sizes: dict[str, int]) -> bool:
    """Return whether a field with these axes besides the pair of numbers is drawn as a point set."""
    return "example" in sizes or math.prod(sizes.values()) > MOST_MARKS


def of_field(drawing: Drawing, picture: Thumbnail | None = None) -> PointSet | None:
    """Pack a field of pairs of numbers. None where it has few points, and where it has states or facets, of which each
    would need points of its own. ``picture``: the thumbnail of a point, by its number among all."""
    pair = drawing.drawn.series
    assert pair is not None
    field = drawing.field
    axes = [axis for axis in field.type.axes if axis.name != pair.name]
    if drawing.states or drawing.facet is not None or not many({axis.name: axis.size for axis in axes}):
        return None
    values = drawing.grid(field.values, *axes, pair)
    shape, flat = values.shape[:-1], values.reshape(-1, 2)
    names = {axis.name for axis in axes}
    columns = {
        name: drawing.grid(column, *axes).reshape(-1)
        for name, column in field.columns.items()
        if set(column.dims) <= names and column.dims
    }
    for name in ("y", "x"):
        if (len(axes) > 1 and name in names) or name in axes[0].components[1:]:
            columns[name] = np.broadcast_to(drawing.grid(field.coords[name], *axes), shape).reshape(-1)
    titles = columns.pop(TITLE, None)
    atoms = _atoms(drawing, flat) if len(axes) == 1 else []
    if titles is None and "example" in field.names:
        titles = np.broadcast_to(drawing.grid(field.names["example"], *axes), shape).reshape(-1)
    words = [str(title) for title in titles] if titles is not None else [drawing.atoms[atom].label for atom in atoms]
    axis_words = drawing.series(()) if drawing.series_axis is not None else ()
    plain = not any(step.startswith(MEANINGLESS) for step in field.type.steps)
    few = (name for name in COLOURS if name in columns and len(set(columns[name].tolist())) <= MOST_COLOURS)
    colour = next(few, "")
    return pack(Points(flat[:, 0], flat[:, 1], columns, words if len(words) == len(flat) else (), picture, SIDE,
                       axes=tuple(axis_words) if plain else (), ticks=plain, colour=colour))  # fmt: skip


def of_examples(drawing: Drawing) -> Thumbnail | None:
    """Return what gives the thumbnail of each point, where points are examples with thumbnails."""
    made = drawing.results.thumbnails.get(drawing.element.id)
    if made is None or made["index"].dims != ("example",):
        return None
    numbers = made["index"].data

    def square(point: int) -> np.ndarray | None:
        """Return the middle square of a thumbnail."""
        from PIL import Image, ImageOps

        if numbers[point] < 0:
            return None
        picture = Image.open(io.BytesIO(thumbnail(made, int(numbers[point]))[0])).convert("RGB")
        return np.asarray(ImageOps.fit(picture, (SIDE, SIDE)))

    return square


def _atoms(drawing: Drawing, pairs: np.ndarray) -> list[int]:
    """Make every point an atom of the element, in order; [] where there are too many, or a point is left out."""
    axis = drawing.slots
    if len(pairs) > MOST_ATOMS or not np.isfinite(pairs).all():
        return []
    rows = [drawing.field.coords[c].data for c in axis.components if c in drawing.field.coords]
    if any(row.ndim != 1 for row in rows) or len(np.unique(np.stack(rows), axis=1).T) < len(pairs):
        return []
    return drawing.slot_atoms(axis).tolist()

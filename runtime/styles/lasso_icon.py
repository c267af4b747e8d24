"""The icon of a lasso: that of the bin of a map whose mean is nearest to the mean of what a reader encloses.

A page runs no network, so it cannot make an icon for what a reader draws around. It brings one for each bin of the map,
as an atlas does, and chooses among them: the bin along whose mean the mean of the chosen examples is longest, which is
the one at the smallest angle.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import Drawn, Fail, Run
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.runtime.fields.binned import Binned
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.ops.datasets.pipes import chain

if TYPE_CHECKING:
    from bbilang.runtime.featvis.icon import Objective
    from bbilang.runtime.view.answers.shown import Shown
    from bbilang.runtime.view.drawing import Drawing, Index
    from bbilang.runtime.view.model import Answer, Frame, Panel

BINS = 6  # along each side, unless `bins=` says so
SIDE = 192  # pixels of the icon
AS_IN = "as in `block5c.expand.channel | across(photos) | project(pca, 2, along=channel) | at(lasso(map))`"
PLAIN = 2  # steps of a map of activations: what the components are of, and the projection


def is_enclosed(field: FieldType) -> bool:
    """Return whether a field is a map of which a reader encloses a part, or its bins."""
    mapped = field.content == "loading" and field.axis("component") is not None
    return field.lasso is not None and (mapped or field.axis("bin") is not None)


def spend(field: FieldType) -> Drawn:
    """Return what the icon spends. Raises `Fail` where the map is not one of activation vectors of examples."""
    if field.axis("bin") is not None:
        return Drawn(("bin",))
    component, example = field.axis("component"), field.axis("example")
    assert component is not None, "only a map is enclosed"
    if example is None:
        raise Fail("E304", "the icon of a lasso is of the examples themselves, and these are reduced", AS_IN)
    plain = field.atom == "channel" and len(field.layers) == 1 and len(field.steps) == PLAIN
    if not plain or field.steps[0] != "activation" or example.components != ("example",):
        raise Fail("E304", "the icon of a lasso is of the activations of one layer's channels", AS_IN)
    if component.size != 2:
        raise Fail("E304", f"bins divide a map of 2 components, and this one has {component.size}", AS_IN)
    return Drawn(("example", "component"))


def bound(node: Node) -> int:
    """Bound the icons of an element: one for each bin."""
    example = node.inputs[0].type.axis("example")
    assert example is not None, "the type rule asks for the axis `example`"
    return min((node["bins"] or BINS) ** 2, example.size)


def gathered(node: Node, field: Field, run: Run) -> Binned:
    """Gather the examples of a map in bins.

    Tables over `cell`: `slot`, `count`, `mean` (cell, channel). Over `vector`, the examples in the order of their
    numbers: `of`, the cell of each, -1 for none, and `response` (cell, vector), the length of each example's vector
    along the mean of a cell.
    """
    from bbilang.runtime.ops.project import Projected
    from bbilang.runtime.statistics.atlas import atlas

    source = next(value for stage in chain(node) if isinstance(value := run.value(stage), Projected))
    assert source.vectors is not None, "the type rule asks for a map of examples"
    order = np.argsort(field.coords["example"].data, kind="stable")
    rows = source.vectors.rows[order].astype(np.float64)
    places, bins = field.values.ordered(("example", "component")).data[order], node["bins"] or BINS
    (level,) = atlas(places, rows, bins, 1).levels
    of = np.full(len(rows), -1)
    for cell in range(len(level.cells)):
        of[level.of(cell)] = cell
    means = level.means.astype(np.float64)
    lengths = np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-20)
    slots = (bins - 1 - level.cells[:, 0]) * bins + level.cells[:, 1]
    counts = np.full(bins * bins, np.nan, np.float32)
    counts[slots] = level.counts
    tables = {
        "slot": Named(("cell",), slots), "count": Named(("cell",), level.counts),
        "mean": Named(("cell", "channel"), _of_layer(means, source.vectors.carried, run)),
        "of": Named(("vector",), of), "side": Named((), np.array(bins)),
        "response": Named(("cell", "vector"), (means / lengths @ rows.T).astype(np.float32)),
    }  # fmt: skip
    type = replace(node.type, content="count", axes=(Axis("bin", bins * bins),), signed=False, unit="examples",
                   steps=node.type.steps[-1:], columns=())  # fmt: skip
    coords = {"bin": Named(("bin",), np.arange(bins * bins))}
    return Binned(type, Named(("bin",), counts), coords, notes=(*field.notes, *_notes(of, len(counts))), tables=tables)


def _of_layer(means: np.ndarray, carried: Field, run: Run) -> np.ndarray:
    """Return means over all channels of the layer: zero for those that the map is not of."""
    (layer,) = carried.type.layers
    full = np.zeros((len(means), run.layer(layer).as_map.sizes["channel"]), np.float32)
    full[:, carried.coords["channel"].data.ravel()] = means
    return full


def _notes(of: np.ndarray, bins: int) -> list[str]:
    words = "a page cannot make an icon for what you draw around: it shows that of the nearest"
    made = f"{words} of {len(np.unique(of[of >= 0]))} bins of the map, of {bins}, that hold an example"
    outside = int((of < 0).sum())
    who = "example lies" if outside == 1 else "examples lie"
    return [made, *([f"{outside:,} {who} far from the others, in no bin"] if outside else [])]


def objectives(node: Node, field: Field, run: Run) -> tuple[Named, list[Objective]]:
    """Return the objective of each cell's icon: the response along the cell's mean."""
    from bbilang.runtime.featvis.element_objectives import of_directions

    assert isinstance(field, Binned)
    (layer,) = node.type.layers
    means = [tuple(mean.tolist()) for mean in field.tables["mean"].data]
    numbers, made = of_directions(node, layer, means, run)
    return Named(("cell",), np.array(numbers)), made


def panels(drawing: Drawing) -> tuple[Panel, ...]:
    """Return the icon nearest to the mean of all examples: what the page shows until a reader draws a lasso."""
    every, nearest = of_cells(drawing), nearest_to_all(drawing)

    def frame(index: Index) -> Frame:
        return replace(every, atoms=(every.atoms[nearest],), pictures=(every.pictures[nearest],),
                       notes=(every.notes[nearest],))  # fmt: skip

    return drawing.panels(frame)


def of_cells(drawing: Drawing) -> Frame:
    """Return a frame with the icon of every cell."""
    from bbilang.runtime.view.icon_checks import remark_of
    from bbilang.runtime.view.icon_tiles import icon_picture
    from bbilang.runtime.view.model import Frame

    icons = drawing.results.icon_sets[drawing.element.id].index.data.tolist()
    atoms = tuple(_atom(drawing, slot) for slot in _tables(drawing)["slot"].data.tolist())
    pictures = tuple(icon_picture(drawing, icon) for icon in icons)
    return Frame(atoms, pictures, notes=tuple(remark_of(drawing, icon) for icon in icons))


def nearest_to_all(drawing: Drawing) -> int:
    """Return the cell nearest to the mean of all examples."""
    return int(_tables(drawing)["response"].data.astype(np.float64).sum(1).argmax())


def answer(shown: Shown) -> Answer:
    """Say which bin is nearest to the mean of all examples."""
    from bbilang.runtime.view.answers.pieces import sentence
    from bbilang.runtime.view.model import Piece

    tables, cell = _tables(shown.drawing), nearest_to_all(shown.drawing)
    inside, every = int(tables["count"].data[cell]), len(tables["of"].data)
    atom = _atom(shown.drawing, int(tables["slot"].data[cell]))
    label = shown.drawing.atoms[atom].label
    return sentence(f"The bin nearest to the mean of all {every:,} examples is at ", Piece(label, atom),
                    f", and {inside:,} of them lie in it")  # fmt: skip


def _tables(drawing: Drawing) -> dict[str, Named]:
    assert isinstance(drawing.field, Binned)
    return drawing.field.tables


def _atom(drawing: Drawing, slot: int) -> int:
    side = int(_tables(drawing)["side"].data)
    row, column = divmod(slot, side)
    components = {"bins": int(drawing.node.digest[:7], 16), "row": row, "column": column}
    return drawing.atom(components, drawing.field.type.layers[0], f"row {row + 1}, column {column + 1}")

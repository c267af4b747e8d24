"""Positions of examples as points of a map: `across(photos) | project(umap, 2)` of `.spatial` atoms.

Every position of every picture would be too many, so the scan keeps the vectors at some of each picture, drawn at
random. A point is an example with a position: one axis `example` of the components (example, y, x).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from bbilang.compiler.contract import Arguments, ExamplesOf, Fail, Make, Run
from bbilang.compiler.ir.program import Node, PerExample
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.ops.datasets.columns import dataset_of
from bbilang.runtime.ops.datasets.pipes import chain

DEFAULT = 8  # positions of each example
MOST = 200_000  # vectors of a map
AROUND = 1  # positions on each side of a point's own that its thumbnail shows
POINT = ("example", "y", "x")


@dataclass
class Vectors:
    """The vectors of a map. rows (vector, channel). carried: the field that the map is of, at the same points: values
    over (example), or (example, class)."""

    rows: np.ndarray
    carried: Field


def of_positions(field: FieldType, along: str | None) -> bool:
    """Return whether a projection of this field is one of sampled positions."""
    return field.axis("example") is not None and along is None


def points_axis(field: FieldType, wanted: int | None, fit: object) -> Axis:
    """Return the axis of a map's points. Raises `Fail` where the field has no positions to draw from."""
    y, x, example = (field.axis(name) for name in ("y", "x", "example"))
    layer = field.layers[0] if field.layers else "block6a.expand"
    as_in = f"as in `{layer}.spatial | across(photos) | project(umap, 2)`; of examples, say `along=channel`"
    if example is None or y is None or x is None or field.atom != "spatial" or len(field.layers) != 1:
        raise Fail("E238", "a map of a dataset's positions is of the `.spatial` atoms of one layer", as_in)
    if not (y.whole and x.whole):
        raise Fail("E238", "positions are drawn at random for a map, and these are chosen ones", as_in)
    other = next((axis for axis in field.axes if axis.name not in (*POINT, "class")), None)
    if other is not None or field.states or "y" in example.components:
        what = f"the axis `{other.name}`" if other is not None else "states"
        raise Fail("E238", f"a map of positions is of one dataset, and this field has {what}", as_in)
    if fit is not None:
        raise Fail("E231", "a map of positions is fitted on its own vectors", "leave out `fit=`", "fit")
    each = min(DEFAULT if wanted is None else wanted, y.size * x.size)
    if example.exact and each * example.size > MOST:
        help = f"`positions={max(MOST // example.size, 1)}`, or fewer examples: `photos | sample({MOST // each})`"
        raise Fail("E214", f"{each} positions of {example.size:,} examples are {each * example.size:,} vectors, and "
                           f"{MOST:,} are the most", help, "positions")  # fmt: skip
    return replace(example, size=each * example.size, components=POINT, whole=False)


def expanded(field: Node, arguments: Arguments, make: Make) -> Arguments:
    """Add the activation whose vectors the scan keeps, and at how many positions."""
    each = next(value for node in chain(field) for _, value in node.parameters if isinstance(value, PerExample))
    head = next(node for node in chain(each.node) if node.type.content == "substrate")
    wanted = DEFAULT if arguments["positions"] is None else arguments["positions"]
    return {**arguments, "positions": wanted, "vectors": PerExample(make("activation", head))}


def demanded(node: Node) -> ExamplesOf:
    """Return what the scan has to keep for a projection of positions."""
    dataset = dataset_of(node.inputs[0])
    assert dataset is not None, "the type rule asks for the axis `example`"
    return ExamplesOf(dataset, scores=True, samples=((node["vectors"].node, node["positions"]),))


def drawn(node: Node, field: Field, run: Run) -> Vectors:
    """Return the vectors at the positions drawn of each example of a field."""
    dataset = dataset_of(node.inputs[0])
    assert dataset is not None, "the type rule asks for the axis `example`"
    scanned = run.scanned(dataset)
    kept, places = scanned.samples(node["vectors"].node, node["positions"])
    own = field.coords["example"].data
    at = np.minimum(np.searchsorted(scanned.rows, np.maximum(own, 0)), len(scanned.rows) - 1)
    there = np.flatnonzero((own >= 0) & (scanned.rows[at] == own))
    each = kept.shape[1]
    flat = places[at[there]].reshape(-1)
    rows = kept[at[there]].reshape(len(flat), -1)
    points = {"example": np.repeat(there, each)}
    points["y"], points["x"] = np.divmod(flat, field.values.sizes["x"])
    whole = np.isfinite(rows).all(1)
    index = {name: Named(("point",), values[whole]) for name, values in points.items()}
    return Vectors(rows[whole], _at_points(field, index, each, run))


def _at_points(field: Field, index: dict[str, Named], each: int, run: Run) -> Field:
    """Return a field over (example, y, x, ...) at points, along the axis `example`."""

    def picked(array: Named) -> Named:
        for name in POINT:
            array = array.take(name, index[name]) if name in array.dims else array
        return array.renamed({"point": "example"})

    tables = {
        name: {key: picked(array) for key, array in getattr(field, name).items()}
        for name in ("coords", "names", "columns")
    }
    tables["coords"] |= {name: index[name].renamed({"point": "example"}) for name in ("y", "x")}
    tables["coords"] |= _cuts(field, tables["coords"], run)
    files = tables["columns"].get("file")
    if files is not None:
        titles = [f"{file}, row {y}, column {x}"
                 for file, y, x in zip(files.data, index["y"].data, index["x"].data, strict=True)]  # fmt: skip
        tables["names"]["example"] = Named(("example",), np.array(titles, object))
    words = f"{each} random positions of each example" if each > 1 else "one random position of each example"
    return Field(field.type, picked(field.values), tables["coords"], tables["names"], notes=(*field.notes, words),
                 columns=tables["columns"])  # fmt: skip


def _cuts(field: Field, coords: dict[str, Named], run: Run) -> dict[str, Named]:
    """Return the pixels around each point that its thumbnail shows: its own position and those beside it."""
    (layer,) = field.type.layers
    shape = dict(zip(("y", "x"), run.adapter.description.input_size, strict=True))
    sizes = run.layer(layer).as_map.sizes
    cuts = {}
    ends: tuple[tuple[str, str, int, Callable[..., np.ndarray]], ...] = (
        ("top", "y", -AROUND, np.floor), ("bottom", "y", AROUND + 1, np.ceil),
        ("left", "x", -AROUND, np.floor), ("right", "x", AROUND + 1, np.ceil),
    )  # fmt: skip
    for name, axis, off, rounded in ends:
        pixels = rounded((coords[axis].data + off) * shape[axis] / sizes[axis])
        cuts[f"cut.{name}"] = Named(("example",), np.clip(pixels, 0, shape[axis]).astype(np.int64))
    return cuts

"""What an atlas keeps of a map's vectors: bins at three zooms, their mean vectors, and what is known of each bin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bbilang.compiler.contract import Run
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.runtime.errors import error
from bbilang.runtime.fields.binned import Binned
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.fields.prose import percent
from bbilang.runtime.ops.datasets.positions import Vectors
from bbilang.runtime.ops.project import Projected
from bbilang.runtime.statistics.atlas import LEVELS, Atlas, Level, atlas

CLASSES = 5  # of each bin, those to which its vectors contribute most
EXAMPLES = 6  # thumbnails of each bin
MOST_THUMBNAILS = 1_800  # of an atlas
CUTS = ("cut.top", "cut.bottom", "cut.left", "cut.right")
COARSEST = 2 ** (LEVELS - 1)  # the coarsest zoom has this part of the bins along each side


def zoom_name(node: Node) -> str:
    """Return the id of the state of an atlas's zoom."""
    return f"zoom-{node.digest[:8]}"


def binned(node: Node, field: Field, run: Run) -> Binned:
    """Gather the vectors of a map in bins. Raises BbiError E519 where no bin has enough of them."""
    source = run.value(node.inputs[0])
    assert isinstance(source, Projected) and source.vectors is not None, "the type rule asks for a map of positions"
    vectors, least = source.vectors, node["least"]
    places = field.values.ordered(("example", "component")).data
    made = atlas(places, vectors.rows, node["bins"] // COARSEST, LEVELS, least)
    tables = _cells(made) | _of_vectors(field, places) | _classes(made, vectors)
    if not len(tables["count"].data):
        text = f"no bin of the atlas has {least} of its {len(places)} vectors"
        raise error("E519", text, "more vectors, as by `positions=`; fewer `bins=`; or a smaller `least=`")
    zoom = zoom_name(node)
    sides = [level.bins for level in made.levels]
    values = np.full((LEVELS, max(sides) ** 2), np.nan, np.float32)
    values[tables["zoom"].data, tables["slot"].data] = tables["count"].data
    tables["side"] = Named(("zoom",), np.array(sides))
    tables["few"] = Named(("zoom",), np.array([level.left_out for level in made.levels]))
    notes = [*field.notes, *_notes(made, len(places), least)]
    tables["shown"] = Named(("cell", "rank"), _shown(tables))
    coords = {"bin": Named(("bin",), np.arange(values.shape[1]))}
    return Binned(_type(node.type, zoom, values.shape), Named((zoom, "bin"), values), coords, notes=tuple(notes),
                  tables=tables)  # fmt: skip


def _type(type: FieldType, zoom: str, shape: tuple[int, ...]) -> FieldType:
    return replace(
        type, content="count", axes=(Axis("bin", shape[1]),), states=(Axis(zoom, shape[0]),), signed=False,
        unit="vectors", steps=type.steps[-1:], columns=(),
    )  # fmt: skip


def _notes(made: Atlas, count: int, least: int) -> list[str]:
    notes = [f"each icon maximizes the response along the mean of its bin's vectors, of {count:,} in all"]
    if made.outliers:
        words, verb = ("vector lies", "is") if made.outliers == 1 else ("vectors lie", "are")
        share = percent(made.outliers / count)
        notes.append(f"{made.outliers:,} {words} far from the others on the map ({share}), and {verb} left out")
    if least > 1:
        few = ", ".join(f"{level.left_out:,} at {level.bins} × {level.bins}" for level in made.levels)
        notes.append(f"bins with fewer than {least} vectors are not drawn; vectors in them: {few}")
    return notes


def _cells(made: Atlas) -> dict[str, Named]:
    """Return the cells that are drawn, all zooms one after another; rows from the top, where y is largest."""
    zooms, slots, counts, starts, members, before = [], [], [], [], [], 0
    for number, level in enumerate(made.levels):
        row, column = (level.bins - 1 - level.cells[:, 0], level.cells[:, 1])
        order = np.argsort(row * level.bins + column, kind="stable")
        zooms.append(np.full(len(order), number))
        slots.append((row * level.bins + column)[order])
        counts.append(level.counts[order])
        own = [level.of(cell) for cell in order.tolist()]
        starts.append(before + np.cumsum([0, *map(len, own)])[:-1])
        members += own
        before += sum(map(len, own))
    means = [level.means[_order(level)] for level in made.levels]
    joined = {"zoom": zooms, "slot": slots, "count": counts, "start": starts}
    tables = {name: Named(("cell",), np.concatenate(parts).astype(np.int64)) for name, parts in joined.items()}
    tables["mean"] = Named(("cell", "channel"), np.concatenate(means))
    tables["member"] = Named(("member",), np.concatenate([np.zeros(0, np.int64), *members]))
    tables["box"] = Named(("corner", "axis"), np.stack([made.low, made.high]))
    return tables


def _order(level: Level) -> np.ndarray:
    return np.argsort((level.bins - 1 - level.cells[:, 0]) * level.bins + level.cells[:, 1], kind="stable")


def _of_vectors(field: Field, places: np.ndarray) -> dict[str, Named]:
    known = [name for name in ("example", "y", "x", *CUTS) if name in field.coords]
    tables = {name: field.coords[name].renamed({"example": "vector"}) for name in known}
    tables["place"] = Named(("vector", "component"), places)
    for name in ("file", "label", "predicted"):
        if name in field.columns:
            tables[name] = field.columns[name].renamed({"example": "vector"})
    return tables


def plain(field: Binned) -> dict[str, object]:
    """Return what a page's data holds of the bins: which vectors are in each, where they lie on the map, and of which
    file and position they are, so that every mean can be computed again."""
    tables = {name: array.data for name, array in field.tables.items()}
    known: dict[str, object] = {
        name: tables[name].tolist()
        for name in ("side", "zoom", "slot", "count", "start", "member", "y", "x", "box")
    }  # fmt: skip
    known["place"] = [[float(f"{value:.6g}") for value in place] for place in tables["place"].tolist()]
    if "file" in tables:
        files = list(dict.fromkeys(tables["file"].tolist()))
        numbers = {file: number for number, file in enumerate(files)}
        known |= {"files": files, "file": [numbers[file] for file in tables["file"].tolist()]}
    return known


def examples_of(field: Binned) -> Field:
    """Return the examples of the thumbnails, over (cell, rank)."""
    shown = field.tables["shown"]
    known = [name for name in ("example", *CUTS) if name in field.tables]
    return Field(field.type, shown, {name: field.tables[name].take("vector", shown) for name in known})


def _shown(tables: dict[str, Named]) -> np.ndarray:
    """Return (cell, rank): the vectors nearest to the mean of each cell, of different examples, for its thumbnails."""
    examples, members, starts, counts = (tables[name].data for name in ("example", "member", "start", "count"))
    each = max(1, min(EXAMPLES, MOST_THUMBNAILS // len(counts)))
    chosen = np.full((len(counts), each), -1)
    for cell, (start, count) in enumerate(zip(starts.tolist(), counts.tolist(), strict=True)):
        own = members[start : start + count]
        _, first = np.unique(examples[own], return_index=True)
        nearest = own[np.sort(first)[:each]]
        chosen[cell, : len(nearest)] = nearest
    return chosen


def _classes(made: Atlas, vectors: Vectors) -> dict[str, Named]:
    """Return the classes to which the vectors of each cell contribute most, if the map is of attributions: the mean
    over the vectors for which the contribution to a class is known, and how many those are."""
    field = vectors.carried
    if "class" not in field.coords or field.type.content not in ("attribution", "gradient"):
        return {}
    series = [dim for dim in field.values.dims if dim != "example"]
    ordered = field.values.ordered(("example", *series)).data.astype(np.float64)
    values = ordered.reshape(len(ordered), -1)
    numbers = np.broadcast_to(field.coords["class"].spread(("example", *series)), ordered.shape).reshape(values.shape)
    columns = ("class", "attribution", "known")
    rows: dict[str, list[np.ndarray]] = {name: [] for name in columns}
    for level in made.levels:
        for cell in _order(level).tolist():
            for name, row in zip(columns, _strongest(values[level.of(cell)], numbers[level.of(cell)]), strict=True):
                rows[name].append(row)
    return {name: Named(("cell", "rank"), np.stack(own)) for name, own in rows.items() if own}


def _strongest(values: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (classes, mean contribution to each, of how many vectors) of those with the largest sums, the largest mean
    first."""
    flat, own = values.ravel(), numbers.ravel()
    fine = np.isfinite(flat) & (own >= 0)
    classes, inverse, counts = np.unique(own[fine], return_inverse=True, return_counts=True)
    sums = np.bincount(inverse, flat[fine], len(classes))
    best = np.argsort(-sums, kind="stable")[:CLASSES]
    best = best[np.argsort(-sums[best] / counts[best], kind="stable")]
    shape = (CLASSES,)
    found, means, known = np.full(shape, -1), np.full(shape, np.nan), np.zeros(shape, np.int64)
    found[: len(best)], known[: len(best)] = classes[best], counts[best]
    means[: len(best)] = sums[best] / counts[best]
    return found, means, known

"""Numbers of directions that are no sums of those of channels, as the largest inner product over positions, and their
attribution: computed from a layer's neurons, which a scan keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bbilang.compiler.contract import Run, Scanned
from bbilang.compiler.ir.program import Node
from bbilang.runtime.fields import directions
from bbilang.runtime.fields.directions import AXIS
from bbilang.runtime.fields.field import Field, Named


def numbers(node: Node, contents: Sequence[Node], run: Run, scanned: Scanned) -> Field:
    """Return a content of all directions that a node's are chosen from, for every example, along the axis `input`.
    ``contents``: of the layer's channels, whose neurons were kept."""
    operation, vectors = run.registry.operations[node.op], _vectors(node, run)
    pieces = [operation.along(node, cubes, vectors, run.registry) for cubes in _shards(contents, scanned)]
    others, coords, names = scanned.around_cubes(contents[-1])
    made = run.value(directions.origin(node))
    coords |= {AXIS: made.coords[AXIS]}
    names |= {name: array for name, array in made.names.items() if name == AXIS}
    values = Named(("input", *others, AXIS), np.concatenate(pieces).astype(np.float32))
    return Field(node.type, values, coords, names, notes=made.notes)


def largest_at(node: Node, content: Node, run: Run, scanned: Scanned) -> np.ndarray:
    """Return the number of the position with the largest inner product, (example, concept), row by row."""
    vectors = _vectors(node, run)
    return np.concatenate([(vectors @ cube).argmax(-1) for (cube,) in _shards((content,), scanned)])


def products(node: Node, content: Node, rows: np.ndarray, atoms: np.ndarray, run: Run, scanned: Scanned) -> np.ndarray:
    """Return the inner product at every position, (pair, position), for each pair of an example and a direction."""
    vectors, at = _vectors(node, run), np.searchsorted(scanned.rows, rows)
    made, start = None, 0
    for (cube,) in _shards((content,), scanned):
        own = np.flatnonzero((at >= start) & (at < start + len(cube)))
        if made is None:
            made = np.zeros((len(rows), cube.shape[-1]), np.float32)
        made[own] = np.einsum("pc,pcn->pn", vectors[atoms[own]], cube[at[own] - start])
        start += len(cube)
    assert made is not None, "a scan has examples"
    return made


def _vectors(node: Node, run: Run) -> np.ndarray:
    own = directions.vectors(node, run)
    if "input" in own.dims:
        own = own.take("input", Named((), np.array(0)))
    return own.ordered((AXIS, "channel")).data


def _shards(contents: Sequence[Node], scanned: Scanned) -> Iterator[tuple[np.ndarray, ...]]:
    yield from zip(*(scanned.cubes(content) for content in contents), strict=True)

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


def numbers(node: Node, contents: Sequence[Node], run: Run, scanned: Scanned, sign: str = "positive") -> Field:
    """Return a content of all directions that a node's are chosen from, for every example, along the axis `input`.
    ``contents``: of the layer's channels, whose neurons were kept. ``sign``: which extreme over positions stands for
    the largest."""
    operation, vectors = run.registry.operations[node.op], _vectors(node, run)
    if node.get("reduce") == "max" and sign != "positive":
        pieces = [extremes(node, contents[-1], sign, run, scanned)[0]]
    else:
        pieces = [operation.along(node, cubes, vectors, run.registry) for cubes in _shards(contents, scanned)]
    others, coords, names = scanned.around_cubes(contents[-1])
    made = run.value(run.shown(directions.origin(node)))
    coords |= {AXIS: made.coords[AXIS]}
    names |= {name: array for name, array in made.names.items() if name == AXIS}
    values = Named(("input", *others, AXIS), np.concatenate(pieces).astype(np.float32))
    return Field(node.type, values, coords, names, notes=made.notes)


def extremes(node: Node, content: Node, sign: str, run: Run, scanned: Scanned) -> tuple[np.ndarray, np.ndarray]:
    """Return the inner product with each direction that is largest over positions, smallest, or of the largest
    magnitude, and the number of its position, row by row: (example, concept) each."""
    vectors = _vectors(node, run)
    values, places = [], []
    for (cube,) in _shards((content,), scanned):
        inner = vectors @ cube
        at = (np.abs(inner) if sign == "magnitude" else -inner if sign == "negative" else inner).argmax(-1)
        values.append(np.take_along_axis(inner, at[..., None], -1)[..., 0])
        places.append(at)
    return np.concatenate(values), np.concatenate(places)


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

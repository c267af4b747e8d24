"""Directions that are made, and perhaps chosen, on the page, for what is computed with them for every example of a
dataset."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import Operation, Run
from bbilang.compiler.ir.program import ON_PAGE, Node, PerExample
from bbilang.runtime.fields import directions
from bbilang.runtime.fields.directions import AXIS, Directions
from bbilang.runtime.fields.field import Field, Named

if TYPE_CHECKING:
    from bbilang.runtime.execution.context import Run as ProgramRun

NAME = "fixed_directions"
EMPTY = (("names", None), ("numbers", None), (ON_PAGE, None), ("vectors", None))


class FixedDirections(Operation):
    """The directions that a pipe made, and chose, on the page. ``of``: that pipe. Once they are known, ``vectors``: all
    that were made, float32 in hexadecimal digits; ``numbers``: of those that were chosen; ``names``: of all."""

    name = NAME
    head = True
    directs = True

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        made = node[ON_PAGE]
        vectors, numbers, names = _found(made.node, run) if isinstance(made, PerExample) else _held(node)
        values = Named(node.type.names, np.zeros([len(numbers) if a.name == AXIS else a.size for a in node.type.axes],
                                                 np.float32))  # fmt: skip
        coords = {a.name: Named((a.name,), np.arange(a.size)) for a in node.type.axes}
        coords[AXIS] = Named((AXIS,), numbers)
        words = {} if names is None else {AXIS: Named((AXIS,), np.array(names, object)[numbers])}
        return Directions(node.type, values, coords, words, vectors=Named((AXIS, "channel"), vectors))


def fixed(frame: Node) -> Node:
    """Return the atoms of a pipe of directions, as they are made and chosen on the page, for every example."""
    made = directions.origin(frame)
    (channels,) = made.inputs
    axes = tuple(replace(a, varies=tuple(n for n in a.varies if n != "input")) for a in frame.type.axes)
    type = replace(made.type, axes=axes, spent=frame.type.spent)
    parameters = tuple((name, PerExample(frame) if name == ON_PAGE else value) for name, value in EMPTY)
    return Node(NAME, (channels,), parameters, type)


def resolved(node: Node, run: ProgramRun) -> Node:
    """Return the atoms with what the page made and chose."""
    vectors, numbers, names = _found(node[ON_PAGE].node, run)
    size = vectors.shape[0]
    known: dict[str, object] = {
        "names": names, "numbers": tuple(numbers.tolist()), ON_PAGE: None,
        "vectors": (size, np.ascontiguousarray(vectors, "<f4").tobytes().hex()),
    }  # fmt: skip
    return replace(node, parameters=tuple(sorted(known.items())))


def _found(frame: Node, run: Run) -> tuple[np.ndarray, np.ndarray, tuple[str, ...] | None]:
    """Return the vectors (direction, channel) of all directions that a pipe's are chosen from, the numbers of those
    that it chose, and the names of all where they have any."""
    every, field = directions.vectors(frame, run), run.value(run.shown(frame))
    made = run.value(run.shown(directions.origin(frame)))
    first = Named((), np.array(0))
    vectors = every.take("input", first) if "input" in every.dims else every
    coords = field.coords[AXIS]
    numbers = coords.take("input", first) if "input" in coords.dims else coords
    own = made.names.get(AXIS)
    names = None if own is None else tuple(map(str, own.data.ravel().tolist()))
    return vectors.ordered((AXIS, "channel")).data, numbers.data.ravel().astype(np.int64), names


def _held(node: Node) -> tuple[np.ndarray, np.ndarray, tuple[str, ...] | None]:
    size, digits = node["vectors"]
    vectors = np.frombuffer(bytes.fromhex(digits), "<f4").reshape(size, -1).copy()
    return vectors, np.array(node["numbers"], np.int64), node["names"]


OPERATIONS = (FixedDirections(),)

"""What a page needs to compute an element again for the examples that a lasso encloses: their numbers, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NotRequired, TypedDict

import numpy as np

from bbilang.compiler.ir.program import Node
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.ops.datasets.pipes import chain
from bbilang.runtime.ops.datasets.reductions import column_of
from bbilang.runtime.statistics.grouping import number_groups

if TYPE_CHECKING:
    from bbilang.runtime.execution.context import Run

EXAMPLE = "example"


class Followed(TypedDict):
    """``rows`` (example,): numbers of examples in their files, sorted. ``vectors`` (vector, example): a vector for each
    number that the element draws, NaN where it has no value. ``cells``: over the element's axes, vector + vectors x
    group; -1 for what does not follow. ``groups`` (example,): the group of each example, -1 for none; all 0 without
    `per=`. ``reduction`` and ``level``: how a vector becomes one number; empty where the examples themselves are
    drawn.
    """

    rows: np.ndarray
    vectors: np.ndarray
    groups: np.ndarray
    cells: Named
    reduction: str
    level: float
    ranked: NotRequired[Field]  # of a ranking: all atoms, of which those with the largest numbers are drawn
    order: NotRequired[tuple[int, bool, bool]]  # how many, whether the smallest, whether by magnitude


def followed_by(node: Node, run: Run) -> Followed:
    """Collect the numbers of a field (``node``) that follows a lasso, as they are before the examples are reduced."""
    stages = list(chain(node))
    reduced = next((n for n, stage in enumerate(stages) if _reduction(stage, run)), None)
    if reduced is None:
        return _of_examples(run.value(node))
    stage = stages[reduced]
    field, result = run.value(stage.inputs[0]), run.value(stage)
    rows, table, vectors = _vectors(field, _follows(stages))
    per = stage.get("per")
    column = None if per is None else _groups(column_of(per, stage, field, run), field, rows)
    groups = np.zeros(len(rows), np.int64) if column is None else column
    at = np.where(vectors.data < 0, np.nan, vectors.data.astype(np.float64))
    cells = Named(vectors.dims, at)
    if per is not None:
        size = result.values.sizes[per]
        cells = Named((per, *vectors.dims), np.stack([at + group * len(table) for group in range(size)]))
    known = result.with_values(cells.ordered(result.values.dims), result.type)
    order = None
    for later in reversed(stages[:reduced]):  # what passes numbers on passes their places on
        operation = run.registry.operations[later.op]
        if (order := operation.ranks(later)) is not None:  # the last stage
            break
        known = operation.kernel(later, (known,), run)
    kind = _reduction(stage, run)
    assert kind is not None
    made = _used({"rows": rows, "vectors": table, "groups": groups, "cells": _whole(known.values), "reduction": kind[0],
                  "level": kind[1]})  # fmt: skip
    return made if order is None else {**made, "ranked": known, "order": order}


def _reduction(stage: Node, run: Run) -> tuple[str, float] | None:
    return run.registry.operations[stage.op].reduces_examples(stage)


def _follows(stages: Sequence[Node]) -> list[bool] | None:
    """Return which of several subsets a lasso encloses; None where all of the field follows it."""
    for stage in stages:
        datasets = stage.get("dataset")
        if isinstance(datasets, tuple) and any(dataset.type.lasso is not None for dataset in datasets):
            return [dataset.type.lasso is not None for dataset in datasets]
    return None


def _of_examples(field: Field) -> Followed:
    rows, table, vectors = _vectors(field, None)
    return {"rows": rows, "vectors": table, "groups": np.zeros(len(rows), np.int64), "cells": vectors, "reduction": "",
            "level": 0.0}  # fmt: skip


def _vectors(field: Field, follows: list[bool] | None) -> tuple[np.ndarray, np.ndarray, Named]:
    """Return (rows, table, number of each vector over the axes besides `example`). ``follows``: which subsets do."""
    at, values = field.coords[EXAMPLE], field.values
    rest = tuple(d for d in values.dims if d != EXAMPLE)
    shape = tuple(values.sizes[d] for d in rest)
    rows = np.unique(at.data[at.data >= 0])
    numbers = Named(rest, np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape))
    table = np.full((numbers.data.size, len(rows)), np.nan, np.float32)
    dims = (*(d for d in at.dims if d != EXAMPLE), EXAMPLE)
    places, own = at.ordered(dims), values.ordered((*rest, EXAMPLE)).data.reshape(-1, values.sizes[EXAMPLE])
    every = np.broadcast_to(places.spread((*rest, EXAMPLE)), (*shape, values.sizes[EXAMPLE])).reshape(own.shape)
    for vector, (line, of) in enumerate(zip(own, every, strict=True)):
        there = of >= 0
        table[vector, np.searchsorted(rows, of[there])] = line[there]
    if follows is not None:
        keep = Named(("subset",), np.array(follows)).spread(rest)
        numbers = Named(rest, np.where(keep, numbers.data, -1))
    return rows, table, numbers


def _groups(column: Named, field: Field, rows: np.ndarray) -> np.ndarray:
    """Return the number of the group of each row; -1 for none."""
    numbers, _ = number_groups(column.data.ravel())
    at = np.broadcast_to(field.coords[EXAMPLE].spread(column.dims), column.data.shape).ravel()
    groups = np.full(len(rows), -1, np.int64)
    groups[np.searchsorted(rows, at[at >= 0])] = numbers[at >= 0]
    return groups


def _whole(values: Named) -> Named:
    return Named(values.dims, np.where(np.isnan(values.data), -1, np.nan_to_num(values.data)).astype(np.int64))


def _used(followed: Followed) -> Followed:
    """Leave out the vectors that the element does not draw."""
    cells, count = followed["cells"], len(followed["vectors"])
    kept = np.unique(cells.data[cells.data >= 0] % max(count, 1))
    place = np.full(count, -1, np.int64)
    place[kept] = np.arange(len(kept))
    group, vector = np.divmod(np.maximum(cells.data, 0), max(count, 1))
    numbers = np.where(cells.data < 0, -1, group * len(kept) + (place[vector] if count else 0))
    return {**followed, "vectors": followed["vectors"][kept], "cells": Named(cells.dims, numbers)}

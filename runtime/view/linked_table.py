"""A linked list of fields as one table of numbers, from every atom to every atom."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from bbilang.runtime.fields.field import Field, Linked, Named, union_of
from bbilang.runtime.view.atom_words import atom_words, names_in

if TYPE_CHECKING:
    from bbilang.runtime.execution.results import Results


def matrix_of(linked: Linked, results: Results) -> Field:
    """Return the links as one field over (*states and input, from, to), with all atoms, column by column, on both axes;
    NaN where there is no link. names: `from` and `to`, each atom in words; coords: `column`, over `from`."""
    axes = [next((axis.name for axis in node.type.axes if axis.name != "input"), "") for node in linked.nodes]
    fields = (*linked.nodes, *linked.pairs)
    inner = {*axes, *(f"to.{axis}" for axis in axes)}
    apart = tuple(d for d in union_of(field.values for field in fields) if d not in inner)
    sizes = {d: s for field in fields for d, s in field.values.sizes.items()}
    counts = [node.values.sizes.get(axis, 1) for node, axis in zip(linked.nodes, axes, strict=True)]
    starts = [0, *accumulate(counts)]
    outer = [sizes[d] for d in apart]
    data = np.full((*outer, starts[-1], starts[-1]), np.nan, np.float32)
    words = np.full((*outer, starts[-1]), "", object)
    for k, (node, axis) in enumerate(zip(linked.nodes, axes, strict=True)):
        words[..., starts[k] : starts[k + 1]] = _words(node, axis, apart, (*outer, counts[k]), results)
    for k, pair in enumerate(linked.pairs):
        ends = (
            axes[k],
            axes[k + 1] if axes[k + 1] in pair.values.dims and axes[k + 1] != axes[k] else f"to.{axes[k + 1]}",
        )
        block = pair.values.spread((*apart, *ends))
        block_slices = (..., slice(*starts[k : k + 2]), slice(*starts[k + 1 : k + 3]))
        data[block_slices] = np.broadcast_to(block, (*outer, *counts[k : k + 2]))
    column = np.repeat(np.arange(len(counts)), counts)
    names = {end: Named((*apart, end), words) for end in ("from", "to")}
    return Field(linked.type, Named((*apart, "from", "to"), data), {"column": Named(("from",), column)}, names)


def _words(node: Field, axis: str, apart: Sequence[str], shape: tuple[int, ...], results: Results) -> np.ndarray:
    """Return a column's atoms in words, over (*apart, atom)."""
    dims = (*apart, axis)
    if axis in node.names or (not axis and node.names):
        return np.broadcast_to(node.names[axis or next(iter(node.names))].spread(dims), shape)
    layer = node.type.layers[0]
    numbers = node.coords.get(axis, Named((axis,), np.arange(shape[-1])))
    known = {n: _word(axis, n, layer, node.type.family, results) for n in np.unique(numbers.data).tolist()}
    made = np.array([known[n] for n in numbers.data.ravel().tolist()], object).reshape(numbers.data.shape)
    return np.broadcast_to(Named(numbers.dims, made).spread(dims), shape)


def _word(axis: str, number: int, layer: str, family: str, results: Results) -> str:
    if number < 0:
        return ""
    if axis == "class":
        return results.labels(number)
    names = names_in(results, {axis: number}, layer, family=family)
    return f"{layer}, {atom_words({axis: number}, family, names=names)}"

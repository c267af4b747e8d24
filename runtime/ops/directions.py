"""Directions of one layer: `a - b + c`, and the factors of directions, `a.spatial` and `a.channel`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bbilang.compiler.contract import Activations, Arguments, Demand, Operation, Registry, Run
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import VECTORS, FieldType
from bbilang.runtime.errors import error
from bbilang.runtime.fields.directions import AXIS, directions, maps, norms, vectors_of_atoms
from bbilang.runtime.fields.field import Field, Named

AS_DIRECTION = (
    "groups are those of the page's input; in each example a group is the direction of its channels, its activation "
    "the inner product with that"
)


class SumOfDirections(Operation):
    """`a - b + c` of directions of one layer: of concepts, groups, channels and vectors at positions. The vectors are
    added as they are, and the sum is not scaled to length 1."""

    name = "direction"
    head = True
    directs = True
    factors = ("spatial", "channel")
    factor = "of_direction"

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        own = any(term.type.atom in VECTORS for term in node["terms"])
        return (Activations(node.type.layers),) if own else ()

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        layer, terms = run.layer(node.type.layers[0]), node["terms"]
        every = [vectors_of_atoms(term, layer, run, node) for term in terms]
        dims = ("input", AXIS, "channel") if any("input" in one.dims for one in every) else (AXIS, "channel")
        total = sum(sign * one.spread(dims) for sign, one in zip(node["signs"], every, strict=True))
        vectors = Named(dims, np.asarray(total, np.float32))
        size = vectors.sizes[AXIS]
        if float(norms(vectors).data.min()) <= 1e-6 * max(float(norms(one).data.max()) for one in every):
            raise error("E534", "these directions cancel out, and nothing is left of them", "add others")
        labels = [_labels(term, run, size) for term in terms]
        names = [_sum(node["signs"], [own[number] for own in labels]) for number in range(size)]
        lengths = ", ".join(f"{length:.3g}" for length in norms(vectors).data.ravel()[:4])
        notes = tuple(dict.fromkeys(note for term in terms for note in run.value(term).notes))
        last = f"length of the sum: {lengths}" if len(terms) > 1 else AS_DIRECTION
        return directions(node, vectors, names, (*notes, last))


class FactorOfDirections(Operation):
    """`c.spatial` (concept, y, x): the inner product at each position; `c.channel` (concept, channel): the vector."""

    name = "of_direction"
    head = True

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        apart = arguments["which"] == "spatial" or any("input" in axis.varies for axis in field.axes)
        axes = tuple(axis for axis in field.axes if apart or axis.name != "input")
        return replace(field, content="loading", atom=arguments["which"], axes=(*axes, *arguments["axes"]), unit="",
                       signed=True)  # fmt: skip

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        return (Activations(node.type.layers),) if node["which"] == "spatial" else ()

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (atoms,) = inputs
        (source,) = node.inputs
        layer = run.layer(node.type.layers[0])
        if node["which"] == "spatial":
            values = maps(source, node, run)
        else:
            values = vectors_of_atoms(source, layer, run, node)
        if "input" in values.dims and "input" not in node.type.names:  # the only one
            values = values.take("input", Named((), np.array(0)))
        coords = {axis.name: Named((axis.name,), np.arange(axis.size)) for axis in node.type.axes}
        coords[AXIS] = atoms.coords[AXIS]
        return Field(node.type, values, coords, dict(atoms.names), notes=atoms.notes)


def _labels(term: Node, run: Run, size: int) -> list[str]:
    """Return what the atoms of a term are called, in a sum of ``size`` directions."""
    atoms = run.value(term)
    names = atoms.names.get(AXIS)
    if names is not None:
        own = [f"({name})" if " − " in name or " + " in name else name for name in map(str, names.data.ravel())]
    else:
        axis = term.type.axes[-1]
        words = {"y": "row", "x": "column"}
        columns = {words.get(c, c): atoms.coords[c].data.ravel() for c in axis.components}
        count = len(next(iter(columns.values())))
        own = [", ".join(f"{c} {numbers[i]}" for c, numbers in columns.items()) for i in range(count)]
    return own * size if len(own) == 1 else own


def _sum(signs: Sequence[float], words: Sequence[str]) -> str:
    first, *rest = words
    start = first if signs[0] > 0 else f"−{first}"
    return start + "".join(f" {'+' if sign > 0 else '−'} {word}" for sign, word in zip(signs[1:], rest, strict=True))


OPERATIONS = (SumOfDirections(), FactorOfDirections())

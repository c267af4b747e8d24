"""What stands instead of atoms in every example of a dataset, where an intervention takes it from elsewhere: another
dataset, or an input of the page. It is found once, on the page, before the examples are read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from bbilang.compiler.contract import Demand, Registry
from bbilang.compiler.ir.program import STAND_IN, Node, PerExample, walk
from bbilang.grammar.frozen import frozen
from bbilang.runtime.interventions.intervention import Intervention

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.execution.context import Run
    from bbilang.runtime.interventions.layer import ChangedLayer

Values: TypeAlias = "Callable[[], Tensor]"
"""Returns (draw, 1, *layer axes), 1 for what all draws or positions have in common."""


@frozen
class StandIn:
    """What stands in the place of one layer of every example. ``natural``: each channel's mean over positions in the
    examples of the source (example, channel), where it is to be said how far changed layers lie from these."""

    values: Values
    natural: np.ndarray | None = None


def with_stand_ins(pipe: Node) -> Node:
    """Return a pipe in which interventions with a source hold what becomes of it as `PerExample`, so that nothing below
    them asks for the source again for each example."""
    if len(pipe.inputs) != 1:  # sums of scores have two
        return pipe
    (before,) = pipe.inputs
    if pipe.type.content == "intervention" and pipe.get("source") is not None:
        parameters = {**dict(pipe.parameters), "source": None, "each": (), STAND_IN: PerExample(pipe)}
        return replace(pipe, parameters=tuple(sorted(parameters.items())))
    made = with_stand_ins(before)
    return pipe if made is before else replace(pipe, inputs=(made,))


def changes_of(pipe: Node) -> Iterator[Node]:
    """Iterate over the interventions of a pipe that take something from elsewhere, as they stand in the text."""
    for node in walk(pipe):
        if isinstance(node.get(STAND_IN), PerExample):
            yield node[STAND_IN].node


def sources_of(pipe: Node) -> tuple[Node, ...]:
    """Return the datasets that the interventions of a pipe take something from."""
    return tuple(dict.fromkeys(c["source"] for c in changes_of(pipe) if isinstance(c["source"], Node)))


def demanded(pipe: Node, registry: Registry) -> tuple[Demand, ...]:
    """Return what the page needs of the model for a pipe's interventions, besides the scan of its examples."""
    operations = ((registry.operations[change.op], change) for change in changes_of(pipe))
    return tuple(d for op, change in operations if isinstance(op, Intervention) for d in op.demands_outside(change))


def notes(change: Node, distances: np.ndarray | None, run: Run) -> tuple[str, ...]:
    """Return what the legend says about an intervention, as it stands in the text, in the examples of a dataset."""
    operation = run.registry.operations[change.op]
    assert isinstance(operation, Intervention)
    return operation.said_of_examples(change, distances, run)


def resolved(change: Node, run: Run) -> Node:
    """Return the intervention of a scan with the key of what stands in the atoms' place, under which the run holds
    it."""
    original = change[STAND_IN].node
    known = run.shared.stand_in_keys
    if original.digest not in known:
        known[original.digest] = _found(original, run)
    key = known[original.digest]
    return replace(change, parameters=tuple((n, key if n == STAND_IN else v) for n, v in change.parameters))


def _found(change: Node, run: Run) -> str:
    """Find what stands in the atoms' place; return a digest of it. Tensors are made when the first example needs
    them."""
    operation = run.registry.operations[change.op]
    assert isinstance(operation, Intervention)
    content = hashlib.sha256()
    values: dict[str, StandIn] = {}
    for layer in change.type.layers:
        own, make = operation.outside(change, layer, run)
        natural = operation.natural(change, layer, run)
        content.update(f"{layer} {own} ".encode() + (b"" if natural is None else natural.tobytes()))
        values[layer] = StandIn(_once(make), natural)
    key = content.hexdigest()
    run.shared.stand_ins[key] = values
    return key


def _once(make: Values) -> Values:
    return cache(make)


def of_layer(layer: ChangedLayer) -> StandIn | None:
    """Return what stands in the place of a layer of examples; None where nothing is taken from elsewhere, and on the
    page's own input."""
    held = layer.change.get(STAND_IN)
    if not isinstance(held, str):
        return None
    known: Mapping[str, StandIn] = layer.run.shared.stand_ins[held]
    return known[layer.name]


def difference(layer: ChangedLayer) -> Tensor | None:
    """Return what is added to each entry of a layer of examples if it changes, (draw, input, *layer axes); None where
    nothing is taken from elsewhere."""
    held, known = layer.change.get(STAND_IN), of_layer(layer)
    if isinstance(held, PerExample):  # the page's own input, on which a pipe chooses its atoms
        return layer.operation.difference(held.node, layer)
    return None if known is None else known.values().to(layer.activation) - layer.activation

"""An attribution as a score: how much some atoms contributed to a class, as a function of earlier activations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.ir.program import OUTPUT, Node
from bbilang.runtime import passes
from bbilang.runtime.attribution.slots import Slots
from bbilang.runtime.attribution.target_slots import atom_numbers, cotangents, keys_of
from bbilang.runtime.fields.atoms import parts_of

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.execution.context import Run
    from bbilang.runtime.passes import Captured


def score(run: Run, captured: Captured, chain: Node) -> Tensor:
    """Return <the atoms' part of a, d score / d a>, where a is the activation of their layer, attached to the graph:
    (input, term), with one term for each class of the chain's target.

    Its derivative has two paths: through a, and through the gradient of the score, which varies where the network above
    has curvature (Olah et al. 2018, "attribution to an attribution").
    """
    atoms, to = chain.inputs
    (layer,) = atoms.type.layers
    activation, scores, graph = captured.graph[layer], captured.scores, captured.score_graph
    assert scores is not None and graph is not None
    target = keys_of(run, to, OUTPUT)
    slots = Slots.of([target.of(row) for row in range(len(activation))])
    cotangent = cotangents(run, OUTPUT, slots.keys, scores)
    slopes = passes.vjp(captured, graph, cotangent, [layer], run.passes, create_graph=True)[layer]
    numbers = atom_numbers(run.value(atoms), run.layer(layer), layer).data
    chosen = np.unique(numbers[numbers >= 0])
    ones = activation.detach().new_ones(()).expand_as(activation)
    mask = parts_of(ones, run.layer(layer), atoms.type.atom, chosen).sum(0)
    return (activation * mask * slopes).flatten(2).sum(2).T

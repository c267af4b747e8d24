"""`gradient(of)`: the derivative of a target with respect to each atom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import (
    Arguments,
    Batch,
    Demand,
    Fail,
    Gradients,
    Operation,
    Parameter,
    Registry,
    Run,
    TensorField,
    Writer,
    Written,
)
from bbilang.compiler.contract.written import target_text, target_words
from bbilang.compiler.ir.model_description import LayerDescription
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import MADE, FieldType
from bbilang.runtime.fields import directions
from bbilang.runtime.fields.atoms import parts_of, reduce_part
from bbilang.runtime.fields.field import Field
from bbilang.runtime.fields.groups import reduce_groups
from bbilang.runtime.ops.activation import require_layer
from bbilang.runtime.ops.attribute import atoms_of, derivative_type, of_atoms, of_targets

if TYPE_CHECKING:
    from torch import Tensor

NORMED = ("spatial", "pixel", "token", "frame", "whole")


class Gradient(Operation):
    """d target / d atom: for a neuron, its own derivative; for a channel, the sum over positions; for a direction, the
    directional derivative with its sign, summed over positions; for a vector, the L2 norm.

    The norm of a difference of targets is not the difference of their norms, so vectors take one class at a time.
    """

    name = "gradient"
    content = True
    example = "block6a.expand.channel | gradient(output) | both(4) | present(bars)"
    parameters = (Parameter("of", "target", "the target of the derivative: a score, or the atoms of a later layer"),)

    def phrase(self, node: Node, registry: Registry) -> str:
        return f"gradient of {target_words(node['of'])}"

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        require_layer(field, self.name)
        of: Node = arguments["of"]
        if field.atom in NORMED and _has_sums(of):
            raise Fail(
                "E231",
                "the norm of a gradient is of one class, and this target is a sum or difference",
                "use `attribute(...)`, or the atoms `neuron` or `channel`",
                argument="of",
            )
        score = of.type.unit if of.type.content == "score" else "of the later atom's score"
        unit = f"{score} per activation"
        return derivative_type(field, "gradient", of, unit, signed=field.atom not in NORMED)

    def linear(self, arguments: Arguments) -> bool:
        return True

    def written(self, node: Node, writer: Writer) -> Written | None:
        target = target_text(node["of"], writer)
        return None if target is None else ("gradient(", *target, ")")

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        return (
            Gradients(
                node["of"], node.type.layers, "" if node.type.atom in (*NORMED, *MADE) else f"{node.type.atom} x 1"
            ),
        )

    def reduce(self, node: Node, layer: LayerDescription, activation: Tensor, gradient: Tensor, run: Run) -> Tensor:
        if node.type.atom == "group":
            return reduce_groups(node, layer, gradient, run)
        if node.type.atom == directions.ATOM:
            return directions.derivatives(node, layer, gradient, run)
        how = "norm" if node.type.atom in NORMED else "sum"
        return reduce_part(gradient, layer, node.type.atom, how)

    def parts(self, node: Node, layer: LayerDescription, activation: Tensor, atoms: np.ndarray, run: Run) -> Tensor:
        return parts_of(activation.new_ones(()).expand_as(activation), layer, node.type.atom, atoms)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        of = of_targets if node["of"].type.content == "score" else of_atoms
        return of(node, node["of"], inputs[0], run)

    def differentiable(self, node: Node, value: TensorField | None, batch: Batch, registry: Registry) -> TensorField:
        (layer, *more), target = node.type.layers, node["of"]
        if more or target.type.content != "score" or node.type.atom == "group":
            raise Fail(
                "E480", "a penalty is of one layer's atoms and one score", "as in `input.pixel | gradient(output)`"
            )
        how = "norm" if node.type.atom in NORMED else "sum"
        return atoms_of(batch.gradient(target, layer), target, batch.layer(layer), node.type.atom, how)


def _has_sums(target: Node) -> bool:
    return target.op == "combine" or any(_has_sums(child) for child in target.inputs)


OPERATIONS = (Gradient(),)

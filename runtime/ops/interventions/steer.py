"""`steer(amount)`: add to an atom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import ATOMS, Arguments, Parameter, Registry, Run, Writer, Written
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.fields.field import Named
from bbilang.runtime.interventions import along
from bbilang.runtime.interventions.of_networks import NetworkIntervention
from bbilang.runtime.ops.activation import require_layer

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.interventions.layer import ChangedLayer


class Steer(NetworkIntervention):
    """Adds an amount of each atom's direction, one atom at a time or all of the field `together`.

    To a channel, to a group's direction, and to a concept or another direction, the amount is added at every position,
    in units of the root mean square over positions of its part's norm; a neuron, a position, a token and a whole layer
    become (1 + amount) times what they are. An amount of 0 changes nothing. `slider(-3, 3, 0.5)` leaves the amount to
    the reader.
    """

    name = "steer"
    model_parameters = (
        ATOMS,
        Parameter("amount", "number", "how much of the direction is added", unit="x the part's norm", minimum=-100,
                  maximum=100),
    )  # fmt: skip
    parameters = (
        Parameter("amount", "number", "how much of the direction is added", unit="x the part's norm", minimum=-100,
                  maximum=100, slides=True, candidates=(1,)),
        Parameter("together", "flag", "change all atoms of the field at once, not one at a time", False),
    )  # fmt: skip
    example = "block6a.expand.channel | attribute(output) | top(8) | steer(2) | effect(output) | present(bars)"

    def phrase(self, node: Node, registry: Registry) -> str:
        return "each made stronger"

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        require_layer(field, self.name)
        amount = arguments["amount"]
        type = self.changed(field, arguments)
        return type.with_states(*amount.type.axes) if isinstance(amount, Node) else type

    def written(self, node: Node, writer: Writer) -> Written | None:
        amount = node["amount"]
        return ("steer(", amount if isinstance(amount, Node) else f"{amount:g}", ")")

    def amounts(self, node: Node, run: Run) -> Named:
        amount = node["amount"]
        if not isinstance(amount, Node):
            return Named((), np.array(float(amount)))
        return Named((amount.type.axes[0].name,), run.value(amount).coords["value"].data.astype(np.float64))

    def difference(self, node: Node, layer: ChangedLayer) -> Tensor:
        activation = layer.activation
        if layer.atom == "channel":
            squares = activation.square()
            positions = layer.positions
            norms = squares.mean(positions, keepdim=True).sqrt() if positions else squares.sqrt()
            return norms.expand_as(activation)[None]
        return (activation.abs() if layer.atom == "neuron" else activation)[None]

    def of_groups(self, node: Node, layer: ChangedLayer) -> Tensor:
        dims = tuple(1 + n for n in layer.positions)
        parts = layer.parts
        channels = 2 + layer.layer.axes.index("channel")
        norms = parts.norm(dim=channels, keepdim=True)  # of the vector at each position
        size = norms.square().mean(dims, keepdim=True).sqrt() if dims else norms
        strongest = norms.flatten(2).amax(2).view(*norms.shape[:2], *[1] * (norms.dim() - 2))
        total = parts.sum(dims, keepdim=True) if dims else parts  # all vectors of a part point one way
        direction = total / total.norm(dim=channels, keepdim=True).clamp_min(1e-20) * (strongest > 0)
        return (direction * size).expand_as(parts)

    def of_directions(self, node: Node, layer: ChangedLayer) -> Tensor | None:
        return along.step(layer)

    def words(self, arguments: Arguments, its: str) -> str:
        amount = arguments["amount"]
        return "steered" if isinstance(amount, Node) else f"steered by {amount:g} times {its} norm"


OPERATIONS = (Steer(),)

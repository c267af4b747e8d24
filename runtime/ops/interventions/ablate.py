"""`ablate(value=)`: replace each atom's part of a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbilang.compiler.contract import Arguments, Fail, Parameter, Writer, Written
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.interventions import replacements
from bbilang.runtime.interventions.intervention import Intervention, intervened
from bbilang.runtime.ops.activation import require_layer

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.interventions.layer import ChangedLayer

OF_GROUPS = ("zero", "position_mean")


class Ablate(Intervention):
    """Replaces each atom's part of the layer, one atom at a time or all of the field `together`. `effect(to)` says what
    that does to a target.

    The part of a channel is its map, that of a position its vector. `zero` sets it to zero; `position_mean` to each
    channel's mean over the positions of the same input; `noise` to normal noise with that mean and the same standard
    deviation.
    """

    name = "ablate"
    parameters = (
        Parameter("value", "word", "what replaces the part", "zero", choices=tuple(replacements.VALUES)),
        Parameter("together", "flag", "change all atoms of the field at once, not one at a time", False),
    )
    example = "block6a.expand.channel | attribute(output) | top(8) | ablate(zero) | effect(output) | present(bars)"

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        require_layer(field, self.name)
        if field.atom == "group" and arguments["value"] not in OF_GROUPS:
            help = f"`{'` or `'.join(OF_GROUPS)}`; or take the channels that the groups are made of"
            raise Fail("E272", f"the part of a group cannot be replaced by `{arguments['value']}`", help, "value")
        return intervened(field, arguments["together"])

    def written(self, node: Node, writer: Writer) -> Written | None:
        return (f"ablate({node['value']})",)

    def repeats(self, node: Node) -> int:
        return replacements.VALUES[node["value"]].draws

    def difference(self, node: Node, layer: ChangedLayer) -> Tensor:
        return replacements.VALUES[node["value"]].values(node, layer) - layer.activation

    def of_groups(self, node: Node, layer: ChangedLayer) -> Tensor:
        parts = layer.parts
        if node["value"] == "zero":
            return -parts
        dims = tuple(1 + n for n in layer.spread_positions(node["value"]))
        return parts.mean(dims, keepdim=True) - parts

    def words(self, node: Node) -> str:
        return replacements.VALUES[node["value"]].words


OPERATIONS = (Ablate(),)

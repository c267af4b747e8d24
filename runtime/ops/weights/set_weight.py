"""`model b = a | set_weight(weights(from, to)[to=3, from=447], 0)`: a network in which one weight is another number."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from bbilang.compiler.contract import Arguments, Fail, Make, ModelChange, NewParameters, Parameter, Run
from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType

if TYPE_CHECKING:
    from bbilang.runtime.execution.context import Run as FullRun

FORM = "as in `set_weight(weights(some_layer)[to=3, from=7], 0)`"


class SetWeight(ModelChange):
    """The network with another number where it multiplies one channel on the way to another: at all offsets of a
    kernel, or for all positions of a linear layer.

    It sets the parameter as it is stored. `weights` shows it with batch norm folded in; the batch norm stays as it is,
    so the number that `weights` then shows is this one times the scale of the batch norm. Biases stay, too.
    """

    name = "set_weight"
    only_in_models = True
    only_weights = True
    model_parameters = (
        Parameter("weight", "field", "one pair of channels: `weights(some_layer)[to=3, from=7]`"),
        Parameter("value", "number", "what the parameter becomes, before batch norm: 0 takes the weight out"),
    )
    example = (
        "model a = efficientnet_lite0\n"
        "model b = a | set_weight(weights(block5c.project)[to=3, from=447], 0)\n"
        "b:block5c.project.channel | activation | top(8) | present(bars)"
    )

    def in_model(
        self, arguments: Arguments, model: ModelDescription, make: Make
    ) -> tuple[tuple[Node, ...], Arguments, FieldType]:
        weights: Node = arguments["weight"]
        if weights.type.content != "weight" or "expanded" not in dict(weights.parameters):
            raise Fail("E320", "`set_weight` takes one weight of the network", FORM, "weight")
        if weights["expanded"]:
            message = "expanded weights are products and sums of many parameters, of which none is this number"
            raise Fail("E320", message, "name layers next to each other, without `expanded`", "weight")
        if weights.get("from_index") is None or weights.get("to_index") is None:
            missing = " and no ".join(f"`{word}`" for word in ("from", "to") if weights.get(f"{word}_index") is None)
            raise Fail("E320", f"`set_weight` takes one weight, and this names no {missing}", FORM, "weight")
        names = ("from", "to", "from_index", "to_index")
        own = {name: weights[name] for name in names} | {"value": float(arguments["value"])}
        return (), own, FieldType("intervention", "channel", (weights["to"],), (), model=weights.type.model)

    def change(self, node: Node, run: Run) -> NewParameters:
        from bbilang.runtime.linear.stored import stored

        place = stored(cast("FullRun", run).adapter, node["from"], node["to"], node["from_index"], node["to_index"])
        values = place.parameter.detach().clone()
        values[place.index] = node["value"]
        return NewParameters({place.name: values})

    def changed_layers(self, node: Node, model: ModelDescription) -> tuple[str, ...]:
        low, high = node["from"], node["to"]
        between = (x.name for x in model.layers if model.leads(low, x.name) and model.leads(x.name, high))
        return tuple(dict.fromkeys((*between, model.by_name[high].name)))

    def in_words(self, node: Node) -> str:
        ends = f"channel {node['from_index']} of {node['from']} to channel {node['to_index']} of {node['to']}"
        return f"the weight from {ends} set to {node['value']:g}"


OPERATIONS = (SetWeight(),)

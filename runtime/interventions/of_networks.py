"""`NetworkIntervention`: an intervention that may stand in a `model` statement, where it is a part of the network."""

from __future__ import annotations

from bbilang.compiler.contract import Arguments, Fail, LayerChange, Make, ModelChange, Run
from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.fields.prose import PLURALS, singular
from bbilang.runtime.interventions.intervention import Intervention


class NetworkIntervention(Intervention, ModelChange):
    """Changes atoms of one layer, all of them together, the same for every picture."""

    def repeats_for(self, arguments: Arguments) -> int:
        """Return `repeats` for a node of these arguments."""
        return 1

    def in_model(
        self, arguments: Arguments, model: ModelDescription, make: Make
    ) -> tuple[tuple[Node, ...], Arguments, FieldType]:
        field = arguments["atoms"]
        if len(field.type.layers) != 1:
            raise Fail("E288", f"`{self.name}` changes one layer at a time", "write a stage for each layer", "atoms")
        if field.type.layers == ("input",):
            raise Fail("E288", "the input is no layer of the network", "change a layer, or another picture", "atoms")
        if self.repeats_for(arguments) > 1:
            what = f"`{arguments['value']}` is the mean over random draws, and a network has one state"
            raise Fail("E288", what, "`zero`, or `mean` with a dataset", "value")
        own = {name: value for name, value in arguments.items() if name != "atoms"} | {"together": True}
        type = self.type(field.type, own)
        return (field,), self.expand(field, own, make), type

    def change(self, node: Node, run: Run) -> LayerChange:
        from bbilang.runtime.interventions.in_model import changed_layer

        return changed_layer(node, run)

    def in_words(self, node: Node) -> str:
        atoms, (layer,) = node.inputs[0], node.inputs[0].type.layers
        who, its = f"all of {layer}", "its"
        if atoms.op == "pick_atom":
            who = f"{singular(atoms.type.atom)} {', '.join(map(str, atoms['index']))} of {layer}"
        elif atoms.type.atom != "whole":
            who, its = f"{PLURALS.get(atoms.type.atom, 'atoms')} of {layer}", "their"
        return f"{'all but ' if self.keeps else ''}{who} {self.words(dict(node.parameters), its)}"

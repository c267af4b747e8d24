"""`patch(source=)`: take atoms' parts from another input of the page."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING

from bbilang.compiler.contract import Activations, Arguments, Demand, Fail, Make, Parameter
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.fields.groups import origin
from bbilang.runtime.interventions.intervention import Intervention
from bbilang.runtime.ops.activation import require_layer

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.execution.context import Run as ProgramRun
    from bbilang.runtime.interventions.layer import ChangedLayer


class Patch(Intervention):
    """Runs each input with the atoms' parts of another input of the page, one atom at a time or all of the field
    `together` (activation patching): which of them carry what the two pictures differ in?

    Inputs have names: `input cat = "a.jpg", dog = "b.jpg"`. With `source=dog` the cat's picture runs with parts of the
    dog's, which shows what of the dog is enough; with `source=cat` the dog's with those of the cat, which shows what
    brings the cat's score back. The source itself does not change.
    """

    name = "patch"
    mixes_inputs = True
    parameters = (
        Parameter("source", "input", "the input that parts are taken from, by its name"),
        Parameter("together", "flag", "change all atoms of the field at once, not one at a time", False),
    )
    example = (
        'input cat = "sample:chelsea", coffee = "sample:coffee"\n'
        'block6a.expand.spatial | patch(source=coffee) | effect(output["tiger cat"]) | present(heatmap)'
    )

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        require_layer(field, self.name)
        return self.changed(field, arguments)

    def expand(self, field: Node, arguments: Arguments, make: Make) -> Arguments:
        if field.type.atom == "group" and origin(field)["along"] != "input":
            message = "each input has groups of its own, so those of another are no part of it"
            raise Fail("E272", message, "factorize all inputs together: `factorize(..., along=input)`")
        return arguments

    def difference(self, node: Node, layer: ChangedLayer) -> Tensor:
        _, source = node["source"]
        return (layer.activation[source : source + 1] - layer.activation)[None]

    def of_groups(self, node: Node, layer: ChangedLayer) -> Tensor:
        _, source = node["source"]
        return layer.parts[:, source : source + 1] - layer.parts

    def demands_outside(self, node: Node) -> tuple[Demand, ...]:
        return (Activations(node.type.layers),)

    def outside(self, node: Node, layer: str, run: ProgramRun) -> tuple[str, Callable[[], Tensor]]:
        _, source = node["source"]
        own = run.images[source]
        number = next(n for n, f in enumerate(run.program.forwards) if layer in f.layers and not f.picture)
        return sha256(own.cpu().numpy().tobytes()).hexdigest(), lambda: run.forward(number)[layer][None, source, None]

    def words(self, arguments: Arguments, its: str) -> str:
        name, _ = arguments["source"]
        return f"taken from {name}"


OPERATIONS = (Patch(),)

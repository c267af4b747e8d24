"""What the channels of a layer would answer if the network had learned nothing: its activations with random weights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary

from bbilang.compiler.contract import Again, Arguments, Demand, Operation, Parameter, Registry, Run
from bbilang.compiler.ir.program import Node, walk
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.fields.atoms import gather, numpy_of, reduce_part
from bbilang.runtime.fields.field import Field
from bbilang.runtime.ops.activation import activation_unit, content_type, rebuilt

if TYPE_CHECKING:
    from bbilang.runtime.models.adapter import Adapter
    from bbilang.runtime.passes import Captured

UNTRAINED = "untrained"
WORDS = "the network with random weights"
_forwards: WeakKeyDictionary[Run, dict[int, Captured]] = WeakKeyDictionary()  # of each run, by the seed


class Untrained(Operation):
    """The activations of the same network with random weights: every tensor is drawn from the normal distribution with
    the mean and the deviation of the trained one, and running statistics stay, as in `trust(random_weights)`. ``seed``
    is added to the text's own."""

    name = UNTRAINED
    head = True
    parameters = (
        Parameter("reduce", "word", "how a channel's map is reduced to one number", "mean", choices=("sum", "mean")),
        Parameter("seed", "integer", "tells networks apart", 0),
    )

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        return content_type(field, "activation", True, activation_unit(field.atom, arguments["reduce"]))

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        return (Again(WORDS, 1, node.type.layers, shares=f"{WORDS} {node['seed']}"),)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (frame,) = inputs
        captured = _captured(run, node)
        layers = {name: run.layer(name) for name in node.type.layers}
        maps = {name: numpy_of(reduce_part(captured[name], layer, node.type.atom, node["reduce"]))
                for name, layer in layers.items()}  # fmt: skip
        return rebuilt(frame, node.type, gather(frame, maps, layers, ("input",)))


def _captured(run: Run, node: Node) -> Captured:
    """Return one forward of the network with random weights, for all that the program needs of it."""
    from bbilang.runtime.passes import forward

    own, seed = _forwards.setdefault(run, {}), node["seed"]
    if seed not in own:
        alike = [one for one in walk(*run.program.roots, node) if one.op == UNTRAINED and one["seed"] == seed]
        layers = [name for one in alike for name in one.type.layers]
        adapter = randomized(cast("Adapter", run.adapter), int(run.program.setting("seed", 0)) + seed)
        own[seed] = forward(adapter, run.images, layers, want_output=False, counter=run.passes)
    return own[seed]


def randomized(adapter: Adapter, seed: int) -> Adapter:
    """Return a copy of a network in which every parameter is random. The network remembers it."""
    from bbilang.runtime.models.copy_module import copy_module
    from bbilang.runtime.passes import copy_behaviour
    from bbilang.runtime.passes.module.memo import memo_of
    from bbilang.runtime.trust.random_weights import randomize

    memo = memo_of(adapter.module)
    key = (WORDS, seed)
    if key not in memo:
        module = copy_module(adapter.module)
        for number, part in enumerate(module.modules()):
            randomize(part, 7919 * (seed + 1) + number)
        made = replace(adapter, module=module, random=True, _hashed=None)
        copy_behaviour(made, adapter)
        memo[key] = made
    found: Adapter = memo[key]
    return found


OPERATIONS = (Untrained(),)

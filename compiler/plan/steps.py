"""What a step of a plan works on: the stretch of the network, the layers it reads, the elements that need it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.program import Node, Program, walk
from bbilang.compiler.plan.plan import Kind, Plan, Step
from bbilang.grammar.frozen import frozen

INPUT, OUTPUT = "input", "output"
GROUPS = {"forward": "forwards", "backward": "backwards", "tangents": "tangents", "reruns": "reruns"}
PASSES: tuple[Kind, ...] = ("forward", "backward", "tangents", "reruns")  # kinds that run the network for numbers


@frozen
class Stretch:
    """From one place of the network to another, each a layer, `input` or `output`. ``returns``: and back again.
    ``layers``: those whose values the step keeps or whose gradients it finds."""

    start: str
    end: str
    layers: tuple[str, ...] = ()
    returns: bool = False


def stretch(program: Program, step: Step) -> Stretch | None:
    """None for a step that runs no part of the network."""
    description = program.description
    if step.kind == "draw" or description is None:
        return None
    if step.kind == "icons":
        chosen = program.icons[step.index].elements
        layers = {layer for e in program.elements if e.id in chosen for layer in e.node.type.layers}
        return Stretch(INPUT, deepest(description, tuple(layers)), tuple(sorted(layers)), True)
    work: Any = getattr(program, GROUPS[step.kind])[step.index]
    match step.kind:
        case "forward":
            stop = deepest(description, work.layers) if work.stops and work.layers else OUTPUT
            return Stretch(INPUT, stop, work.layers)
        case "backward":
            stop = earliest(description, work.layers) if work.stops else INPUT
            return Stretch(work.target_layer, stop, work.layers)
        case "tangents":
            return Stretch(work.layer, work.target_layer, work.layers)
    return Stretch(work.layer if work.above else INPUT, work.target_layer, work.layers, work.finds != "values")


def deepest(description: ModelDescription, layers: tuple[str, ...]) -> str:
    return max(layers, key=lambda name: fraction(description, name), default=OUTPUT)


def earliest(description: ModelDescription, layers: tuple[str, ...]) -> str:
    return min(layers, key=lambda name: fraction(description, name), default=INPUT)


def fraction(description: ModelDescription, target_layer: str) -> float:
    """How much of the network's forward lies before a place: 0 at the input, 1 at the output. By FLOPs; by the order of
    the layers where nobody counted."""
    if target_layer == OUTPUT:
        return 1.0
    layer = description.by_name.get(target_layer)
    if layer is None:
        return 0.0
    if description.flops:
        return min(layer.flops / description.flops, 1.0)
    return (1 + description.layers.index(layer)) / (1 + len(description.layers))


def predicts(program: Program, before: Program) -> int:
    """The number of the forward that says what the page tells of every picture: what the model predicts. -1 for none.

    As written it is one of its own, which serves no node; later it is the first that gives scores.
    """
    if not any(f.scores and not f.serves for f in before.forwards):
        return -1
    own = [n for n, f in enumerate(program.forwards) if f.scores and not f.serves]
    return next(iter(own or [n for n, f in enumerate(program.forwards) if f.scores and not f.picture]), -1)


def served(plan: Plan) -> Mapping[int, tuple[str, ...]]:
    """id of a step -> ids of the elements that need it, in the page's order. The page's own forward serves none."""
    program = plan.program
    below = {element.id: frozenset(walk(element.node)) for element in program.elements}

    @cache
    def needs(node: Node) -> tuple[str, ...]:
        return tuple(id for id, nodes in below.items() if node in nodes)

    found = {}
    for step in plan.steps:
        if step.kind == "draw":
            names: tuple[str, ...] = (program.elements[step.index].id,)
        elif step.kind == "icons":
            names = program.icons[step.index].elements
        else:
            nodes = getattr(program, GROUPS[step.kind])[step.index].serves
            wanted = {name for node in nodes for name in needs(node)}
            names = tuple(element.id for element in program.elements if element.id in wanted)
        found[id(step)] = names
    return found

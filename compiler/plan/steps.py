"""Describe a step of a plan: the part of the network it runs, the layers it reads, the elements that need it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.program import Backward, Forward, Node, Program, Rerun, Scan, Tangents, walk
from bbilang.compiler.plan.plan import Plan, Step, StepKey
from bbilang.grammar.frozen import frozen

INPUT, OUTPUT = "input", "output"


@frozen
class Stretch:
    """From one layer of the network to another, `input` and `output` among them. ``returns``: and back again.
    ``layers``: those whose values the step keeps or whose gradients it computes."""

    start: str
    end: str
    layers: tuple[str, ...] = ()
    returns: bool = False


def stretch(program: Program, step: Step) -> Stretch | None:
    """Return the stretch that a step runs; None where it runs no part of the network."""
    description = program.description
    if step.kind == "draw" or description is None:
        return None
    if step.kind == "scan":
        return _of_each_example(program, program.scans[step.index], description)
    if step.kind == "icons":
        chosen = program.icons[step.index].elements
        layers = {layer for e in program.elements if e.id in chosen for layer in e.node.type.layers}
        return Stretch(INPUT, deepest(description, tuple(layers)), tuple(sorted(layers)), True)
    match _pass_of(program, step):
        case Forward() as work:
            stop = deepest(description, work.layers) if work.stops and work.layers else OUTPUT
            above = work.resumes.above if work.resumes else ()
            return Stretch(earliest(description, above) if above else INPUT, stop, work.layers)
        case Backward() as work:
            stop = earliest(description, work.layers) if work.stops else INPUT
            return Stretch(work.target_layer, stop, work.layers)
        case Tangents() as work:
            return Stretch(work.layer, work.target_layer, work.layers)
        case Rerun() as work:
            return Stretch(work.layer if work.above else INPUT, work.target_layer, work.layers, work.returns)


def _of_each_example(program: Program, scan: Scan, description: ModelDescription) -> Stretch:
    """Return the stretch of the forward that a scan runs for each example; what it derives comes back along it."""
    nodes = scan.contents
    layers = tuple(dict.fromkeys(name for node in nodes for name in node.type.layers if name != OUTPUT))
    whole = scan.scores or not program.optimized or any(node.type.content == "score" for node in walk(*nodes))
    return Stretch(INPUT, OUTPUT if whole else deepest(description, layers), layers)


def _pass_of(program: Program, step: Step) -> Forward | Backward | Tangents | Rerun:
    """Return the pass that a step of a kind in `PASSES` runs."""
    groups: dict[str, Sequence[Forward | Backward | Tangents | Rerun]] = {
        "forward": program.forwards,
        "backward": program.backwards,
        "tangents": program.tangents,
        "reruns": program.reruns,
    }
    return groups[step.kind][step.index]


def deepest(description: ModelDescription, layers: tuple[str, ...]) -> str:
    return max(layers, key=lambda name: fraction(description, name), default=OUTPUT)


def earliest(description: ModelDescription, layers: tuple[str, ...]) -> str:
    return min(layers, key=lambda name: fraction(description, name), default=INPUT)


def fraction(description: ModelDescription, name: str) -> float:
    """Return the share of the network's forward before a layer: 0 at the input, 1 at the output. By FLOPs; by the order
    of the layers if FLOPs are unknown."""
    if name == OUTPUT:
        return 1.0
    layer = description.by_name.get(name)
    if layer is None:
        return 0.0
    if description.flops:
        return min(layer.flops / description.flops, 1.0)
    return (1 + description.layers.index(layer)) / (1 + len(description.layers))


def predicts(program: Program, before: Program) -> int:
    """Return the number of the forward whose scores are the page's predictions, -1 for none.

    As written it is one of its own, which serves no node; later it is the first that gives scores.
    """
    if not any(f.scores and not f.serves for f in before.forwards):
        return -1
    own = [n for n, f in enumerate(program.forwards) if f.scores and not f.serves]
    return next(iter(own or [n for n, f in enumerate(program.forwards) if f.scores and not f.picture]), -1)


def served(plan: Plan) -> Mapping[StepKey, tuple[str, ...]]:
    """Map each step (`Step.key`) to the ids of the elements that need it, in the page's order; the page's own forward
    to none."""
    program = plan.program
    below = {element.id: frozenset(walk(element.node)) for element in program.elements}

    @cache
    def needs(node: Node) -> tuple[str, ...]:
        return tuple(id for id, nodes in below.items() if node in nodes)

    elements: dict[StepKey, tuple[str, ...]] = {}
    for step in plan.steps:
        if step.kind == "draw":
            elements[step.key] = (program.elements[step.index].id,)
        elif step.kind == "scan":
            ids = {name for node in program.scans[step.index].serves for name in needs(node)}
            elements[step.key] = tuple(element.id for element in program.elements if element.id in ids)
        elif step.kind == "icons":
            elements[step.key] = program.icons[step.index].elements
        else:
            ids = {name for node in _pass_of(program, step).serves for name in needs(node)}
            elements[step.key] = tuple(element.id for element in program.elements if element.id in ids)
    return elements

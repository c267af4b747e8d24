"""What a program asks of its model, pass by pass, before anything is shared: what the optimizer starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bbilang.compiler.contract import Activations, Gradients, IconsOf, Registry, Reruns, Scores, Trials, bound
from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.program import (
    OUTPUT,
    Backward,
    DerivativeRequest,
    Element,
    Forward,
    Icons,
    Node,
    Program,
    Rerun,
    walk,
)
from bbilang.compiler.optimize.cost import layer_of
from bbilang.compiler.optimize.target_slots import CHAIN, captured_at, places, request_keys, score_keys, target_keys


def with_passes(program: Program, registry: Registry, scored: bool) -> Program:
    """The program with one forward, and one backward, for every node that needs one, as a peer would run it.

    Every forward goes to the end of the network, every backward down to the input, every rerun through all of it. The
    first forward is the page's own: it says what the model predicts, where the model has class scores (``scored``).
    """
    forwards = [Forward((), True, False, ())] if scored else []
    backwards: list[Backward] = []
    reruns: list[Rerun] = []
    roots = [element.node for element in program.elements] + [node for _, node in program.bindings]
    for node in walk(*roots):
        for demand in registry.operations[node.op].demands(node, registry):
            match demand:
                case Scores():
                    forwards.append(Forward((), True, False, (node,)))
                case Activations(layers):
                    forwards.append(Forward(layers, False, False, (node,)))
                case Gradients(target, layers, parts, rule, combined):
                    for target_layer, below in places(target, layers, program.description):
                        above = captured_at(target, target_layer)
                        scores = target.type.content == "score"
                        forwards.append(
                            Forward(tuple(dict.fromkeys((*below, *above))), scores, False, (node,), rule=rule)
                        )
                        parts = "" if target_layer.startswith(CHAIN) else parts
                        request = DerivativeRequest(target, node, below, parts, combined=combined)
                        backwards.append(Backward((request,), len(forwards) - 1, False, target_layer))
                case Reruns(target, layers, method, combined):
                    kind, parameters = bound(registry, method)
                    start, tries = kind.baseline(parameters), len(kind.attempts(parameters))
                    classes = program.description.classes if program.description else 0
                    rivals = kind.rivals(parameters, classes)
                    for target_layer, layer in below_of(target, layers, program):
                        if kind.finds == "gradients":
                            visits = kind.visits(parameters)
                        else:
                            visits = kind.masks(parameters, map_size(program, layer))
                        request = DerivativeRequest(target, node, (layer,), combined=combined)
                        rerun = Rerun((request,), 0, layer, method, visits, False, -1, target_layer, kind.finds,
                                      int(kind.completes), tries > 1, rivals)  # fmt: skip
                        reruns.append(with_forwards(forwards, rerun, node, start))
                case Trials(target, layers, words):
                    names = ("of", "again", "classes", "rows", "each", "gradients")
                    asked = tuple((name, getattr(demand, name)) for name in names)
                    visits = demand.again + demand.rows + demand.each + demand.gradients
                    request = DerivativeRequest(target, node, layers)
                    rerun = Rerun((request,), 0, layers[0], (words, asked), visits, False, finds="trust")
                    reruns.append(with_forwards(forwards, rerun, node, demand.baseline))
    icons = []
    for element in program.elements:
        demands = registry.styles[element.node["style"]].demands(element.node)
        for demand in demands:
            match demand:
                case IconsOf():
                    icons.append(Icons((element.id,), icon_bound(element, program)))
                case Activations(layers):
                    forwards.append(Forward(layers, False, False, (element.node,)))
    return replace(
        program,
        forwards=tuple(forwards),
        backwards=tuple(as_one_score(backwards, forwards, program.description)),
        reruns=tuple(reruns),
        icons=tuple(icons),
    )


def as_one_score(
    backwards: list[Backward], forwards: Sequence[Forward], description: ModelDescription | None
) -> list[Backward]:
    """Attributions to a sum or difference of classes take one backward by linearity, unless its classes are followed
    anyway, for somebody else or for several differences of few. Not where a method has rules of its own for the way
    back, which need not be linear in what they start from."""
    if description is None:
        return backwards
    found = list(backwards)
    sums = [
        n for n, b in enumerate(found)
        if b.target_layer == OUTPUT and b.requests[0].target.op == "combine" and not forwards[b.forward].rule
    ]  # fmt: skip
    targets = {found[n].requests[0].target for n in sums if found[n].requests[0].node.op == "attribute"}
    for target in sorted(targets, key=lambda target: target.digest):
        own = {n for n in sums if found[n].requests[0].target == target and not found[n].requests[0].combined}
        if not own:
            continue
        others = [b.requests[0] for n, b in enumerate(found) if n not in own and b.target_layer == OUTPUT]
        known = {key for request in others for key in request_keys(request, OUTPUT, description)}
        apart, together = target_keys(target, OUTPUT, description), score_keys(target, OUTPUT, description)
        if len(together - known) < len(apart - known):
            for n in own:
                found[n] = replace(found[n], requests=(replace(found[n].requests[0], combined=True),))
    return found


def below_of(target: Node, layers: tuple[str, ...], program: Program) -> list[tuple[str, str]]:
    """(where a part of the target is, a layer below it): the network runs again from one to the other."""
    return [(target_layer, x) for target_layer, below in places(target, layers, program.description) for x in below]


def map_size(program: Program, layer: str) -> tuple[int, int]:
    """(y, x) of a layer with positions."""
    assert program.description is not None
    sizes = layer_of(program.description, layer).as_map.sizes
    return sizes["y"], sizes["x"]


def with_forwards(forwards: list[Forward], rerun: Rerun, node: Node, picture: str | None) -> Rerun:
    """The rerun after its own forward, and after that of the baseline ``picture`` where it has one."""
    (target,) = rerun.targets
    scores = target.type.content == "score"
    forwards.append(Forward((rerun.layer, *captured_at(target, rerun.target_layer)), scores, False, (node,)))
    number, baseline = len(forwards) - 1, -1
    if picture:
        forwards.append(Forward((rerun.layer,), False, False, (node,), picture))
        baseline = len(forwards) - 1
    return replace(rerun, forward=number, baseline=baseline)


def icon_bound(element: Element, program: Program) -> int:
    """The most icons that an element can show: slots x facets x states x inputs x pictures of each atom."""
    own = element.node.get("diversity")
    return shown_bound(element.node) * ((program.setting("featvis.diversity") if own is None else own) or 1)


def shown_bound(node: Node) -> int:
    count = node.type.state_count
    for axis in node.type.axes:
        if axis.name != "class" or node.type.atom == "class":
            count *= axis.size
    return count

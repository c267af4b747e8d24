"""What a program asks of its model, pass by pass, before anything is shared: what the optimizer starts from."""

from __future__ import annotations

from dataclasses import replace

from bbilang.compiler.ir import Ask, Backward, Element, Forward, Icons, Node, Program, Rerun, walk
from bbilang.compiler.op import Activations, Gradients, IconsOf, Registry, Reruns, Scores
from bbilang.compiler.targets import CHAIN, captured_at, places


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
                case Gradients(target, layers, parts, rule):
                    for place, below in places(target, layers, program.description):
                        above = captured_at(target, place)
                        scores = target.type.content == "score"
                        forwards.append(
                            Forward(tuple(dict.fromkeys((*below, *above))), scores, False, (node,), rule=rule)
                        )
                        ask = Ask(target, node, below, "" if place.startswith(CHAIN) else parts)
                        backwards.append(Backward((ask,), len(forwards) - 1, False, place))
                case Reruns(target, layers, method):
                    kind, parameters = registry.methods[method[0]], dict(method[1])
                    start, visits = kind.baseline(parameters), kind.visits(parameters)
                    scores = target.type.content == "score"
                    pairs = [(p, x) for p, below in places(target, layers, program.description) for x in below]
                    for place, layer in pairs:
                        forwards.append(Forward((layer, *captured_at(target, place)), scores, False, (node,)))
                        forward, baseline = len(forwards) - 1, -1
                        if start is not None:
                            forwards.append(Forward((layer,), False, False, (node,), start))
                            baseline = len(forwards) - 1
                        asks = (Ask(target, node, (layer,)),)
                        reruns.append(Rerun(asks, forward, layer, method, visits, False, baseline, place))
    icons = []
    for element in program.elements:
        demands = registry.styles[element.node["style"]].demands(element.node)
        for demand in demands:
            match demand:
                case IconsOf():
                    icons.append(Icons((element.id,), icon_bound(element)))
                case Activations(layers):
                    forwards.append(Forward(layers, False, False, (element.node,)))
    return replace(
        program,
        forwards=tuple(forwards),
        backwards=tuple(backwards),
        reruns=tuple(reruns),
        icons=tuple(icons),
    )


def icon_bound(element: Element) -> int:
    """The most icons that an element can show: slots x facets x states x inputs, but never more than it has atoms."""
    return shown_bound(element.node)


def shown_bound(node: Node) -> int:
    count = node.type.state_count
    for axis in node.type.axes:
        if axis.name != "class" or node.type.atom == "class":
            count *= axis.size
    return count

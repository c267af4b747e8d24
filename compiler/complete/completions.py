"""The completions of a text with holes: each a text, with a sentence, its goals and its place in the order."""

from __future__ import annotations

from collections.abc import Sequence

from bbilang.compiler.check.options import Options
from bbilang.compiler.complete.fill import Filled, fill
from bbilang.compiler.complete.goals import Goals, goals_of
from bbilang.compiler.complete.ranking import front, order, why
from bbilang.compiler.complete.sentences import sentence
from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.program import Node, walk
from bbilang.compiler.optimize.rules import optimize
from bbilang.compiler.plan.plan import Plan, plan
from bbilang.grammar import ast
from bbilang.grammar.frozen import frozen


@frozen
class Completion:
    """One way to fill the holes of a text. ``number``: its place in the order, from 1. ``front``: whether it is on the
    Pareto front of the five goals. ``why``: why it is above the next; empty for the last."""

    number: int
    filled: Filled
    sentence: str
    goals: Goals
    front: bool
    why: str


@frozen
class Limits:
    """What completions may cost, and what they must not have. ``without``: words for steps of a plan (`icons`,
    `reruns`), or names of operations, styles and methods."""

    max_passes: int | None = None
    without: tuple[str, ...] = ()


NO_LIMITS = Limits()


def complete(
    file: ast.File, registry: Registry, options: Options, by: Sequence[str] = (), limits: Limits = NO_LIMITS
) -> tuple[Completion, ...]:
    """Return all completions of a text, the best first. Raises BbiError of a text with errors."""
    every = [(filled, plan(optimize(filled.program), registry)) for filled in fill(file, registry, options)]
    common = set[Node]()
    if len(every) > 1:
        common = set.intersection(*({element.node for element in filled.program.elements} for filled, _ in every))
    kept = [(filled, made, goals_of(made, registry)) for filled, made in every]
    kept = [each for each in kept if _within(each[1], each[2], registry, limits)]
    goals = [each for _, _, each in kept]
    on_front, numbers = front(goals), order(goals, by)
    result = []
    for place, number in enumerate(numbers):
        filled, _, own = kept[number]
        nodes = [element.node for element in filled.program.elements if element.node not in common]
        words = " ".join(dict.fromkeys(sentence(node, registry) for node in nodes))
        following = numbers[place + 1] if place + 1 < len(numbers) else None
        reason = "" if following is None else why(own, goals[following], by)
        result.append(Completion(place + 1, filled, words, own, on_front[number], reason))
    return tuple(result)


def _within(made: Plan, goals: Goals, registry: Registry, limits: Limits) -> bool:
    if limits.max_passes is not None and goals.passes > limits.max_passes:
        return False
    if not limits.without:
        return True
    words: set[str] = {step.kind for step in made.steps if step.passes}
    for node in walk(*made.program.roots):
        words |= {node.op, str(node.get("style", ""))}
        method = registry.method_argument(node)
        words |= {str(method if isinstance(method, str) else method[0])} if method is not None else set()
    return not words & set(limits.without)


def known_words(registry: Registry) -> tuple[str, ...]:
    """Return the words that `Limits.without` may have."""
    steps = ("scan", "forward", "backward", "tangents", "reruns", "icons")
    return (*steps, *registry.operations, *registry.styles, *registry.methods)

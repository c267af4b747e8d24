"""The completions of a text with holes: each a text, with a sentence, its goals and its place in the order."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field
from functools import cached_property

from bbilang.compiler.check.options import Options
from bbilang.compiler.complete.fill import Filled, fill, verify
from bbilang.compiler.complete.goals import Goals, Measure
from bbilang.compiler.complete.ranking import front, order, why
from bbilang.compiler.complete.spending import Planner, Spending
from bbilang.compiler.contract import Registry
from bbilang.compiler.contract.sentences import sentence
from bbilang.compiler.ir.program import Node, walk
from bbilang.compiler.optimize.rules import optimize
from bbilang.compiler.plan.limits import NO_LIMITS as NO_PAGE_LIMITS
from bbilang.compiler.plan.limits import Limits as PageLimits
from bbilang.compiler.plan.limits import icon_passes
from bbilang.compiler.plan.plan import plan
from bbilang.grammar import ast
from bbilang.grammar.frozen import frozen


@frozen
class Completion:
    """One way to fill the holes of a text. ``number``: its place in the order, from 1. ``front``: whether it is on the
    Pareto front of the five goals. ``said_once``: what all completions show. ``following``: the goals of the next."""

    number: int
    filled: Filled
    goals: Goals
    front: bool
    registry: Registry = field(compare=False, repr=False)
    by: tuple[str, ...] = ()
    said_once: frozenset[Node] = field(default=frozenset(), compare=False, repr=False)
    following: Goals | None = None

    @cached_property
    def sentence(self) -> str:
        """What it shows, in words."""
        nodes = [element.node for element in self.filled.elements if element.node not in self.said_once]
        return " ".join(dict.fromkeys(sentence(node, self.registry) for node in nodes))

    @cached_property
    def why(self) -> str:
        """Why it is above the next; empty for the last."""
        return "" if self.following is None else why(self.goals, self.following, self.by)


@frozen
class Limits:
    """What completions may cost, and what they must not have. ``without``: words for steps of a plan (`icons`,
    `reruns`), or names of operations, styles and methods. ``of_page``: what each page may cost."""

    max_passes: int | None = None
    without: tuple[str, ...] = ()
    of_page: PageLimits = NO_PAGE_LIMITS


NO_LIMITS = Limits()


def complete(
    file: ast.File, registry: Registry, options: Options, by: Sequence[str] = (), limits: Limits = NO_LIMITS
) -> tuple[Completion, ...]:
    """Return all completions of a text, the best first. Raises BbiError of a text with errors; E380 to E382, E435 if
    none is within the limits of a page."""
    with _no_collection():
        return _completed(file, registry, options, tuple(by), limits)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Collect no garbage meanwhile: thousands of programs are kept, and looking through them takes as long as making
    them."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            if gc.get_freeze_count() == 0:  # nobody else keeps objects from being looked through
                gc.freeze()
                gc.unfreeze()  # what was made counts as old now: the next collection does not look through it
            gc.enable()


def _completed(
    file: ast.File, registry: Registry, options: Options, by: tuple[str, ...], limits: Limits
) -> tuple[Completion, ...]:
    every = tuple(fill(file, registry, options))
    verify(every, registry, options)
    planner, measure = Planner(registry), Measure(registry)
    said_once = frozenset[Node]()
    if len(every) > 1 and min(len(each.elements) for each in every) > 1:  # those of one element alone all differ
        said_once = frozenset.intersection(*(frozenset(e.node for e in each.elements) for each in every))
    kept, goals = [], []
    for filled in every:
        spending = planner.spending(filled)
        own = measure.goals(filled, spending)
        if _within(filled, spending, registry, limits):
            kept.append(filled)
            goals.append(own)
    if limits.of_page and every and not kept:
        cheapest = min(every, key=lambda each: planner.spending(each).flops)
        limits.of_page.check(plan(optimize(cheapest.program), registry), file.source)
    on_front, numbers = front(goals), order(goals, by)
    following = [*(goals[number] for number in numbers[1:]), None]
    return tuple(
        Completion(place, kept[number], goals[number], on_front[number], registry, by, said_once, following[place - 1])
        for place, number in enumerate(numbers, 1)
    )


def _within(filled: Filled, spending: Spending, registry: Registry, limits: Limits) -> bool:
    if limits.max_passes is not None and spending.passes > limits.max_passes:
        return False
    if limits.of_page:
        passes = spending.passes + (icon_passes(filled.checked) * spending.icons if spending.icons else 0)
        if not limits.of_page.allows(filled.elements, passes, spending.bytes):
            return False
    if not limits.without:
        return True
    words = set(spending.kinds)
    for node in walk(*(element.node for element in filled.elements)):
        words |= {node.op, str(node.get("style", ""))}
        method = registry.method_argument(node)
        words |= {str(method if isinstance(method, str) else method[0])} if method is not None else set()
    return not words & set(limits.without)


def known_words(registry: Registry) -> tuple[str, ...]:
    """Return the words that `Limits.without` may have."""
    steps = ("scan", "forward", "backward", "tangents", "reruns", "icons")
    return (*steps, *registry.operations, *registry.styles, *registry.methods)

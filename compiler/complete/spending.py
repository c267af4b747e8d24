"""What the pages of completions cost. Passes depend only on the operations that demand some, and on what an element's
budget line compares; completions that are alike in these are planned once. Icons depend on the elements alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

from bbilang.compiler.complete.fill import Filled
from bbilang.compiler.contract import IconsOf, Registry
from bbilang.compiler.ir.program import Element, Node, Program
from bbilang.compiler.optimize.budget import budgeted
from bbilang.compiler.optimize.lower import icons_of, with_passes
from bbilang.compiler.optimize.rules import choose_before_visualizing, optimize
from bbilang.compiler.plan.plan import COUNTED, icon_steps, plan
from bbilang.grammar.frozen import frozen

Key: TypeAlias = tuple[object, ...]
Kept: TypeAlias = "dict[int, tuple[Node, Key]]"  # by a node's address; the node is kept, and with it that


@frozen
class Spending:
    """What a page costs. ``kinds``: of the steps of its plan that run the network."""

    passes: int = 0
    flops: int = 0
    bytes: int = 0
    icons: int = 0
    kinds: frozenset[str] = frozenset()


class Planner:
    """Plans the completions of one text."""

    def __init__(self, registry: Registry):
        self.registry = registry
        self._passes: dict[Key, Spending] = {}
        self._icons: dict[Key, Spending] = {}
        self._elements: Kept = {}
        self._demanding: Kept = {}

    def spending(self, filled: Filled) -> Spending:
        """Return what the page of a completion costs."""
        if filled.checked.parts:
            return self._planned(filled.program)
        key = tuple([self._key(element) for element in filled.elements])
        passes = self._passes.get(key)
        if passes is None:
            passes = self._passes[key] = self._planned(replace(self._with_passes(filled.program), icons=()))
        if not any([self._has_icons(element) for element in filled.elements]):
            return passes
        icons = self._of_icons(filled)
        return Spending(
            passes.passes, passes.flops + icons.flops, passes.bytes + icons.bytes, icons.icons, passes.kinds | {"icons"}
        )

    def _of_icons(self, filled: Filled) -> Spending:
        """Return what the icons of a page cost."""
        program = filled.program
        icons = icons_of(program, self.registry)
        steps = icon_steps(choose_before_visualizing(replace(program, icons=tuple(icons))))
        return Spending(
            0, sum(step.flops for step in steps), sum(step.bytes for step in steps), sum(step.passes for step in steps)
        )

    def _with_passes(self, program: Program) -> Program:
        """Return a program with passes, which it has only where it was checked itself."""
        if program.forwards or program.scans:
            return program
        description = program.description
        return with_passes(program, self.registry, description is not None and description.classes > 0)

    def _planned(self, program: Program) -> Spending:
        made = plan(optimize(program), self.registry)
        totals = [made.total(kind) for kind in COUNTED]
        icons, icon_flops = made.total("icons")
        return Spending(
            sum(passes for passes, _ in totals),
            sum(flops for _, flops in totals) + icon_flops,
            sum(step.bytes for step in made.every_step),
            icons,
            frozenset(step.kind for step in made.every_step if step.passes),
        )

    def _key(self, element: Element) -> Key:
        """Return what decides which passes an element needs."""
        node = element.node
        known = self._elements.get(id(node))
        if known is None:
            key: Key = (node.digest,) if self._is_own(node) else self._of_demands(node)
            known = self._elements[id(node)] = node, key
        return known[1]

    def _has_icons(self, element: Element) -> bool:
        demands = self.registry.styles[element.node["style"]].demands(element.node)
        return any([isinstance(demand, IconsOf) for demand in demands])

    def _is_own(self, node: Node) -> bool:
        """Return whether an element may need passes that none of its operations demands: the reader's choices decide
        what is differentiated, or the style demands more than icons."""
        demands = self.registry.styles[node["style"]].demands(node)
        return bool(node.type.states) or any([not isinstance(demand, IconsOf) for demand in demands])

    def _of_demands(self, node: Node) -> Key:
        budget = budgeted(node, self.registry)
        compared = () if budget is None else (budget.attribution.digest, *(each.digest for each in budget.each))
        return (self._demands(node), compared)

    def _demands(self, node: Node) -> Key:
        """Return the digests of what demands passes, of a node and all below it."""
        known = self._demanding.get(id(node))
        if known is None:
            below = [self._demands(child) for child in node.children]
            key = below[0] if len(below) == 1 else tuple(dict.fromkeys([each for key in below for each in key]))
            if self.registry.operations[node.op].demands(node, self.registry):
                key = (*key, node.digest)
            known = self._demanding[id(node)] = node, key
        return known[1]

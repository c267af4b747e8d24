"""The goals of completions, measured: what a run of several side by side found of each, and its page with that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from bbilang.compiler.complete.completions import Completion
from bbilang.compiler.complete.goals import has_pictures
from bbilang.compiler.complete.measured import MeasuredGoals, why_measured
from bbilang.compiler.complete.ranking import order
from bbilang.compiler.complete.side_by_side import in_rows
from bbilang.compiler.explain.units import Measured
from bbilang.compiler.ir.program import REMOVAL, Element, Interface, Node, Program, walk
from bbilang.compiler.optimize.budget import budgeted
from bbilang.compiler.plan.plan import Step
from bbilang.pipeline import Pipeline
from bbilang.registry import registry
from bbilang.runtime.view.states import elements as elements_of

if TYPE_CHECKING:
    from bbilang.page import Page
    from bbilang.runtime.execution.results import Results
    from bbilang.runtime.fields.field import Field

EXTREMES = ("max", "min")  # reductions that show one atom of many
PROMISE = "promises that its numbers add up"  # in the warning of a complete method that misses what it promises


class SideBySide:
    """Some completions on one page, of which ``pipeline`` is: their passes are shared. Its numbers are computed anew,
    so that the seconds are those of this run. ``by``: the goals that count, the first most; all five where empty."""

    def __init__(self, completions: Sequence[Completion], pipeline: Pipeline, by: Sequence[str] = ()):
        self.completions, self.pipeline, self.by = tuple(completions), pipeline, tuple(by)
        self.groups = tuple(_groups(pipeline.program, len(self.completions)))

    @cached_property
    def results(self) -> Results:
        """The results of the page, with the values of which elements show a part."""
        program = self.pipeline.program
        whole = [] if len(program.models) != 1 or program.parts else self._whole(program)
        if whole:
            more = [node for node in whole if node not in program.kept]
            kept = (*program.kept, *more)
            self.pipeline.checked = (replace(program, kept=kept, kept_as=tuple(n.digest for n in kept)), ())
            self._kept = kept
        return self.pipeline.measured()

    _kept: tuple[Node, ...] = ()

    def _whole(self, program: Program) -> list[Node]:
        pairs = [pair for element in program.elements for pair in _selected(element.node)]
        return list(dict.fromkeys(node for pair in pairs for node in pair))

    @cached_property
    def measured(self) -> tuple[MeasuredGoals, ...]:
        """The goals of each completion, in the order of the plan."""
        from bbilang.page import view_of

        shown = {element.id: element for element in elements_of(view_of(self.results))}
        return tuple(self._measured(*pair, shown) for pair in zip(self.completions, self.groups, strict=True))

    def _measured(self, completion: Completion, own: Sequence[Element], shown: dict[str, Any]) -> MeasuredGoals:
        planned, results = completion.goals, self.results
        inside = [element for element in own if element.node.type.content != "picture"]
        shares = [self._share(element.node) for element in inside]
        known = None not in shares and bool(shares)
        pictured = [share * has_pictures(e.node, registry()) for e, share in zip(inside, shares, strict=True) if share]
        legends = [shown[element.id].legend for element in own if element.id in shown]
        words = sum(len(f"{it.quantity} {it.unit} {' '.join(it.notes)}".split()) for it in legends if it is not None)
        warned = [words for it in legends if it is not None for words in it.warnings]
        failed = sum(bool(one[4]) for element in own for one in results.fields[element.id].trust)
        failed += sum(PROMISE in words for words in warned)
        steps = list(_steps(results, {element.id for element in own}))
        sets = [results.icon_sets[element.id] for element in own if element.id in results.icon_sets]
        icons = {int(number) for each in sets for number in np.unique(each.index.data) if number >= 0}
        drawn = [results.fields[element.id].values.data for element in own]
        return MeasuredGoals(
            planned,
            sum(share for share in shares if share is not None) / len(shares) if known else None,
            sum(pictured) / len(shares) if known else None,
            sum(_items(results.fields[e.id], e, planned.items if len(own) == 1 else None) for e in own),
            planned.states,
            words,
            planned.trust,
            max(planned.trust - failed, 0),
            sum(passes for _, passes in steps),
            len(icons),
            sum(seconds for seconds, _ in steps),
            sum(each.nbytes for each in drawn) + sum(results.icons[number].picture.nbytes for number in icons),
        )

    def _share(self, node: Node) -> float | None:
        """Return the share of the sum of magnitudes that is left by what keeps some atoms; None where not known."""
        values = dict(zip(self._kept, self.results.kept, strict=False))
        share = 1.0
        for whole, part in _selected(node):
            if whole not in values or part not in values:
                return None
            before, after = (_magnitude(values[each]) for each in (whole, part))
            share *= min(after / before, 1.0) if before > 0 else 1.0
        return share

    @property
    def passes(self) -> int:
        """How many passes the page took, those of icons not counted."""
        every = self.results.parts or (self.results,)
        return sum(_passes(step, took, part.program) for part in every for step, took in part.timings)

    @cached_property
    def order(self) -> tuple[int, ...]:
        """The completions' places in the order of the plan, the best by what was measured first."""
        return tuple(order(self.measured, self.by))

    @cached_property
    def page(self) -> Page:
        """The page of the completions, the best first, each with what was measured and why it is above the next."""
        from bbilang.page import Page, view_of

        results = self.results
        shown = replace(results, program=self._told(results.program))
        return Page(
            view_of(shown, self.pipeline.request.title), shown, self.pipeline.plan, self.pipeline.request.limits
        )

    @property
    def told(self) -> tuple[tuple[Completion, MeasuredGoals, str], ...]:
        """Each completion with its goals and why it is above the next, the best first."""
        best = [self.measured[number] for number in self.order]
        reasons = [why_measured(above, below, self.by) for above, below in pairwise(best)]
        every = zip(self.order, best, [*reasons, ""], strict=True)
        return tuple((self.completions[number], goals, why) for number, goals, why in every)

    def _told(self, program: Program) -> Program:
        """Return the program with the completions in their order, each with its goals in words."""
        words = {}
        for place, (completion, goals, why) in enumerate(self.told, 1):
            title, own = f"{place}. {completion.sentence}", self.groups[self.completions.index(completion)]
            caption = f"Measured: {said(goals)}."
            words[own[-1].id] = title, f"{caption} Above the next: {why}." if why else caption
        single = len(program.interfaces) == 1 and len(self.completions) > 1
        interfaces = []
        for interface in program.interfaces:
            own = tuple(
                replace(each, title=words[each.id][0] if single else each.title, caption=words[each.id][1])
                if each.id in words
                else each
                for each in interface.elements
            )
            title = next((words[each.id][0] for each in own if each.id in words and not single), interface.title)
            interfaces.append(Interface(title, own, interface.layout))
        if single:
            names = [self.groups[number][-1].id for number in self.order]
            interfaces = [replace(interfaces[0], layout=in_rows(names))]
        elif len(interfaces) == len(self.order):
            interfaces = [interfaces[number] for number in self.order]
        return replace(program, interfaces=tuple(interfaces))


def said(goals: MeasuredGoals) -> str:
    """Return the five measured goals in words."""
    from bbilang.compiler.complete.goals import WORDS

    return "; ".join(goals.said(goal) for goal in WORDS)


def _groups(program: Program, count: int) -> Iterator[tuple[Element, ...]]:
    """Iterate over the elements of each completion: one each in one interface, or an interface each."""
    if len(program.interfaces) == count:
        yield from (interface.elements for interface in program.interfaces)
        return
    (interface,) = program.interfaces
    yield from ((element,) for element in interface.elements)


def _selected(node: Node) -> Iterator[tuple[Node, Node]]:
    """Iterate over (what was chosen from, what was chosen) of a pipe. What the reader chooses is all shown."""
    while node.inputs:
        (below, *_) = node.inputs
        operation = registry().operations.get(node.op)
        keeps = node.op in EXTREMES or (operation is not None and operation.selects)
        if keeps and len(node.type.states) == len(below.type.states):
            yield below, node
        node = below


def _magnitude(field: Field) -> float:
    return float(np.nansum(np.abs(field.values.data, dtype=np.float64)))


def _items(field: Field, element: Element, planned: int | None) -> int:
    """Return how many things an element shows at once: fewer than planned where a condition left fewer."""
    from bbilang.compiler.complete.goals import items_of

    most = items_of(element, registry()) if planned is None else planned
    if all(axis.exact for axis in field.type.axes):
        return most
    states = [field.values.dims.index(axis.name) for axis in field.type.states if axis.name in field.values.dims]
    known = np.isfinite(field.values.data).any(axis=tuple(states)) if states else np.isfinite(field.values.data)
    return min(most, int(known.sum()))


def _steps(results: Results, own: set[str]) -> Iterator[tuple[float, int]]:
    """Iterate over (seconds, passes) of the steps that some elements need."""
    for part in results.parts or (results,):
        program = part.program
        shown = [element for element in program.elements if element.id in own]
        nodes = set(walk(*(element.node for element in shown)))
        for step, took in part.timings:
            if _serves(step, program, nodes, shown):
                yield took.seconds, _passes(step, took, program)


def _passes(step: Step, took: Measured, program: Program) -> int:
    """Return the passes of a step, those of icons not counted. Runs without a layer, for budget lines, are counted
    apart from others by what runs them: as many as planned."""
    if step.kind == "reruns" and program.reruns[step.index].finds == REMOVAL:
        return step.passes
    return took.passes or 0 if step.kind != "icons" else 0


def _serves(step: Step, program: Program, nodes: set[Node], shown: Sequence[Element]) -> bool:
    def any_of(served: Iterable[Node]) -> bool:
        return any(node in nodes for node in served)

    match step.kind:
        case "forward":
            forward = program.forwards[step.index]
            return any_of(forward.serves) or any(
                each.forward == step.index and any_of(each.serves) for each in program.derivatives
            )
        case "backward":
            return any_of(program.backwards[step.index].serves)
        case "tangents":
            return any_of(program.tangents[step.index].serves)
        case "reruns" if program.reruns[step.index].finds == REMOVAL:
            lines = [budgeted(element.node, registry()) for element in shown]
            serves = set(program.reruns[step.index].serves)
            return any(line is not None and not serves.isdisjoint(line.each) for line in lines)
        case "reruns":
            return any_of(program.reruns[step.index].serves)
        case "scan":
            return any_of(program.scans[step.index].serves)
        case "icons":
            return bool({element.id for element in shown} & set(program.icons[step.index].elements))
        case "draw":
            return program.elements[step.index].id in {element.id for element in shown}
    return False

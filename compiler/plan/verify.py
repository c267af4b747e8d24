"""Invariants of a plan: each step is there once, after what it needs, and uses nothing that was freed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bbilang.compiler.ir.program import Backward, Program, Rerun, Tangents, walk
from bbilang.grammar.verification import require

if TYPE_CHECKING:
    from bbilang.compiler.plan.plan import Plan, Step


def verify_plan(plan: Plan) -> None:
    """Raise InvariantError if a plan cannot be executed step by step."""
    program = plan.program
    expected = Counter(
        (kind, number)
        for kind, parts in (
            ("forward", program.forwards), ("backward", program.backwards), ("tangents", program.tangents),
            ("reruns", program.reruns), ("scan", program.scans), ("icons", program.icons), ("draw", program.elements),
        )
        for number in range(len(parts))
    )  # fmt: skip
    require(Counter((step.kind, step.index) for step in plan.steps) == expected, "a step is missing, or there twice")
    forwards: set[int] = set()
    freed: Counter[tuple[str, int]] = Counter()
    for step in sorted(plan.steps, key=lambda step: step.kind == "icons"):  # as `plan.order` has them
        name = f"{step.kind} {step.index + 1}"
        require(min(step.passes, step.flops, step.bytes, step.least) >= 0, f"{name} costs less than nothing")
        if step.kind == "forward":
            forwards.add(step.index)
        for number in used_forwards(program, step):
            require(number in forwards, f"{name} comes before forward {number + 1}")
            require(not freed["activations", number], f"{name} uses forward {number + 1}, which was freed")
        derivative = derivative_of(program, step)
        if isinstance(derivative, Backward):
            require(not freed["graph", derivative.forward], f"{name} needs a graph that was freed")
        freed.update((free.kind, free.index) for free in step.frees)
    require(all(freed["activations", n] == 1 for n in range(len(program.forwards))), "activations are not freed once")
    require(set(freed.values()) <= {1}, "something is freed twice")


def derivative_of(program: Program, step: Step) -> Backward | Tangents | Rerun | None:
    """Return the derivative that a step computes."""
    match step.kind:
        case "backward":
            return program.backwards[step.index]
        case "tangents":
            return program.tangents[step.index]
        case "reruns":
            return program.reruns[step.index]
    return None


def used_forwards(program: Program, step: Step) -> set[int]:
    """Return the numbers of the forwards whose activations a step reads."""
    derivative = derivative_of(program, step)
    if derivative is not None:
        baseline = derivative.baseline if isinstance(derivative, Rerun) else -1
        return {derivative.forward, *([baseline] if baseline >= 0 else [])}
    if step.kind != "draw":
        return set()
    nodes = {id(node) for node in walk(program.elements[step.index].node)}
    return {n for n, forward in enumerate(program.forwards) if any(id(node) in nodes for node in forward.serves)}

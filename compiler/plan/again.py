"""Passes that kernels run themselves, on what they find: planned at the element that shows it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from bbilang.compiler.contract import Again, Registry
from bbilang.compiler.ir.program import Element, Node, Program, walk
from bbilang.compiler.optimize.cost import forward_flops
from bbilang.compiler.optimize.rules import optimize
from bbilang.compiler.optimize.scans import SUMMARY, batch_program

if TYPE_CHECKING:
    from bbilang.compiler.plan.plan import Plan

BOTH_WAYS = 3  # a forward, and the gradients by the activations and by the weights


def run_again(
    program: Program, element: Element, registry: Registry, known: set[Node | str], planned: Callable[[Program], Plan]
) -> list[tuple[str, int, int]]:
    """Return (words, passes, FLOPs) of what the kernels below an element run themselves, at most. ``known``: nodes that
    an earlier element counts, and what they share, to which its own are added; ``planned``: makes a plan, of the passes
    of one picture."""
    description = program.description
    assert description is not None, "a plan has a description"
    result = []
    for node in walk(element.node):
        own = [demand for demand in registry.operations[node.op].demands(node, registry) if isinstance(demand, Again)]
        if not own or node in known:
            continue
        known.add(node)
        for demand in own:
            if demand.shares in known and program.optimized:
                continue
            known.update({demand.shares} - {""})
            pictures = demand.pictures or 8 * math.ceil(math.log2(max(2, *description.input_size)))
            passes, flops = 1, forward_flops(description, demand.layers, bool(demand.layers))
            if demand.content is not None:
                batch = batch_program(program, [(SUMMARY, demand.content)], 1, registry)
                each = planned(optimize(batch) if program.optimized else batch).steps
                passes, flops = sum(step.passes for step in each), sum(step.flops for step in each)
            if demand.returns:
                passes, flops = passes + 1, flops * BOTH_WAYS
            result.append((demand.words, pictures * passes, pictures * flops))
    return result

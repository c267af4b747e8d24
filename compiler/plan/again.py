"""Passes that kernels run themselves, on what they find: planned at the element that shows it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from bbilang.compiler.contract import Again, Registry, Trains
from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.program import OUTPUT, Element, Node, Program, walk
from bbilang.compiler.optimize.cost import flops_between, flops_upto, forward_flops
from bbilang.compiler.optimize.rules import optimize
from bbilang.compiler.optimize.scans import SUMMARY, batch_program
from bbilang.grammar.frozen import frozen

if TYPE_CHECKING:
    from bbilang.compiler.plan.plan import Plan

BOTH_WAYS = 3  # a forward, and the gradients by the activations and by the weights


@frozen
class Ran:
    """What kernels run themselves, at most. ``trains``: of a training."""

    words: str
    passes: int
    flops: int
    trains: Trains | None = None


def run_again(
    program: Program, element: Element, registry: Registry, known: set[Node | str], planned: Callable[[Program], Plan]
) -> list[Ran]:
    """Return what the kernels below an element run themselves. ``known``: nodes that
    an earlier element counts, and what they share, to which its own are added; ``planned``: makes a plan, of the passes
    of one picture."""
    description = program.description
    assert description is not None, "a plan has a description"
    result: list[Ran] = []
    for node in walk(element.node):
        own = [one for one in registry.operations[node.op].demands(node, registry) if isinstance(one, Again | Trains)]
        if not own or node in known:
            continue
        known.add(node)
        for demand in own:
            if demand.shares in known and (program.optimized or isinstance(demand, Trains)):
                continue
            known.update({demand.shares} - {""})
            if isinstance(demand, Trains):
                result += _training(description, demand)
            else:
                result.append(_again(program, demand, registry, planned))
    return result


def _again(program: Program, demand: Again, registry: Registry, planned: Callable[[Program], Plan]) -> Ran:
    description = program.description
    assert description is not None, "a plan has a description"
    pictures = demand.pictures or 8 * math.ceil(math.log2(max(2, *description.input_size)))
    passes, flops = 1, forward_flops(description, demand.layers, bool(demand.layers))
    if demand.content is not None:
        batch = batch_program(program, [(SUMMARY, demand.content)], 1, registry)
        each = planned(optimize(batch) if program.optimized else batch).steps
        passes, flops = sum(step.passes for step in each), sum(step.flops for step in each)
    if demand.returns:
        passes, flops = passes + 1, flops * BOTH_WAYS
    return Ran(demand.words, pictures * passes, pictures * flops)


def _training(description: ModelDescription, demand: Trains) -> list[Ran]:
    """Plan a training: the examples below the layer once, the measurements, and the training above it, where the
    gradients by the weights take twice what the other passes of a step do."""
    above, below = flops_between(description, demand.layer, OUTPUT), flops_upto(description, demand.layer)
    step = 1 + demand.of_evidence
    examples = demand.examples if below else 0  # of pixels, nothing runs below
    once = [Ran(f"{examples:,} examples below {demand.layer}, once", examples, examples * below)] if examples else []
    return [
        *once,
        Ran(f"measurements before and after, on {demand.measured:,}", demand.measuring, demand.measuring * above),
        Ran(f"training on {demand.trained:,} examples, {demand.epochs} epochs of {demand.steps // demand.epochs} steps",
            demand.training, BOTH_WAYS * demand.epochs * demand.trained * step * above, demand),
    ]  # fmt: skip


def run_for_examples(
    nodes: Iterable[Node], description: ModelDescription, registry: Registry
) -> list[tuple[str, int, int]]:
    """Return (words, passes, FLOPs) of what the kernels of a scan run themselves for each example; kernels that share
    what they run need all of its layers at once."""
    shared: dict[str, list[Again]] = {}
    for number, node in enumerate(nodes):
        for demand in registry.operations[node.op].demands(node, registry):
            if isinstance(demand, Again):
                shared.setdefault(demand.shares or str(number), []).append(demand)
    made = []
    for demands in shared.values():
        layers, count = tuple(dict.fromkeys(name for one in demands for name in one.layers)), demands[0].pictures
        made.append((demands[0].words, count, count * forward_flops(description, layers, bool(layers))))
    return made

"""The cost of a trust measure: the attribution's own passes again, and the network at changed activations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.program import Backward, Node, Program, Rerun, Tangents
from bbilang.compiler.optimize.ad_mode import lowest_layers, tangent_count
from bbilang.compiler.optimize.cost import extra_rows, flops_between, forward_flops, rerun_rows
from bbilang.compiler.optimize.target_slots import CHAIN, Key, known_apart, request_keys

Cost = tuple[int, int, bool]  # passes for each input, FLOPs for each input, whether they are bounds


def tested(node: Node) -> Node:
    """Return the attribution that a pipe puts to the test: its last operation that has a target; the pipe itself where
    there is none."""
    last = node
    while last.get("to") is None and last.inputs:
        last = last.inputs[0]
    return node if last.get("to") is None else last


def cost_of(program: Program, rerun: Rerun, description: ModelDescription) -> Cost:
    """Estimate one measure for one attribution, from what it demands (`contract.Trials`)."""
    demanded: dict[str, Any] = dict(rerun.method[1])
    keys = {key for request in rerun.requests for key in request_keys(request, rerun.target_layer, description)}
    axis = rerun.targets[0].type.axis("class")
    targets = (axis.size if axis else 1) * rerun.targets[0].type.state_count
    passes = demanded["rows"] + (demanded["each"] + demanded["gradients"]) * targets
    flops, bound = passes * _row_flops(rerun, description), False
    if demanded["again"]:
        classes = min(demanded["classes"], max(description.classes - 1, 1)) if demanded["classes"] else 0
        own, work, bounded = _again(program, tested(rerun.serves[0]), description, classes * targets)
        passes, flops = passes + demanded["again"] * own, flops + demanded["again"] * work
        bound = bounded or not known_apart(keys) or (classes > 0 and targets > 1)
    return passes, flops, bound


def _row_flops(rerun: Rerun, description: ModelDescription) -> int:
    return flops_between(description, rerun.layer, rerun.target_layer) if rerun.above else description.flops


def _again(program: Program, node: Node, description: ModelDescription, classes: int) -> Cost:
    """Return the cost of one attribution by itself; to that many classes if ``classes`` is not 0."""
    passes, flops, bound = 0, 0, False
    forwards: dict[int, set[str]] = {}  # number of a forward -> the layers that it captures
    for step in program.derivatives:
        is_measure = isinstance(step, Rerun) and (step.is_trial or step.is_removal)
        if is_measure or not any(request.node is node for request in step.requests):
            continue
        own = replace(step, requests=tuple(request for request in step.requests if request.node is node))
        forwards.setdefault(step.forward, set()).update(own.layers)
        if isinstance(own, Rerun) and own.baseline >= 0:
            forwards.setdefault(own.baseline, set()).add(own.layer)
        keys = {key for request in own.requests for key in request_keys(request, own.target_layer, description)}
        more, work, bounded = _step_cost(own, keys, classes or len(keys), description)
        passes, flops = passes + more, flops + work
        bound = bound or bounded or (not classes and len(keys) > 1 and not known_apart(keys))
    for number, layers in forwards.items():
        forward = program.forwards[number]
        if forward.picture and layers == {"input"}:
            continue  # a baseline of the pixels themselves is there already
        passes += 1
        flops += forward_flops(description, tuple(layers), forward.stops and bool(layers))
    return passes, flops, bound


def _step_cost(step: Backward | Tangents | Rerun, keys: set[Key], count: int, description: ModelDescription) -> Cost:
    """Return the cost of one group of derivatives for ``count`` targets."""
    if isinstance(step, Backward):
        double = 2 if step.target_layer.startswith(CHAIN) else 1
        low = min(step.layers, key=lambda x: flops_between(description, "input", x)) if step.stops else "input"
        reached = lowest_layers(step.requests, step.target_layer, description)
        flops = count * double * flops_between(description, low, step.target_layer)
        return count * double, flops, double > 1 or len(reached) != len(keys)
    if isinstance(step, Tangents):
        atoms = tangent_count(step, description)
        return atoms, (atoms + 1) * flops_between(description, step.layer, step.target_layer), False
    if step.rivals:
        count = min(count + step.rivals, description.classes)
    rows, times = rerun_rows(step, count)
    rows = rows * times + extra_rows(step, count)
    return rows, rows * _row_flops(step, description), step.bound or not step.shares or step.rivals > 0

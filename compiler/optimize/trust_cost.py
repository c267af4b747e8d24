"""What it costs to put an attribution to the test: its own passes again, and the network at changed activations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.program import Node, Program, Rerun
from bbilang.compiler.optimize.ad_mode import lows, tangent_count
from bbilang.compiler.optimize.cost import SLOTS, flops_between, forward_flops
from bbilang.compiler.optimize.target_slots import CHAIN, known_apart, request_keys


def tested(node: Node) -> Node:
    """The attribution that a pipe puts to the test: its last operation that has a target; the pipe itself where there
    is none."""
    found = node
    while found.get("to") is None and found.inputs:
        found = found.inputs[0]
    return node if found.get("to") is None else found


def cost_of(program: Program, rerun: Rerun, description: ModelDescription) -> tuple[int, int, bool]:
    """(passes for each input, FLOPs for each input, whether they are bounds) of one trial."""
    asked: dict[str, Any] = dict(rerun.method[1])
    targets, bound, passes, flops = 1, False, 0, 0
    keys = {key for request in rerun.requests for key in request_keys(request, rerun.target_layer, description)}
    axis = rerun.targets[0].type.axis("class")
    targets = (axis.size if axis else 1) * rerun.targets[0].type.state_count
    if rerun.above:
        row = flops_between(description, rerun.layer, rerun.target_layer)
    else:
        row = description.flops
    rows = asked["rows"] + asked["each"] * targets
    passes += rows + asked["gradients"] * targets
    flops += (rows + asked["gradients"] * targets) * row
    if asked["again"]:
        classes = min(asked["classes"], max(description.classes - 1, 1)) if asked["classes"] else 0
        own, work, bounded = _again(program, tested(rerun.serves[0]), description, classes * targets)
        passes, flops = passes + asked["again"] * own, flops + asked["again"] * work
        bound = bound or bounded or not known_apart(keys) or (classes > 0 and targets > 1)
    return passes, flops, bound


def _again(program: Program, node: Node, description: ModelDescription, classes: int) -> tuple[int, int, bool]:
    """What one attribution costs by itself, for each input; to so many classes where that is not 0."""
    passes, flops, bound = 0, 0, False
    forwards: dict[int, set[str]] = {}
    for kind in ("backwards", "tangents", "reruns"):
        for one in getattr(program, kind):
            if getattr(one, "finds", "") == "trust" or not any(a.node is node for a in one.requests):
                continue
            own = replace(one, requests=tuple(a for a in one.requests if a.node is node))
            forwards.setdefault(one.forward, set()).update(own.layers)
            keys = {key for request in own.requests for key in request_keys(request, own.target_layer, description)}
            count = classes or len(keys)
            bound = bound or (not classes and len(keys) > 1 and not known_apart(keys))
            if kind == "backwards":
                double = 2 if own.target_layer.startswith(CHAIN) else 1
                low = min(own.layers, key=lambda x: flops_between(description, "input", x)) if own.stops else "input"
                passes += count * double
                flops += count * double * flops_between(description, low, own.target_layer)
                bound = bound or double > 1 or len(lows(own.requests, own.target_layer, description)) != len(keys)
            elif kind == "tangents":
                atoms = tangent_count(own, description)
                passes += atoms
                flops += (atoms + 1) * flops_between(description, own.layer, own.target_layer)
            else:
                if own.baseline >= 0:
                    forwards.setdefault(own.baseline, set()).add(own.layer)
                alone = count
                if own.rivals:
                    count = min(count + own.rivals, description.classes)
                row = flops_between(description, own.layer, own.target_layer) if own.above else description.flops
                rows = (
                    own.visits
                    * {
                        "gradients": 1 + count if own.above else 2 * count,
                        "values": 1 if own.above else alone,
                        "masks": 2 * alone,
                    }[own.finds]
                )
                rows += own.extra * (1 if own.above else count)
                if own.finds == "gradients" and own.above:
                    rows += own.visits * (max(count - 1, 0) // SLOTS)
                passes, flops = passes + rows, flops + rows * row
                bound = bound or own.bound or own.finds == "masks" or own.rivals > 0
    for number, layers in forwards.items():
        forward = program.forwards[number]
        if forward.picture and layers == {"input"}:
            continue  # a baseline of the pixels themselves is there already
        passes += 1
        flops += forward_flops(description, tuple(layers), forward.stops and bool(layers))
    return passes, flops, bound

"""A plan's costs are those of its numbers: passes, and FLOPs as torch itself counts them (`bounds`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import tiny
import torch
from bounds import CLASSES, EVEN, ORDER, Flops, adapter, asked, between, counted, least
from torch import nn

from bbilang.compiler.optimize.budget import MOST_CLASSES
from bbilang.compiler.optimize.rules import optimize
from bbilang.compiler.plan.plan import Plan, plan
from bbilang.registry import registry
from bbilang.runtime.execution.execute import execute
from bbilang.runtime.execution.results import Results


def back(low: str, high: str) -> int:
    """Return the FLOPs of pulling one cotangent back, without any weight's gradient, counted in a separate backward."""
    module, names = adapter().module, ("input", *ORDER, "head")
    x = tiny.images()
    for name in names[1 : names.index(low) + 1]:
        x = getattr(module, name)(x).detach()
    x.requires_grad_()
    y = nn.Sequential(*(getattr(module, n) for n in names[names.index(low) + 1 : names.index(high) + 1]))(x)
    return counted(lambda: torch.autograd.grad(y, x, torch.ones_like(y)))


def test_a_way_down_costs_what_the_way_up_does():
    for low, high in [("a", "head"), ("b", "head"), ("c", "head"), ("a", "c"), ("b", "c")]:
        assert back(low, high) == between(low, high)


def planned(text: str, inputs: int, **choices: Any) -> Plan:
    return plan(optimize(tiny.check(text, inputs, adapter()), speeds=EVEN, **choices))


def executed(steps: Plan, inputs: int) -> tuple[Results, int]:
    """The results, and FLOPs while they were made; what is looked at once a model was before."""
    own = replace(adapter(), description=steps.program.description)

    def run() -> Results:
        return execute(steps, registry(), own, tiny.pictures(inputs), icons=tiny.fake_icons)

    run()
    with Flops() as counter:
        results = run()
    products = ("convolution", "convolution_backward", "_convolution", "addmm", "mm")
    total = sum(n for op, n in counter.get_flop_counts()["Global"].items() if str(op).split(".")[-1] in products)
    return results, total


ALL = range(CLASSES)
CASES = {
    "three layers, three classes": [
        asked("[a, b, c].channel | attribute(output[1, 5, 9]) | present(bars, facet=layer)", "abc", "channel",
              (1, 5, 9))
    ],
    "classes shared, layers apart": [
        asked("a.channel | attribute(output[1, 5]) | present(matrix)", "a", "channel", (1, 5)),
        asked("c.channel | attribute(output[5, 7]) | present(matrix)", "c", "channel", (5, 7)),
    ],
    "positions to all classes": [
        asked("b.spatial | attribute(output.class) | at(pick(b.spatial)) | top(2, along=class) | present(bars)", "b",
              "spatial", ALL)
    ],
    "positions to all beside channels to one": [
        asked("b.spatial | attribute(output.class) | at(pick(b.spatial)) | top(2, along=class) | present(bars)", "b",
              "spatial", ALL),
        asked("a.channel | attribute(output[3]) | present(bars)", "a", "channel", (3,)),
    ],
    "channels and positions of one layer": [
        asked("c.channel | attribute(output.class) | top(9) | present(bars)", "c", "channel", ALL),
        asked("c.spatial | attribute(output[2]) | present(heatmap)", "c", "spatial", (2,)),
    ],
    "everything to everything": [
        asked("c.channel | attribute(output.class) | top(9) | present(bars)", "c", "channel", ALL),
        asked("b.spatial | attribute(output[4, 5]) | at(pick(output[4, 5])) | present(heatmap)", "b", "spatial",
              (4, 5)),
        asked("a.channel | attribute(output[4, 8]) | present(matrix)", "a", "channel", (4, 8)),
        asked("a.spatial | attribute(output[8]) | present(heatmap)", "a", "spatial", (8,)),
    ],
    "layer to layer, fewer below": [
        asked("a.channel | attribute(b.channel) | present(matrix)", "a", "channel", range(12), "b")
    ],
    "layer to layer, fewer above": [
        asked("b.channel | attribute(c.channel) | present(matrix)", "b", "channel", range(6), "c")
    ],
    "layer to layer beside classes": [
        asked("[a, b].channel | attribute(c.channel[2]) | present(bars, facet=layer)", "ab", "channel", (2,), "c"),
        asked("a.channel | attribute(output[2]) | present(bars)", "a", "channel", (2,)),
    ],
    "one channel to all classes": [
        asked("b.channel[3] | attribute(output.class) | top(3, along=class) | present(matrix)", "b", "channel", ALL,
              atoms=1)
    ],
}  # fmt: skip


def removals(steps, inputs, layers):
    """FLOPs of one run of every layer at zero: of the network above it where that is there for tangents or reruns."""
    program, flops = steps.program, 0
    own = {rerun.layer: rerun for rerun in program.reruns if rerun.is_removal}
    assert set(own) == set(layers) and len(own) == sum(rerun.is_removal for rerun in program.reruns)
    for layer, rerun in own.items():
        others = (*program.tangents, *(other for other in program.reruns if not other.is_removal))
        assert rerun.above == any(other.layer == layer for other in others)
        flops += inputs * between(layer if rerun.above else "input", "head")
    return flops


@pytest.mark.parametrize("inputs", [1, 3])
@pytest.mark.parametrize("name", CASES)
def test_derivatives_cost_the_least(name, inputs):
    """Planned, and as torch counts while it runs: no more than the bound, and no less."""
    flops, cotangents, tangents = least(CASES[name], inputs)
    steps = planned("\n".join(request.text for request in CASES[name]), inputs)
    derived = [steps.total("backward"), steps.total("tangents")]
    assert not any(step.bound for step in steps.steps if step.kind in ("backward", "tangents"))
    assert sum(n for _, n in derived) == flops
    assert [n for n, _ in derived] == [cotangents, tangents]
    results, total = executed(steps, inputs)
    assert results.model_passes == (1, cotangents) and results.tangents == tangents
    few = [
        request for request in CASES[name] if request.target_layer == "head" and len(request.targets) <= MOST_CLASSES
    ]
    layers = {layer for request in few for layer in request.layers}
    removing = removals(steps, inputs, layers)
    assert results.removals == len(layers)
    assert total == flops + removing + inputs * between("input", "head")
    assert steps.total("forward") == (1, inputs * between("input", "head"))


def test_the_optimum_mixes():
    """Tangents where positions meet all classes, and a cotangent for the rest; neither way alone is as cheap."""
    text = "\n".join(request.text for request in CASES["positions to all beside channels to one"])
    mixed, forward, reverse = (planned(text, 1, **c) for c in ({}, {"force": "forward"}, {"force": "reverse"}))
    assert mixed.total("tangents")[0] == 16 and mixed.total("backward")[0] == 1
    cost = {id(p): p.total("tangents")[1] + p.total("backward")[1] for p in (mixed, forward, reverse)}
    assert cost[id(mixed)] < min(cost[id(forward)], cost[id(reverse)])
    (step,) = (s for s in mixed.steps if s.kind == "tangents")
    told = {way.mode: way for way in step.alternatives}
    assert [way.chosen for way in told.values()].count(True) == 1 and told["forward at b"].chosen
    for mode, steps in (("forward at b", mixed), ("forward", forward), ("reverse", reverse)):
        assert told[mode].passes == steps.total("tangents")[0] + steps.total("backward")[0]
        assert told[mode].flops == cost[id(steps)]


@pytest.mark.parametrize("inputs", [1, 3])
@pytest.mark.parametrize("layer, classes", [("b", (1, 5, 9)), ("a", (2,))])
def test_integrated_gradients_run_only_the_network_above(layer, classes, inputs):
    steps_along, number = 6, ", ".join(map(str, classes))
    text = f"{layer}.channel | attribute(output[{number}], method=integrated_gradients(n_steps=6)) | present(matrix)"
    text = text if len(classes) > 1 else text.replace("matrix", "bars")
    steps = planned(text, inputs)
    above, below = between(layer, "head"), between("input", layer)
    results, total = executed(steps, inputs)
    least_of_it = (steps_along * (1 + len(classes)) + 1) * above  # one forward more, for the score at the baseline
    removing = removals(steps, inputs, {layer})  # of the network above, which is there for the steps
    assert removing == inputs * above
    assert steps.total("reruns") == (steps_along + 2, inputs * least_of_it + removing)
    assert total == inputs * (between("input", "head") + below + least_of_it) + removing
    assert results.reruns == steps_along + 1 and results.model_passes[0] == 2
    assert results.passes.backward_rows == inputs * steps_along * len(classes)


def test_chains_take_two_backwards_a_class():
    """One through the network above the later layer, whose graph is retained; one down both branches to the earlier."""
    text = "a.channel | attribute(b.channel[3] -> output[2]) | present(bars)"
    steps = planned(text, 1)
    results, total = executed(steps, 1)
    first, own = between("b", "head"), between("a", "b")
    assert results.model_passes == (1, 2)
    assert steps.total("backward") == (2, 3 * first + own)
    assert 2 * first + own <= total - between("input", "head") <= 3 * first + own


@pytest.mark.parametrize(
    "text, cotangents, tangents",
    [
        # The strongest positions are known after one cotangent; then only they are asked about.
        ("b.spatial | attribute(output[2]) | top(3) | attribute(output.class) | top(2, along=class) | present(matrix)",
         1, 3),
        # The reader can choose three positions of sixteen.
        ("k = b.spatial | attribute(output[2]) | top(3) | present(bars)\n"
         "b.spatial | attribute(output.class) | at(click(k)) | top(4, along=class) | present(bars)", 1, 3),
    ],
)  # fmt: skip
def test_only_atoms_that_can_be_shown_are_asked_about(text, cotangents, tangents):
    steps = planned(text, 1)
    above = between("b", "head")
    assert (steps.total("backward")[0], steps.total("tangents")[0]) == (cotangents, tangents)
    results, total = executed(steps, 1)
    assert (results.model_passes[1], results.tangents) == (cotangents, tangents)
    removing = removals(steps, 1, {"b"} if "click" in text else ())  # the other has more classes than get a line
    assert total == between("input", "head") + (cotangents + tangents + 1) * above + removing


def test_nothing_that_is_not_asked_for_runs():
    """Without a class no scores are needed, but the page states the prediction; without a target nothing is derived."""
    results, total = executed(planned("b.channel | top(3) | present(bars)", 2), 2)
    assert results.model_passes == (1, 0) and results.tangents == results.reruns == 0
    assert total == 2 * between("input", "head")


def test_as_written_costs_more():
    """The plan without rules, as torch counts it: every call through the whole network, down to the picture."""
    text = "[a, b, c].channel | attribute(output[1, 5, 9]) | present(bars, facet=layer)"
    steps = plan(tiny.check(text, 1, adapter()))
    results, total = executed(steps, 1)
    whole = between("input", "head")
    assert results.model_passes == (3, 3) and results.removals == 3
    assert total == 3 * whole + 3 * back("input", "head") + 3 * whole
    assert steps.total("backward")[1] == 3 * whole

"""What a plan costs is what its numbers need: passes, and FLOPs as torch itself counts them.

The bound is derived here from what is asked for, by networks run by hand and every way tried, without the compiler.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bbilang.compiler.cost import Speed, Speeds
from bbilang.compiler.optimize import optimize
from bbilang.compiler.plan import Plan, plan
from bbilang.registry import registry
from bbilang.runtime.execute import Results, execute
from bbilang.runtime.model import adapt

ORDER = ("a", "b", "c")  # modules in a row, so that each can be run by hand
CLASSES = 60


class Row(nn.Module):
    """`a` (4, 16, 16), `b` (12, 4, 4), `c` (6, 4, 4), 60 classes; a batch norm that can be folded."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU())
        self.b = nn.Sequential(nn.Conv2d(4, 12, 5, 4, 1), nn.BatchNorm2d(12), nn.ReLU())
        self.c = nn.Sequential(nn.Conv2d(12, 6, 3, 1, 1), nn.Tanh())
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(96, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.c(self.b(self.a(x))))


SIZES = {"a": {"channel": 4, "spatial": 256}, "b": {"channel": 12, "spatial": 16}, "c": {"channel": 6, "spatial": 16}}
EVEN = Speeds(*(Speed(1.0, 1e30),) * 3)  # seconds are FLOPs: the least of them is what the optimizer looks for


@cache
def adapter() -> Any:
    return adapt(tiny.build(Row), (tiny.SIZE, tiny.SIZE), labels=[f"class {n}" for n in range(CLASSES)], name="row")


class Flops(FlopCounterMode):
    """torch's counter without its attribution to modules, whose hooks batched gradients cannot bear."""

    def __init__(self) -> None:
        super().__init__(display=False)
        self.mod_tracker = Everything()


class Everything:
    parents = frozenset(("Global",))

    def __enter__(self) -> Everything:
        return self

    def __exit__(self, *_: object) -> None: ...


def counted(work: Any) -> int:
    """FLOPs of convolutions and matrix products, as torch counts them."""
    with Flops() as counter:
        work()
    return counter.get_total_flops()


@cache
def between(low: str, high: str) -> int:
    """FLOPs of one input's way from a place to a later one, run by hand."""
    module, names = adapter().module, ("input", *ORDER, "head")
    with torch.no_grad():
        x = tiny.images()
        for name in names[1 : names.index(low) + 1]:
            x = getattr(module, name)(x)
        chosen = names[names.index(low) + 1 : names.index(high) + 1]
        return counted(lambda: nn.Sequential(*(getattr(module, name) for name in chosen))(x))


def back(low: str, high: str) -> int:
    """FLOPs of one cotangent's way down, without any weight's gradient, counted in a backward of its own."""
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


@dataclass(frozen=True)
class Asked:
    """Some atoms of layers for some targets: as the text says it, and as numbers."""

    text: str
    layers: tuple[str, ...]
    atom: str
    targets: tuple[Any, ...]  # classes, or atoms of the place
    place: str = "head"
    atoms: int = 0  # fewer than the layer has

    def count(self, layer: str) -> int:
        return self.atoms or SIZES[layer][self.atom]


def least(asked: Iterable[Asked], inputs: int = 1) -> tuple[int, int, int]:
    """(FLOPs, cotangents, tangents) of the cheapest way: both directions are tried for each kind of atoms at each layer.

    Every number needs a way up or down between its atoms and its target; a way down serves every layer that it meets,
    a way up every target; the values that a way up needs are run once a layer.
    """
    units = sorted({(layer, ask.atom, ask.place) for ask in asked for layer in ask.layers})
    found = []
    for choice in product((False, True), repeat=len(units)):
        up = {unit for unit, chosen in zip(units, choice, strict=True) if chosen}
        flops = cotangents = tangents = 0
        for layer, place in {(layer, place) for layer, _, place in up}:
            flops += between(layer, place)
        for layer, atom, place in up:
            own = [ask for ask in asked if layer in ask.layers and (ask.atom, ask.place) == (atom, place)]
            count = min(sum({ask.text: ask.count(layer) for ask in own}.values()), SIZES[layer][atom])
            flops, tangents = flops + count * between(layer, place), tangents + count
        for place in {ask.place for ask in asked}:
            lowest: dict[Any, int] = {}
            for ask in asked:
                rest = [layer for layer in ask.layers if (layer, ask.atom, place) not in up]
                if ask.place == place and rest:
                    low = min(map(ORDER.index, rest))
                    lowest |= {t: min(low, lowest.get(t, low)) for t in ask.targets}
            cotangents += len(lowest)
            flops += sum(between(ORDER[low], place) for low in lowest.values())
        found.append((inputs * flops, cotangents, tangents))
    return min(found)


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


def asked(text: str, layers: str, atom: str, targets: Iterable[Any], place: str = "head", atoms: int = 0) -> Asked:
    return Asked(text, tuple(layers), atom, tuple(targets), place, atoms)


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


@pytest.mark.parametrize("inputs", [1, 3])
@pytest.mark.parametrize("name", CASES)
def test_derivatives_cost_the_least(name, inputs):
    """Planned, and as torch counts while it runs: no more than the bound, and no less."""
    flops, cotangents, tangents = least(CASES[name], inputs)
    steps = planned("\n".join(ask.text for ask in CASES[name]), inputs)
    derived = [steps.total("backward"), steps.total("tangents")]
    assert not any(step.bound for step in steps.steps if step.kind in ("backward", "tangents"))
    assert sum(n for _, n in derived) == flops
    assert [n for n, _ in derived] == [cotangents, tangents]
    results, total = executed(steps, inputs)
    assert results.model_passes == (1, cotangents) and results.tangents == tangents
    assert total == flops + inputs * between("input", "head")
    assert steps.total("forward") == (1, inputs * between("input", "head"))


def test_the_optimum_mixes():
    """Tangents where positions meet all classes, and a cotangent for the rest; neither way alone is as cheap."""
    text = "\n".join(ask.text for ask in CASES["positions to all beside channels to one"])
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
    least_of_it = steps_along * above * (1 + len(classes))
    assert steps.total("reruns") == (steps_along, inputs * least_of_it)
    assert total == inputs * (between("input", "head") + below + least_of_it)
    assert results.reruns == steps_along and results.model_passes[0] == 2
    assert results.passes.backward_rows == inputs * steps_along * len(classes)


def test_chains_take_two_backwards_a_class():
    """One through the network above the later layer, whose graph is kept; one down both ways to the earlier."""
    text = "a.channel | attribute(b.channel[3] -> output[2]) | present(bars)"
    results, total = executed(planned(text, 1), 1)
    first, own = between("b", "head"), between("a", "b")
    assert results.model_passes == (1, 2)
    assert between("input", "head") + first + own <= total <= between("input", "head") + 3 * first + own


def test_nothing_that_is_not_asked_for_runs():
    """Without a class nobody needs scores, but the page says what is predicted; without a target nothing is derived."""
    results, total = executed(planned("b.channel | top(3) | present(bars)", 2), 2)
    assert results.model_passes == (1, 0) and results.tangents == results.reruns == 0
    assert total == 2 * between("input", "head")


def test_as_written_costs_more():
    """The plan without rules, as torch counts it: every call through the whole network, down to the picture."""
    text = "[a, b, c].channel | attribute(output[1, 5, 9]) | present(bars, facet=layer)"
    steps = plan(tiny.check(text, 1, adapter()))
    results, total = executed(steps, 1)
    whole = between("input", "head")
    assert results.model_passes == (3, 3) and total == 3 * whole + 3 * back("input", "head")
    assert steps.total("backward")[1] == 3 * whole

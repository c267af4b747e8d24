"""The invariants of every stage hold for a gallery text, and an object that breaks one is caught."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import bbilang
from bbilang.compiler.ir.program import Forward, Node
from bbilang.compiler.ir.verify import verify_program
from bbilang.compiler.optimize.verify import verify_optimized
from bbilang.compiler.plan.plan import Free
from bbilang.compiler.plan.verify import verify_plan
from bbilang.grammar import verification
from bbilang.grammar.source import Span
from bbilang.grammar.verification import InvariantError
from bbilang.grammar.verify import verify_ast
from bbilang.registry import registry
from bbilang.runtime.execution.verify import model_restored, verify_results
from bbilang.runtime.fields.field import Named
from bbilang.runtime.view.verify import verify_view

TEXT = "photo = input | present(image)\n0.channel | attribute(output[0]) | top(2) | present(bars)\n"
ROOT = Path(__file__).parents[2]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    ).eval()  # fmt: skip


@pytest.fixture(scope="module")
def stages() -> dict[str, Any]:
    text = TEXT.replace("0.channel", '"0".channel')
    model, given = network(), torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    file = bbilang.parse(text)
    program = bbilang.check(file, model=model, input=given)
    optimized = bbilang.optimize(program)
    plan = bbilang.plan(optimized)
    results = bbilang.execute(plan, model=model, input=given, cache=False)
    view = bbilang.view(results)
    return dict(file=file, program=program, optimized=optimized, plan=plan, results=results, view=view)


def broken(**changes: Any) -> Any:
    """A way to break an object: other values of some fields."""
    return lambda value: replace(value, **{name: change(value) for name, change in changes.items()})


def relabelled(program: Any) -> Any:
    """The element's node under a digest that is not its own."""
    (interface,) = program.interfaces
    element = interface.elements[0]
    node = Node(element.node.op, element.node.inputs, element.node.parameters, element.node.type)
    object.__setattr__(node, "digest", "0" * 32)
    return (replace(interface, elements=(replace(element, node=node), *interface.elements[1:])),)


def early_free(plan: Any) -> Any:
    """The first step frees what later ones use."""
    first, *rest = plan.steps
    rest = [replace(step, frees=()) for step in rest]
    return (replace(first, frees=(Free("activations", 0), Free("graph", 0))), *rest)


def view_with(**changes: Any) -> Any:
    """A change of the last element's first panel."""

    def change(view: Any) -> Any:
        interface = view.interfaces[0]
        *others, last = interface.elements
        panel = replace(last.panels[0], **{name: change(last.panels[0]) for name, change in changes.items()})
        return (replace(interface, elements=(*others, replace(last, panels=(panel,)))),)

    return change


def first_frame(**changes: Any) -> Any:
    return lambda panel: (replace(panel.frames[0], **changes), *panel.frames[1:])


BROKEN = {
    "a span out of the text": ("file", broken(span=lambda file: Span(0, 3))),
    "no elements": ("program", broken(interfaces=lambda program: ())),
    "a wrong digest": ("program", broken(interfaces=relabelled)),
    "a forward that captures nothing": ("program", broken(forwards=lambda program: (Forward((), False, False, ()),))),
    "a derivative after no forward": ("program", broken(forwards=lambda program: ())),
    "an element that is gone": ("optimized", broken(interfaces=lambda program: ())),
    "a request that nothing serves": ("optimized", broken(
        backwards=lambda p: tuple(replace(b, requests=()) for b in p.backwards),
        tangents=lambda p: tuple(replace(t, requests=()) for t in p.tangents))),
    "not said to be optimized": ("optimized", broken(optimized=lambda program: False)),
    "a step that is there twice": ("plan", broken(steps=lambda plan: (*plan.steps, plan.steps[-1]))),
    "a step that is missing": ("plan", broken(steps=lambda plan: plan.steps[1:])),
    "what is used after it was freed": ("plan", broken(steps=early_free)),
    "an element without numbers": ("results", broken(fields=lambda results: {})),
    "coordinates along an axis that is not there": ("results", broken(fields=lambda results: {
        name: replace(field, coords={"channel": Named(("elsewhere",), np.zeros(2))})
        for name, field in results.fields.items()})),
    "an input without scores": ("results", broken(probabilities=lambda results: np.zeros((5, 3)))),
    "a frame too many": ("view", broken(interfaces=view_with(frames=lambda panel: panel.frames * 2))),
    "an atom that is not there": ("view", broken(interfaces=view_with(frames=first_frame(atoms=(99,))))),
    "an array in a view": ("view", broken(title=lambda view: np.zeros(3))),
    "NaN": ("view", broken(interfaces=view_with(frames=first_frame(values=((float("nan"),),))))),
}  # fmt: skip


def verify(stage: str, value: Any, stages: dict[str, Any]) -> None:
    match stage:
        case "file":
            verify_ast(value)
        case "program":
            verify_program(value, registry())
        case "optimized":
            verify_optimized(stages["program"], value)
        case "plan":
            verify_plan(value)
        case "results":
            verify_results(value)
        case "view":
            verify_view(value)


@pytest.mark.parametrize("stage", ["file", "program", "optimized", "plan", "results", "view"])
def test_what_a_stage_gives_is_whole(stages, stage):
    verify(stage, stages[stage], stages)


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_caught(stages, case):
    stage, breaks = BROKEN[case]
    with pytest.raises(InvariantError):
        verify(stage, breaks(stages[stage]), stages)


@pytest.mark.parametrize("harm", [
    lambda module: module.register_forward_hook(lambda *_: None),
    lambda module: module.train(),
    lambda module: module.weight.requires_grad_(False),
    lambda module: setattr(module.weight, "grad", torch.zeros_like(module.weight)),
])  # fmt: skip
def test_a_model_that_is_not_given_back_is_caught(harm):
    module = network()[0]
    with model_restored(module):
        pass
    with pytest.raises(InvariantError), model_restored(module):
        harm(module)


def test_they_are_on_in_tests_and_off_elsewhere(monkeypatch):
    assert verification.enabled()
    for value in ("0", ""):
        monkeypatch.setenv("BBI_VERIFY", value)
        assert not verification.enabled()
    monkeypatch.delenv("BBI_VERIFY")
    assert not verification.enabled()

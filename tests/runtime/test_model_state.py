"""Models are restored whatever happens; an error during a run is one diagnostic with a span."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
from torch import nn

from bbilang.compiler.ir.program import walk
from bbilang.compiler.optimize.rules import optimize
from bbilang.compiler.plan.plan import plan
from bbilang.grammar.diagnostic import BbiError
from bbilang.registry import registry
from bbilang.runtime.execution.execute import execute
from bbilang.runtime.models.adapt import adapt

TEXT = """
photo = input | present(image)
p = pick(output[top(3)])
blocks = b.channel | attribute([output[p], output]) | both(2, by=difference) | present(featvis)
where = b.neuron | activation | at(hover(blocks)) | present(heatmap, over=photo)
"""


def state(module: nn.Module) -> list:
    """Everything of a module that a run could leave changed."""
    return [
        [
            (m.training, len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks))
            for m in module.modules()
        ],
        [(p.requires_grad, p.grad, p._version, p.detach().clone()) for p in module.parameters()],
        ["forward" in m.__dict__ for m in module.modules()],
        [(name, buffer.clone()) for name, buffer in module.named_buffers()],
    ]


def same(a: list, b: list) -> bool:
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return torch.equal(a.nan_to_num(), b.nan_to_num()) if isinstance(a, torch.Tensor) else a is b or a == b


def peculiar() -> nn.Module:
    """A module in a mixed state: partly training, partly frozen, with a gradient and hooks of its owner's."""
    module = tiny.build()
    module.train()
    module.b.eval()
    module.a[0].weight.requires_grad_(False)
    module.head.weight.grad = torch.ones_like(module.head.weight)
    module.c.register_forward_hook(lambda m, a, r: None)
    return module


def run_on(module: nn.Module, text: str = TEXT, optimized: bool = True, icons=tiny.fake_icons):
    model = adapt(module, (tiny.SIZE, tiny.SIZE), labels=tiny.LABELS, name="tiny")
    program = tiny.check(text, model=model)
    return execute(plan(optimize(program) if optimized else program), registry(), model, tiny.pictures(), icons=icons)


@pytest.mark.parametrize("optimized", [True, False])
def test_unchanged_after_a_run(optimized):
    module = peculiar()
    before = state(module)
    with torch.no_grad():
        run_on(module, optimized=optimized)
        assert not torch.is_grad_enabled()
    assert same(state(module), before)


@pytest.mark.parametrize("optimized", [True, False])
@pytest.mark.parametrize("name", ["activation", "attribute", "both", "at", "present", "hover"])
def test_unchanged_after_an_exception_in_a_kernel(monkeypatch, name, optimized):
    module = peculiar()
    before = state(module)

    def fails(*arguments):
        raise RuntimeError("planned")

    monkeypatch.setattr(type(registry().operations[name]), "kernel", fails)
    with pytest.raises(RuntimeError, match="planned"):
        run_on(module, optimized=optimized)
    assert same(state(module), before)


def test_unchanged_after_an_exception_while_icons_are_made():
    module = peculiar()
    before = state(module)

    def fails(adapter, objectives, counter):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_on(module, icons=fails)
    assert same(state(module), before)


def assert_one_error(module: nn.Module, text: str, code: str) -> None:
    """Both plans: one BbiError, with one diagnostic whose span is in the text."""
    before = state(module)
    for optimized in (True, False):
        with pytest.raises(BbiError) as caught:
            run_on(module, text, optimized)
        (diagnostics,) = [d for d in caught.value.diagnostics if d.severity == "error"]
        assert diagnostics.code == code, diagnostics
        assert diagnostics.span is not None and text[diagnostics.span.start : diagnostics.span.end].strip()
        assert caught.value.source is not None and "-->" in str(caught.value)
    assert same(state(module), before)


@pytest.mark.parametrize("text", ["b.channel | present(bars)", "b.channel | attribute(output) | present(bars)"])
def test_weights_that_are_not_finite(text):
    module = tiny.build()
    with torch.no_grad():
        module.b[0].weight[0] = float("nan")
    assert_one_error(module, text, "E503")
    assert_one_error(module, "input | present(image)", "E503")


def test_gradients_that_are_not_finite():
    class Root(tiny.Tiny):
        def forward(self, x):
            pooled = nn.functional.adaptive_avg_pool2d(self.c(self.b(self.a(x))), 2).flatten(1)
            return self.head(pooled) + torch.sqrt(pooled.sum(1, keepdim=True) * 0)  # the slope at 0 is infinite

    assert_one_error(tiny.build(Root), "b.channel | attribute(output) | present(bars)", "E503")


def test_a_layer_that_never_runs():
    class Idle(tiny.Tiny):
        def __init__(self):
            super().__init__()
            self.idle = nn.Conv2d(3, 4, 1)
            self.on = True

        def forward(self, x):
            if self.on:
                self.idle(x)
            return super().forward(x)

    module = tiny.build(Idle)
    model = adapt(module, (tiny.SIZE, tiny.SIZE), labels=tiny.LABELS, name="tiny")
    program = tiny.check("idle.channel | present(bars)", model=model)
    module.on = False  # after it was described
    for steps in (plan(program), plan(optimize(program))):
        with pytest.raises(BbiError) as caught:
            execute(steps, registry(), model, tiny.pictures(), icons=tiny.fake_icons)
        assert [d.code for d in caught.value.diagnostics] == ["E502"] and caught.value.diagnostics[0].span


def test_a_layer_that_runs_twice():
    class Twice(tiny.Tiny):
        def __init__(self):
            super().__init__()
            self.again = nn.Conv2d(8, 8, 1)

        def forward(self, x):
            inner = self.again(self.again(self.b(self.a(x))))
            return self.head(torch.nn.functional.adaptive_avg_pool2d(self.c(inner), 2).flatten(1))

    module = tiny.build(Twice)
    model = adapt(module, (tiny.SIZE, tiny.SIZE), labels=tiny.LABELS, name="tiny")
    if "again" not in model.description.by_name:
        error = tiny.refused(lambda: tiny.check("again.channel | present(bars)", model=model))
        assert error.diagnostics[0].code == "E501"
    else:
        assert_one_error(module, "again.channel | present(bars)", "E501")


def test_nothing_left_to_choose_from():
    assert_one_error(
        tiny.build(),
        "e = b.channel | filter(value > 1000000) | present(bars)\nb.neuron | at(hover(e)) | present(heatmap)",
        "E507",
    )


def test_ranked_by_a_class_that_is_not_there():
    assert_one_error(tiny.build(), "b.channel | attribute(output[1, 2]) | top(3, by=output[5]) | present(bars)", "E506")


def test_results_hold_nothing_of_torch():
    results = tiny.run(TEXT)
    for table in (results.fields, results.selections, results.sizes):
        for field in table.values():
            for array in (field.values, *field.coords.values(), *field.names.values()):
                assert type(array.data) is np.ndarray
    assert isinstance(results.probabilities, np.ndarray)
    assert len(list(walk(*(e.node for e in results.program.elements)))) == len(list(results.nodes()))

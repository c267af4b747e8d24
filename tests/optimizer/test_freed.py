"""Activations and graphs live until their last use; many cotangents and tangents are never all in memory; a failed run
restores the model."""

from __future__ import annotations

import weakref
from dataclasses import replace

import pytest
import slow
import tiny
import torch
from bounds import EVEN
from torch import nn

from bbilang.compiler.optimize.rules import optimize
from bbilang.compiler.plan.plan import order, plan
from bbilang.grammar.diagnostic import BbiError
from bbilang.registry import registry
from bbilang.runtime import passes
from bbilang.runtime.execution.execute import execute
from bbilang.runtime.models.adapt import adapt

TEXTS = {
    "attribution": "[a, b].channel | attribute(output[1, 2]) | present(bars, facet=layer)\nc.neuron | activation | "
                   "at(pick(c.channel)) | present(heatmap)",
    "integrated": "b.channel | attribute(output, method=integrated_gradients(n_steps=3)) | present(bars)\n"
                  "a.channel | attribute(output[2]) | present(bars)",
    "chain": "a.channel | attribute(b.channel[1] -> output) | present(bars)\nb.channel | attribute(c.channel) | "
             "present(matrix)",
    "rounds": "k = b.channel | attribute(output) | top(2) | present(bars)\n"
              "a.channel | link(click(k, start=output)) | present(bars)\nc.channel | activation | present(bars)",
    "selected": "k = b.spatial | attribute(output) | top(3) | present(bars)\n"
                "b.spatial | attribute(output.class) | at(click(k)) | top(2, along=class) | present(bars)",
}  # fmt: skip
CHOICES = [{"force": "reverse"}, {"force": "forward"}, {"speeds": EVEN}, None]


def steps_of(text, choices, model="tiny"):
    program = tiny.check(text, 1, slow.adapter(model))
    return plan(program if choices is None else optimize(program, **choices))


def executed(steps, model="tiny", **options):
    own = replace(slow.adapter(model), description=steps.program.description)
    return execute(steps, registry(), own, tiny.pictures(1), icons=tiny.fake_icons, **options)


@pytest.fixture
def captures(monkeypatch):
    """(weak references to the activations, to the graph's ends) of each forward, in order."""
    recorded, run = [], passes.forward

    def forward(*arguments, **named):
        captured = run(*arguments, **named)
        values = [weakref.ref(x) for x in captured.activations.values()]
        nodes = [*captured.graph.values(), *([captured.score_graph] if captured.score_graph is not None else [])]
        ends = [weakref.ref(x) for x in nodes if x.grad_fn is not None]
        saved = weakref.ref(captured)
        recorded.append((saved, values, ends))
        return captured

    monkeypatch.setattr(passes, "forward", forward)
    return recorded


@pytest.mark.parametrize("choices", CHOICES, ids=["reverse", "forward", "chosen", "as written"])
@pytest.mark.parametrize("name", TEXTS)
def test_nothing_outlives_its_last_use(name, choices, captures):
    """Before each step, what the steps before it have freed is gone; at the end nothing is left."""
    steps = steps_of(TEXTS[name], choices)
    work, ran = order(steps.steps), {}
    live = []

    def watch(event):
        if event.kind != "pass":
            return
        kind, done = event.words, event.done
        for step in work[: done + 1]:  # a forward that was run for this plan, not again for a method
            if step.kind == "forward" and step.index not in ran and len(captures) > len(ran):
                ran[step.index] = captures[len(ran)]
        for step in work[:done]:
            for free in step.frees:
                if free.index not in ran or choices is None:
                    continue
                saved, values, ends = ran[free.index]
                if free.kind == "activations":
                    assert saved() is None and not any(x() is not None for x in values), (kind, str(free))
                assert not any(x() is not None for x in ends), (kind, str(free))
        live.append(sum(x() is not None for _, values, _ in captures for x in values))

    executed(steps, listener=watch)
    assert captures and not any(ref() is not None for saved, v, e in captures for ref in (saved, *v, *e))
    assert max(live) > 0


@pytest.mark.parametrize("choices", CHOICES, ids=["reverse", "forward", "chosen", "as written"])
@pytest.mark.parametrize("name", TEXTS)
def test_everything_is_freed_once(name, choices):
    """Each forward's activations once, each graph once, after the last step that reads them."""
    steps = steps_of(TEXTS[name], choices)
    program, frees = steps.program, [free for step in steps.steps for free in step.frees]
    assert len(set(frees)) == len(frees)
    assert {f.index for f in frees if f.kind == "activations"} == set(range(len(program.forwards)))
    assert {f.index for f in frees if f.kind == "graph"} == {d.forward for d in program.derivatives}
    gone = set()
    groups = {"backward": program.backwards, "tangents": program.tangents, "reruns": program.reruns}
    for step in order(steps.steps):
        if step.kind in groups:
            one = groups[step.kind][step.index]
            assert not {("activations", one.forward), ("graph", one.forward)} & gone
            assert ("activations", getattr(one, "baseline", -1)) not in gone
        gone |= {(free.kind, free.index) for free in step.frees}


# --- many at once ----------------------------------------------------------------------------------------------------


class Wide(nn.Module):
    """1,000 classes above a layer of 32 x 32 x 32 numbers: all gradients together are 131 MB."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 32, 3, 1, 1)
        self.pool = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(4))
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(512, 1000))

    def forward(self, x):
        return self.head(self.pool(self.a(x)))


@pytest.mark.parametrize("force", ["reverse", "forward"])
def test_a_thousand_at_once_are_never_all_in_memory(force):
    """1,000 cotangents, or 1,024 tangents; the numbers themselves, of every position to every class, are 4 MB."""
    model = adapt(tiny.build(Wide), (32, 32), name="wide")
    text = "a.spatial | attribute(output.class) | mean(class) | present(heatmap)"
    program = optimize(tiny.check(text, 1, model), force=force)
    own = replace(model, description=program.description)
    results = execute(plan(program), registry(), own, tiny.pictures(1), icons=tiny.fake_icons, measure=True)
    assert (results.model_passes[1], results.tangents) == ((1000, 0) if force == "reverse" else (0, 1024))
    assert results.passes.calls >= 1000 // 32
    all_of_them = 1000 * results.fields["element-1"].values.data.size * 32 * 4
    (most,) = (m.peak for step, m in results.timings if step.kind in ("backward", "tangents"))
    assert all_of_them == 131_072_000 and most < all_of_them / 2


# --- failures --------------------------------------------------------------------------------------------------------


def state(module):
    return (
        [m.training for m in module.modules()],
        [p.requires_grad for p in module.parameters()],
        [p.grad is None for p in module.parameters()],
        [(len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks)) for m in module.modules()],
        ["forward" in m.__dict__ for m in module.modules()],
        [float(x.double().sum()) for x in module.state_dict().values()],
    )


@pytest.fixture
def borrowed():
    """A network of the caller's own in training mode, some parameters frozen."""
    module = tiny.build(slow.Residual)
    module.train()
    module.b[0].weight.requires_grad_(False)
    model = adapt(module, (tiny.SIZE, tiny.SIZE), labels=tiny.LABELS, name="own")
    before = state(module)
    yield model
    assert state(module) == before


FAILING = [
    "[a, b].channel | attribute(output[1, 2]) | present(bars, facet=layer)",
    "a.channel | attribute(b.channel) | present(matrix)",
    "a.channel | attribute(b.channel[1] -> output) | present(bars)",
    "b.channel | attribute(output, method=integrated_gradients(n_steps=4)) | present(bars)",
]


@pytest.mark.parametrize(
    "failure", [RuntimeError("odd"), KeyboardInterrupt(), MemoryError()], ids=lambda e: type(e).__name__
)
@pytest.mark.parametrize("choices", CHOICES, ids=["reverse", "forward", "chosen", "as written"])
@pytest.mark.parametrize("text", FAILING)
def test_the_model_is_given_back_whatever_fails(borrowed, text, choices, failure, monkeypatch):
    """In the middle of the derivatives: when the second gradient or tangent arrives."""
    operation = registry().operations["attribute"]
    seen = []

    def failing(plain):
        def work(*arguments, **named):
            seen.append(1)
            if len(seen) >= 2 or "method" in text or "attribute(b.channel)" in text or "->" in text:
                raise failure
            return plain(*arguments, **named)

        return work

    for name in ("reduce", "parts", "collect"):
        monkeypatch.setattr(operation, name, failing(getattr(operation, name)))
    program = tiny.check(text, 1, borrowed)
    steps = plan(program if choices is None else optimize(program, **choices))
    own = replace(borrowed, description=program.description)
    with pytest.raises((type(failure), BbiError)):
        execute(steps, registry(), own, tiny.pictures(1), icons=tiny.fake_icons)
    assert seen


@pytest.mark.parametrize("choices", CHOICES, ids=["reverse", "forward", "chosen", "as written"])
@pytest.mark.parametrize("text", FAILING)
def test_the_model_is_given_back_after_a_run(borrowed, text, choices):
    program = tiny.check(text, 1, borrowed)
    steps = plan(program if choices is None else optimize(program, **choices))
    own = replace(borrowed, description=program.description)
    execute(steps, registry(), own, tiny.pictures(1), icons=tiny.fake_icons)
    assert torch.is_grad_enabled()

"""Measures that recompute the attribution: of randomized networks, for other classes, for other pictures."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import slow
import tiny
import torch
from closeness import close_to, within
from measured import Narrow, Same, findings, planted
from scipy.stats import spearmanr
from slow import values

from bbilang.compiler.plan.plan import plan
from bbilang.registry import registry
from bbilang.runtime.execution.execute import execute
from bbilang.runtime.inputs.network_input import NetworkInput
from bbilang.runtime.trust import random_weights
from bbilang.runtime.trust.numbers import rank_correlation

CLASS = 2
IG = "integrated_gradients(n_steps=16)"
METHODS = ["linear", "integrated_gradients(n_steps=4)", "gradient"]


def text(measure: str, method: str = "linear", target: str = f"output[{CLASS}]", more: str = "") -> str:
    return f"b.channel | attribute({target}, method={method}) | trust({measure}{more}) | present(bars)"


def linear(module: torch.nn.Module, image: torch.Tensor, index: int) -> np.ndarray:
    """Return (channel,) at `b`: activation x gradient in float64 with a separate hook."""
    captured = []

    def hook(_module, _given, result):
        leaf = result.detach().clone().requires_grad_()
        captured.append(leaf)
        return leaf.clone()

    handle = module.b.register_forward_hook(hook)
    try:
        image = (image.double() - torch.tensor(slow.MEAN).view(3, 1, 1)) / torch.tensor(slow.STD).view(3, 1, 1)
        score = module(image)[0, index]
    finally:
        handle.remove()
    (slope,) = torch.autograd.grad(score, captured[-1])
    return (captured[-1] * slope).sum((0, 2, 3)).detach().numpy()


def test_spearman():
    random = np.random.default_rng(0)
    for _ in range(20):
        a, b = random.integers(0, 6, (2, 30)).astype(float)  # with ties
        close_to(rank_correlation(a, b), spearmanr(a, b).statistic)
    assert np.isnan(rank_correlation(np.ones(5), np.arange(5.0)))
    assert rank_correlation(np.arange(5.0), -np.arange(5.0)) == -1


@pytest.mark.parametrize("optimized", [True, False])
def test_every_stage_of_forgetting(optimized):
    """The copy's modules are made random by hand, from the last, and the attribution is written out for each."""
    adapter = slow.adapter("residual")
    got = findings(text("random_weights"), adapter, 1, optimized)["random_weights"].values
    module, image = copy.deepcopy(adapter.module), tiny.images()
    own = linear(copy.deepcopy(module).double().eval(), image, CLASS)
    parts = random_weights.stages(module)
    assert [name for name, _ in parts] == ["head", "d.0", "b.0", "a.1", "a.0", "a.0"]
    for stage, (_, children) in enumerate(parts):
        for number, child in enumerate(children):
            random_weights.randomize(child, 7919 + 131 * stage + number)
        again = linear(copy.deepcopy(module).double().eval(), image, CLASS)
        close_to(got["signed"][stage, 0, 0], spearmanr(own, again).statistic)
        want = spearmanr(np.abs(own), np.abs(again)).statistic
        close_to(got["magnitude"][stage, 0, 0], want)


def test_one_that_does_not_see_the_scores_fails():
    """Guided backprop through a layer with one channel is one map for all classes, but for a factor."""
    line = "input.pixel | attribute(output, method=guided_backprop) | trust(random_weights) | present(heatmap)"
    finding = findings(line, planted(Narrow))["random_weights"]
    close_to(finding.values["magnitude"][0, 0, 0], 1)
    assert "It does not explain the scores" in finding.warning


def test_random_tensors_keep_their_scale():
    layer = torch.nn.Conv2d(16, 64, 5)
    before = layer.weight.detach().clone()
    random_weights.randomize(layer, 0)
    after = layer.weight.detach()
    assert abs(float(np.corrcoef(before.flatten(), after.flatten())[0, 1])) < 0.05
    within(
        float(after.std()),
        float(before.std()),
        relative=0.05,
        because="a permutation, whose sample deviation may differ",
    )


@pytest.mark.parametrize("method", METHODS)
def test_the_network_is_as_it_was(method, monkeypatch):
    """Bit for bit, with its modes and without hooks: after a run, after an error and after Ctrl-C in the middle."""
    adapter = slow.adapter("residual")
    module = adapter.module

    def state():
        hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in module.modules())
        return {k: v.clone() for k, v in module.state_dict().items()}, [m.training for m in module.modules()], hooks

    def same(a, b):
        return a[1:] == b[1:] and all(torch.equal(a[0][k], b[0][k]) for k in a[0])

    before = state()
    findings(text("random_weights", method), adapter)
    assert same(before, state())
    again, calls = random_weights.Reattribution.attributions, []
    for error in (KeyboardInterrupt, RuntimeError):

        def stopped(self, more="", error=error):
            calls.append(1)
            if len(calls) % 3 == 0:
                raise error
            return again(self, more)

        monkeypatch.setattr(random_weights.Reattribution, "attributions", stopped)
        with pytest.raises(error):
            findings(text("random_weights", method), adapter)
        assert same(before, state())
        calls.clear()


def test_an_attribution_without_weights_fails():
    """Every class is the same function of the picture, times a number: nothing learned can change the order."""
    one = findings("a.neuron | attribute(output) | top(3) | trust(random_weights) | present(bars)", planted(Same))
    finding = one["random_weights"]
    close_to(finding.values["magnitude"][-1, 0, 0], 1)
    assert "fails the test of random weights" in finding.warning


def test_few_atoms_are_no_evidence():
    """With six channels chance alone exceeds .5 now and then, which is not a reason to warn."""
    finding = findings(text("random_weights"), "residual")["random_weights"]
    last = max(abs(finding.values[kind][-1, 0, 0]) for kind in ("signed", "magnitude"))
    assert last < 3 / np.sqrt(5) and not finding.warning


@pytest.mark.parametrize("optimized", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_other_classes_one_by_one(method, optimized):
    """The same numbers as attributions to those classes, each in its own text."""
    one = findings(text("class_sensitivity", method, more=", n=3"), "residual", 2, optimized)
    got = one["class_sensitivity"].values
    for number in range(2):
        for position, index in enumerate(got["others"][number, 0].tolist()):
            assert index != CLASS
            lines = [f"b.channel | attribute(output[{c}], method={method}) | present(bars)" for c in (CLASS, index)]
            own, other = (slow.last(slow.run(line, "residual", 2), "channel")[number] for line in lines)
            want = spearmanr(own, other).statistic
            close_to(got["correlation"][position, number, 0], want)


def test_a_method_that_ignores_the_class_is_told():
    line = "a.spatial | attribute(output) | trust(class_sensitivity) | present(heatmap)"
    finding = findings(line, planted(Same))["class_sensitivity"]
    close_to(finding.values["correlation"].min(), 1)
    assert "hardly depends on the class" in finding.warning


@pytest.mark.parametrize("optimized", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_noisy_copies_one_by_one(method, optimized):
    adapter = slow.adapter("residual")
    one = findings(text("input_sensitivity", method, more=", n=4"), adapter, 2, optimized)
    got = one["input_sensitivity"].values
    images, random = tiny.images(2), torch.Generator().manual_seed(1_000_003 + 2)
    own = findings(text("input_sensitivity", method, more=", n=2"), adapter, 2)["field"]
    assert "measure" in own.values.dims
    base = attributed(adapter, images, method)
    largest, ratio = np.zeros_like(base), np.zeros(2)
    for _ in range(4):
        noise = (torch.rand(images.shape[1:], generator=random) * 2 - 1) * 0.02  # the same for every picture
        change = attributed(adapter, images + noise, method) - base
        largest = np.maximum(largest, np.abs(change))
        ratio = np.maximum(ratio, np.linalg.norm(change, axis=1) / np.linalg.norm(base, axis=1))
    slow.close(got["largest"][:, 0], largest, 2e-3)
    close_to(
        got["max_sensitivity"][:, 0], ratio, dtype=np.float32, roundings=2e4, because="differences of near numbers"
    )


def attributed(adapter, images, method):
    """(input, channel): what a page of these pictures shows."""
    pictures = [NetworkInput(str(i), image, np.zeros((8, 8, 3), np.uint8)) for i, image in enumerate(images)]
    program = tiny.check(
        f"b.channel | attribute(output[{CLASS}], method={method}) | present(bars)", len(pictures), adapter
    )
    own = replace(adapter, description=program.description)
    results = execute(plan(program), registry(), own, pictures, icons=tiny.fake_icons)
    return slow.last(results, "channel").astype(np.float64)


@pytest.mark.parametrize("method, moves", [("linear", True), ("gradient", False)])
def test_a_constant_shift_of_the_input(method, moves):
    """The gradient does not see it; gradient x input changes by .1 times the gradient."""
    line = f"input.pixel | attribute(output[{CLASS}], method={method}) | trust(shift_invariance)"
    finding = findings(f"{line} | present(heatmap, facet=measure)", "residual")["shift_invariance"]
    pixels, scores = values("residual", tiny.images(), {"input": tiny.images().double().requires_grad_()})
    (slope,) = torch.autograd.grad(scores[0, CLASS], pixels["input"])
    want = np.abs(0.1 * slope.sum(1)[0].numpy()).ravel() if moves else np.zeros(tiny.SIZE**2)
    slow.close(finding.values["change"][0, 0], want, 1e-3) if moves else None
    assert bool(finding.warning) == moves
    if not moves:
        assert finding.values["ratio"].max() < 1e-3


@pytest.mark.parametrize(
    "measure", ["input_sensitivity", "random_weights", "path_dependence", "infidelity", "deletion"]
)
def test_the_seed_decides(measure):
    line = text(measure)
    first, second, other = (findings(t, "residual") for t in (line, line, f"set seed 5\n{line}"))
    texts = [one["field"].trust[0][1] for one in (first, second, other)]
    assert texts[0] == texts[1]
    numbers = [[v for v in one[measure].values.values() if isinstance(v, np.ndarray)] for one in (first, second, other)]
    same, differs = (
        [np.array_equal(a, b, equal_nan=True) for a, b in zip(numbers[0], others, strict=True)]
        for others in numbers[1:]
    )
    assert all(same) and not all(differs)  # the words may round the difference away


def test_other_methods_are_asked_once():
    """A page that shows both attributions pays for each once."""
    lines = [f"b.channel | attribute(output[{CLASS}]) | present(bars)", text("agreement")]
    results = slow.run("\n".join(lines), "residual")
    alone = slow.run(f"b.channel | attribute(output[{CLASS}], method={IG}) | present(bars)", "residual")
    assert results.reruns == alone.reruns and results.trusted == 0
    assert results.model_passes[1] == alone.model_passes[1] + 1
    finding = findings(text("agreement"), "residual")["agreement"]
    own = slow.last(slow.run(lines[0], "residual"), "channel")[0]
    other = slow.last(alone, "channel")[0]
    want = spearmanr(own, other).statistic
    close_to(finding.values["integrated_gradients"][0, 0], want)

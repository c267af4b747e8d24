"""Occlusion at the input and at hidden layers, against a loop over windows in float64; Captum: test_conformance.py."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import slow
import tiny
import torch
from slow import close, last, score

from bbilang.compiler.optimize.rules import optimize
from bbilang.compiler.plan.plan import plan
from bbilang.registry import registry
from bbilang.runtime.execution.execute import execute
from bbilang.runtime.models.adapt import adapt

MEAN = torch.tensor(slow.MEAN).view(3, 1, 1)


def baseline(word: str, images: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(images) if word == "zero" else MEAN.expand_as(images)


def windows(size: tuple[int, int], window: int, stride: int):
    """(y, x) where windows begin: from the corner on, until one reaches the border."""
    starts = []
    for side in size:
        own = [0]
        while own[-1] + window < side:
            own.append(own[-1] + stride)
        starts.append(own)
    return [(y, x) for y in starts[0] for x in starts[1]]


def value(activations, scores, number: int, to) -> torch.Tensor:
    kind, index = to
    if kind == "class":
        return scores[number, index]
    if kind == "difference":
        return scores[number, index[0]] - scores[number, index[1]]
    if kind == "probability":
        return scores[number].softmax(0)[index]
    return score(activations["d"][number], kind, index)


def by_hand(model, layer, window, stride, word, to, count=1) -> np.ndarray:
    """(input, y, x), one window and one input at a time."""
    images = tiny.images(count)
    start, own = (slow.values(model, x)[0][layer].detach() for x in (baseline(word, images), images))
    size = own.shape[2:]
    total, times = np.zeros((count, *size)), np.zeros(size)
    for number in range(count):
        image = images[number : number + 1]
        for y, x in windows(tuple(size), window, stride):
            at = own[number : number + 1].clone()
            at[:, :, y : y + window, x : x + window] = start[number : number + 1, :, y : y + window, x : x + window]
            lost = value(*slow.values(model, image), 0, to) - value(*slow.values(model, image, {layer: at}), 0, to)
            total[number, y : y + window, x : x + window] += lost.item()
            times[y : y + window, x : x + window] += number == 0
    return total / np.maximum(times, 1)


@pytest.mark.parametrize("optimized", [True, False])
@pytest.mark.parametrize(
    "model, layer, window, stride, word",
    [("residual", "input", 11, 7, "mean"), ("joined", "b", 3, 2, "zero"), ("residual", "b", 2, 2, "mean"),
     ("joined", "a", 8, 1, "mean")],
)  # fmt: skip
def test_against_a_loop(model, layer, window, stride, word, optimized):
    head = "input.pixel" if layer == "input" else f"{layer}.spatial"
    method = f"occlusion(window={window}, stride={stride}, baselines={word})"
    text = f"{head} | attribute(output[2], method={method}) | present(heatmap)"
    actual = last(slow.run(text, model, 2, optimized=optimized), "y", "x")
    close(actual, by_hand(model, layer, window, stride, word, ("class", 2), 2), 3e-4)


@pytest.mark.parametrize("to, written", [
    (("probability", 2), "output[2, score=probability]"), (("difference", (2, 5)), "output[2] - output[5]"),
    (("channel", 1), "d.channel[1]"), (("spatial", (1, 2)), "d.spatial[1, 2]"),
    (("neuron", (1, 2, 0)), "d.neuron[1, 2, 0]"),
])  # fmt: skip
@pytest.mark.parametrize("optimized", [True, False])
def test_targets(to, written, optimized):
    text = f"b.spatial | attribute({written}, method=occlusion(window=3, stride=2)) | present(heatmap)"
    actual = last(slow.run(text, "residual", optimized=optimized), "y", "x")
    close(actual, by_hand("residual", "b", 3, 2, "mean", to), 3e-4)


@pytest.mark.parametrize("optimized", [True, False])
def test_groups_as_targets(optimized):
    """A group is worth <its part / |its part|, activation>."""
    text = "late = b | factorize(nmf, 2)\nlate.spatial | present(heatmap, facet=group)\n"
    text += "late.channel | present(matrix)\n"
    text += "a.spatial | attribute(late, method=occlusion(window=5, stride=4)) | present(heatmap, facet=to.group)"
    results = slow.run(text, "tiny", optimized=optimized)
    actual = last(results, "to.group", "y", "x")[0]
    spatial, channel, *_ = results.fields.values()
    w = torch.tensor(spatial.values.ordered(("input", "group", "y", "x")).data[0]).double()
    h = torch.tensor(channel.values.ordered(("input", "group", "channel")).data[0]).double()
    images = tiny.images(1)
    # The network of the tests takes pictures as they are: where its normalization gives 0 is black.
    start, own = (slow.values("tiny", x)[0] for x in (torch.zeros_like(images), images))
    want, times = np.zeros((2, *actual.shape[1:])), np.zeros(actual.shape[1:])
    for y, x in windows(actual.shape[1:], 5, 4):
        at = own["a"].detach().clone()
        at[:, :, y : y + 5, x : x + 5] = start["a"].detach()[:, :, y : y + 5, x : x + 5]
        lost = own["b"][0] - slow.values("tiny", images, {"a": at})[0]["b"][0]
        times[y : y + 5, x : x + 5] += 1
        for group in range(2):
            part = torch.einsum("yx,c->cyx", w[group], h[group])
            want[group, y : y + 5, x : x + 5] += (lost * part / part.norm()).sum().item()
    close(actual, want / times, 3e-4)


@pytest.mark.parametrize("optimized", [True, False])
def test_tokens_that_stand_for_patches(optimized):
    """In a network of tokens with one before them, a window hides patches, and that token stays."""

    class Patches(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.patch = torch.nn.Conv2d(3, 4, 8, 8)
            self.block = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.GELU())
            self.head = torch.nn.Linear(6, 3)

        def forward(self, x):
            tokens = self.patch(x).flatten(2).transpose(1, 2)
            tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], 1)
            return self.head(self.block(tokens).square().mean(1))

    model = tiny.build(Patches)
    adapted = adapt(model, (32, 32), labels=("one", "two", "three"), name="patches")
    (block,) = [layer for layer in adapted.description.layers if layer.name == "block"]
    grid = replace(block, grid=(4, 4), prefix=1)
    layers = tuple(grid if layer is block else layer for layer in adapted.description.layers)
    adapted = replace(adapted, description=replace(adapted.description, layers=layers))
    text = "block.spatial | attribute(output[1], method=occlusion(window=2, stride=2)) | present(heatmap)"
    program = tiny.check(text, 1, adapted)
    steps = plan(optimize(program) if optimized else program)
    own = replace(adapted, description=program.description)
    actual = last(execute(steps, registry(), own, tiny.pictures(1), icons=tiny.fake_icons), "y", "x")[0]
    images, captured = tiny.images(1), []
    model.block.register_forward_hook(lambda *a: captured.append(a[2]))
    with torch.no_grad():
        score = model(images)[0, 1]
        model(torch.zeros_like(images))
        want = np.zeros((4, 4))
        for y, x in windows((4, 4), 2, 2):
            at = captured[0].clone()
            for row, column in ((y + i, x + j) for i in range(2) for j in range(2)):
                at[0, 1 + row * 4 + column] = captured[1][0, 1 + row * 4 + column]
            want[y : y + 2, x : x + 2] = (score - model.head(at.square().mean(1))[0, 1]).item()
    close(actual, want, 1e-4)

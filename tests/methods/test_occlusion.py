"""Occlusion at the input and at hidden layers, against a loop over windows in float64 and against Captum."""

from __future__ import annotations

import numpy as np
import pytest
import slow
import tiny
import torch
from slow import close, last, score

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


def value(found, scores, number: int, to) -> torch.Tensor:
    kind, index = to
    if kind == "class":
        return scores[number, index]
    if kind == "difference":
        return scores[number, index[0]] - scores[number, index[1]]
    if kind == "probability":
        return scores[number].softmax(0)[index]
    return score(found["d"][number], kind, index)


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
    found = last(slow.run(text, model, 2, optimized=optimized), "y", "x")
    close(found, by_hand(model, layer, window, stride, word, ("class", 2), 2), 3e-4)


@pytest.mark.parametrize("to, written", [
    (("probability", 2), "output[2, score=probability]"), (("difference", (2, 5)), "output[2] - output[5]"),
    (("channel", 1), "d.channel[1]"), (("spatial", (1, 2)), "d.spatial[1, 2]"),
    (("neuron", (1, 2, 0)), "d.neuron[1, 2, 0]"),
])  # fmt: skip
@pytest.mark.parametrize("optimized", [True, False])
def test_targets(to, written, optimized):
    text = f"b.spatial | attribute({written}, method=occlusion(window=3, stride=2)) | present(heatmap)"
    found = last(slow.run(text, "residual", optimized=optimized), "y", "x")
    close(found, by_hand("residual", "b", 3, 2, "mean", to), 3e-4)

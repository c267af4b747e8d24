"""Integrated gradients at the input and at hidden layers, against a loop over the path in float64."""

from __future__ import annotations

import numpy as np
import pytest
import slow
import tiny
import torch
from closeness import close_to
from scipy.ndimage import gaussian_filter
from slow import close, last, part, score, slope

METHOD = "method=integrated_gradients(n_steps={}, baselines={})"


def baseline(word: str, images: torch.Tensor) -> torch.Tensor:
    """The picture that a path starts from, written out."""
    match word:
        case "zero":
            return torch.zeros_like(images)
        case "mean":
            return torch.tensor(slow.MEAN).view(3, 1, 1).expand_as(images)
        case "blur":
            sides = [gaussian_filter(m.numpy(), tiny.SIZE / 8, mode="mirror", truncate=3) for m in images.flatten(0, 1)]
            return torch.tensor(np.stack(sides)).view_as(images)
    return torch.rand(images.shape[1:], generator=torch.Generator().manual_seed(0)).expand_as(images)


def ends(model: str, layer: str, word: str, count: int = 1):
    images = tiny.images(count)
    return (slow.values(model, x)[0][layer].detach() for x in (baseline(word, images), images))


def target(activations, scores, number: int, to):
    """A class, a probability, or a channel of `d`."""
    kind, index = to
    if kind == "class":
        return scores[number, index]
    if kind == "probability":
        return scores[number].softmax(0)[index]
    return score(activations["d"][number], "channel", index)


def path(model: str, layer: str, word: str, steps: int, to, count: int = 1) -> torch.Tensor:
    """(input, channel, y, x): the difference of both ends times the mean gradient, one visit and input at a time.

    What goes around the layer is the picture's own."""
    start, stop = ends(model, layer, word, count)
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    total = torch.zeros_like(stop)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        for number in range(count):
            at = (start + node * (stop - start))[number : number + 1].requires_grad_()
            image = tiny.images(count)[number : number + 1]
            activations, scores = slow.values(model, image, {layer: at})
            total[number] += weight * slope(target(activations, scores, 0, to), at)[0]
    return total * (stop - start)


@pytest.mark.parametrize("optimized", [True, False])
@pytest.mark.parametrize("word", ["zero", "mean", "blur", "noise"])
@pytest.mark.parametrize("model, layer", [("residual", "b"), ("joined", "b"), ("joined", "a"), ("residual", "input")])
def test_against_a_loop(model, layer, word, optimized):
    steps = 4
    head = "input.pixel" if layer == "input" else f"{layer}.spatial"
    text = f"{head} | attribute(output[2], {METHOD.format(steps, word)}) | present(heatmap)"
    actual = last(slow.run(text, model, 2, optimized=optimized), "y", "x")
    want = path(model, layer, word, steps, ("class", 2), 2).sum(1)
    close(actual, want.numpy(), 3e-4)


@pytest.mark.parametrize("to, written", [
    (("class", 5), "output[5]"), (("probability", 2), "output[2, score=probability]"), (("channel", 1), "d.channel[1]"),
])  # fmt: skip
@pytest.mark.parametrize("optimized", [True, False])
def test_targets(to, written, optimized):
    text = f"b.channel | attribute({written}, {METHOD.format(5, 'blur')}) | present(bars)"
    actual = last(slow.run(text, "residual", optimized=optimized), "channel")
    close(actual, path("residual", "b", "blur", 5, to).sum((2, 3)).numpy(), 3e-4)


def test_several_targets_and_their_difference():
    text = "b.channel | attribute({}, " + METHOD.format(3, "zero") + ") | present({})"
    both = last(slow.run(text.format("output[1, 4]", "matrix"), "joined"), "channel", "class")
    rather = last(slow.run(text.format("output[1] - output[4]", "bars"), "joined"), "channel")
    close(both[..., 0] - both[..., 1], rather)
    for position, index in enumerate((1, 4)):
        close(both[..., position], path("joined", "b", "zero", 3, ("class", index)).sum((2, 3)).numpy(), 3e-4)


@pytest.mark.parametrize("model, layer", [("residual", "b"), ("joined", "b"), ("residual", "a"), ("residual", "input")])
@pytest.mark.parametrize("to", [("class", 3), ("probability", 3)])
def test_complete(model, layer, to):
    """The contributions of all atoms add up to the score's difference between both ends; closer with more steps."""
    start, stop = ends(model, layer, "blur")
    scores = [
        target(cubes, s, 0, to) for cubes, s in (slow.values(model, tiny.images(), {layer: x}) for x in (start, stop))
    ]
    difference = float(scores[1] - scores[0])
    written = "output[3]" if to[0] == "class" else "output[3, score=probability]"
    head = "input.pixel" if layer == "input" else f"{layer}.spatial"
    errors = []
    for steps in (1, 4, 32):
        text = f"{head} | attribute({written}, {METHOD.format(steps, 'blur')}) | present(heatmap)"
        errors.append(abs(float(last(slow.run(text, model), "y", "x").sum()) - difference))
    assert errors[-1] <= max(0.01 * abs(difference), 1e-6), (errors, difference)
    assert errors[-1] < errors[0] or errors[0] < 1e-5 * abs(difference)  # a straight one needs no steps


def test_groups():
    """A group's contribution is the share of each entry that the group makes, of what the path gave it."""
    text = "g = b | factorize(nmf, 2)\ng.spatial | present(masks)\ng.channel | present(matrix)\n"
    text += f"g | attribute(output[2], {METHOD.format(4, 'zero')}) | present(bars)"
    results = slow.run(text, "tiny")
    spatial, channel = (f.values for f in list(results.fields.values())[:2])
    w = torch.tensor(spatial.ordered(("input", "group", "y", "x")).data[0]).double()
    h = channel.take("input", tiny._first()) if "input" in channel.dims else channel
    parts = torch.einsum("gyx,gc->gcyx", w, torch.tensor(h.ordered(("group", "channel")).data).double())
    contribution, activation = path("tiny", "b", "zero", 4, ("class", 2))[0], list(ends("tiny", "b", "zero"))[1][0]
    share = torch.where(activation != 0, contribution / activation.where(activation != 0, torch.ones(()).double()), 0.0)
    close(last(results, "group")[0], (parts * share).sum((1, 2, 3)).numpy(), 1e-3)


def test_one_channel_at_one_visit_by_finite_differences():
    """One step is the gradient half way: what the score does when the channel moves there."""
    start, stop = ends("residual", "b", "zero")
    middle, move = (start + stop) / 2, part((stop - start)[0], "channel", 2)[None] * 1e-4
    scores = [slow.values("residual", tiny.images(), {"b": middle + sign * move})[1][0, 2] for sign in (1, -1)]
    text = f"b.channel | attribute(output[2], {METHOD.format(1, 'zero')}) | present(bars)"
    actual = last(slow.run(text, "residual"), "channel")[0, 2]
    close_to(float(actual), float(scores[0] - scores[1]) / 2e-4)

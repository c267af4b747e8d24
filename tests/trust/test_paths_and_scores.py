"""Measures that change activations, against slow twins that do so one at a time in float64."""

from __future__ import annotations

import numpy as np
import pytest
import slow
import tiny
import torch
from closeness import close_to, within
from measured import Product, findings, planted
from slow import part, values

MODELS = ["residual", "joined", "tiny"]
CLASS = 2


def activation(model: str, count: int = 1) -> torch.Tensor:
    return values(model, tiny.images(count))[0]["b"].detach()


def scores(model: str, b: torch.Tensor, number: int = 0) -> torch.Tensor:
    return values(model, tiny.images(number + 1)[number:], {"b": b})[1][0]


def linear(model: str, number: int = 0) -> np.ndarray:
    """(channel,): activation x gradient, written out."""
    b = activation(model, number + 1)[number:].requires_grad_()
    (slope,) = torch.autograd.grad(scores(model, b, number)[CLASS], b)
    return (b * slope).sum((0, 2, 3)).detach().numpy()


def text(measure: str, rest: str = "", more: str = "") -> str:
    return f"b.channel | attribute(output[{CLASS}]) {rest}| trust({measure}{more}) | present(bars)"


@pytest.mark.parametrize("optimized", [True, False])
@pytest.mark.parametrize("model", MODELS)
def test_path_dependence_path_by_path(model, optimized):
    paths, steps = 3, 8
    got = findings(text("path_dependence", more=f", n={paths}"), model, 2, optimized)["path_dependence"].values["paths"]
    for number in range(2):
        end = activation(model, number + 1)[number:]
        channels = end.shape[1]
        random = torch.Generator().manual_seed(1_000_003)
        log = (torch.rand(paths, channels, generator=random, dtype=torch.float64) * 2 - 1) * np.log(4)
        for path in range(paths):
            want = np.zeros(channels)
            for step in range(steps):
                share = [[(max(step + s, 0) / steps) ** float(g) for g in log[path].exp()] for s in (0, 0.5, 1)]
                low, middle, high = (torch.tensor(s, dtype=torch.float64).view(1, -1, 1, 1) for s in share)
                at = (middle * end).requires_grad_()
                (slope,) = torch.autograd.grad(scores(model, at, number)[CLASS], at)
                want += (slope * (high - low) * end).sum((0, 2, 3)).numpy()
            slow.close(got[path, number, 0], want, 1e-3)


def test_path_dependence_of_a_product():
    """On the path (t^g, t^h) the first of two factors gets g / (g + h) of the product, by hand."""
    one = findings("a.channel | attribute(output[0]) | trust(path_dependence, n=40) | present(bars)", planted(Product))
    paths = one["path_dependence"].values["paths"][:, 0, 0]
    image = tiny.images()[0]
    product = float(image[0].mean() * image[1].mean())
    random = torch.Generator().manual_seed(1_000_003)
    g = (((torch.rand(40, 2, generator=random, dtype=torch.float64) * 2 - 1) * np.log(4)).exp()).numpy()
    share = g / g.sum(1, keepdims=True)
    error = np.abs(paths / product - share)  # of eight segments
    assert error.max() < 0.06 and error.mean() < 0.015
    spread = one["path_dependence"].values["spread"][0, 0] / product
    within(spread, share.std(0, ddof=1), absolute=0.015, because="the spread of a sample of orders")
    assert spread.min() > 0.1


def test_a_sum_has_no_path():
    one = findings("a.channel | attribute(output[1]) | trust(path_dependence) | present(bars)", planted(Product))
    assert one["path_dependence"].values["spread"].max() < 1e-6
    close_to(one["path_dependence"].values["mean"][0, 0], tiny.images()[0, :2].mean((1, 2)))


@pytest.mark.parametrize("optimized", [True, False])
@pytest.mark.parametrize("measure", ["deletion", "insertion"])
@pytest.mark.parametrize("model", MODELS)
def test_curves_step_by_step(model, measure, optimized):
    got = findings(text(measure), model, 2, optimized)[measure].values
    for number in range(2):
        b = activation(model, number + 1)[number:]
        order = np.argsort(-linear(model, number), kind="stable")
        line = []
        for step in range(21):
            first = order[: round(step * len(order) / 20)]
            changed = torch.zeros_like(b) if measure == "insertion" else b.clone()
            for channel in first.tolist():
                changed[:, channel] = b[:, channel] if measure == "insertion" else 0
            line.append(float(scores(model, changed, number).softmax(0)[CLASS].detach()))
        slow.close(got["scores"][0, number, 0], np.array(line), 1e-4)
        area = sum((line[i] + line[i + 1]) / 2 / 20 for i in range(20))
        close_to(got["area"][number, 0], area)


def test_a_curve_that_the_order_decides():
    """Of the classes' sum only the first two colours count, the first the more: deletion takes it first."""
    one = findings("a.channel | attribute(output[1]) | trust(deletion) | present(curve)", planted(Product))
    means = tiny.images()[0, :2].mean((1, 2)).double()
    left = torch.tensor([float(means.sum()), float(means.min()), 0.0])
    scale = torch.zeros(3, len(tiny.LABELS), dtype=torch.float64)
    remaining = [means.clone(), torch.where(means == means.min(), means, 0.0), torch.zeros(2, dtype=torch.float64)]
    for row, (own, total) in enumerate(zip(remaining, left, strict=True)):
        scale[row, :3] = torch.tensor([float(own.prod()), float(total), float(own[0])])
    want = scale.softmax(1)[:, 1].numpy()
    close_to(one["deletion"].values["scores"][0, 0, 0, [0, 10, 20]], want)


@pytest.mark.parametrize("optimized", [True, False])
@pytest.mark.parametrize("model", MODELS)
def test_falls_one_by_one(model, optimized):
    got = findings(text("falsifiability", "| top(3) "), model, 1, optimized)["falsifiability"].values
    own, b = linear(model), activation(model)
    best = np.argsort(-own, kind="stable")[:3].tolist()
    whole = float(scores(model, b)[CLASS].detach())

    def without(channels):
        changed = b.clone()
        changed[:, channels] = 0
        return whole - float(scores(model, changed)[CLASS].detach())

    slow.close(got["alone"][0, 0], np.array([without([c]) for c in best]), 1e-3)
    close_to(got["together"][0, 0], without(best), terms=np.abs(own).sum(), dtype=np.float32)
    close_to(got["claim"][0, 0], own[best].sum(), terms=np.abs(own[best]).sum(), dtype=np.float32)
    random = np.random.default_rng([0, 3])
    sets = [random.choice(len(own), 3, replace=False).tolist() for _ in range(20)]
    slow.close(got["random"][0, 0], np.array([without(s) for s in sets]), 1e-3)


def test_a_claim_that_is_true():
    """Of a sum every atom's claim holds to the digit."""
    line = "a.channel | attribute(output[1]) | top(1) | trust(falsifiability) | present(bars)"
    got = findings(line, planted(Product))["falsifiability"]
    close_to(got.values["alone"], got.values["claim"][..., None], dtype=np.float32)
    assert not got.warning


@pytest.mark.parametrize("optimized", [True, False])
@pytest.mark.parametrize("model", MODELS)
def test_completeness_and_infidelity(model, optimized):
    one = findings(text("[completeness, infidelity]"), model, 1, optimized)
    own, b = linear(model), activation(model)
    whole = float(scores(model, b)[CLASS].detach())
    empty = float(scores(model, torch.zeros_like(b))[CLASS].detach())
    error = float(one["completeness"].values["error"][0, 0])
    close_to(error, own.sum() - (whole - empty), terms=np.abs(own).sum() + abs(whole) + abs(empty), dtype=np.float32)
    random = np.random.default_rng([0, 7])
    share = random.random((100, 1))
    gone = random.random((100, len(own))) < share
    falls, claims = [], []
    for row in gone:
        changed = b.clone()
        for channel in np.flatnonzero(row).tolist():
            changed -= part(b[0], "channel", channel)[None]
        falls.append(whole - float(scores(model, changed)[CLASS].detach()))
        claims.append(sum(own[c] for c in np.flatnonzero(row)))
    squares = [(c - f) ** 2 for c, f in zip(claims, falls, strict=True)]
    close_to(one["infidelity"].values["infidelity"][0, 0], np.mean(squares), dtype=np.float32, roundings=4e3)


def test_of_a_sum_nothing_is_left_to_explain():
    line = "a.channel | attribute(output[1]) | trust([completeness, infidelity]) | present(bars)"
    one = findings(line, planted(Product))
    assert abs(one["completeness"].values["error"]).max() < 1e-6
    assert one["infidelity"].values["scaled"].max() < 1e-8


def test_integrated_gradients_that_miss_their_promise_are_told():
    few = findings(
        "a.channel | attribute(output[0], method=integrated_gradients(n_steps=1))"
        " | trust([completeness, path_dependence]) | present(bars)",
        planted(Product),
    )
    error = few["completeness"].values["error"]
    close_to(error, np.zeros_like(error), terms=1.0)  # one node is enough for a product
    short = findings(
        f"b.channel | attribute(output[{CLASS}], method=integrated_gradients(n_steps=1)) | trust(completeness)"
        " | present(bars)",
        "residual",
    )["completeness"]
    share = abs(short.values["error"] / short.values["difference"]).max()
    assert bool(short.warning) == (share > 0.05)

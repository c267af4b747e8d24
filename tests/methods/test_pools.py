"""Max pools with a modified derivative, against slow twins that go window by window."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F
from closeness import close_to
from torch import nn

from bbilang.runtime.models.adapt import adapt
from bbilang.runtime.relevance.pools import Pools, blended


def gradient(kind, x, cotangent, checkerboard=False, **geometry):
    x = x.clone().requires_grad_()
    with Pools(kind, checkerboard):
        y = F.max_pool2d(x, **geometry)
    return torch.autograd.grad(y, x, cotangent)[0]


def slow(kind, x, cotangent, kernel_size, stride, padding=0, ceil_mode=False):
    """One window of one channel at a time; windows stop at the picture's edge."""
    actual = torch.zeros_like(x)
    height, width = x.shape[2:]
    for n, c, i, j in np.ndindex(*cotangent.shape):
        top, left = i * stride - padding, j * stride - padding
        rows = [r for r in range(top, top + kernel_size) if 0 <= r < height]
        columns = [k for k in range(left, left + kernel_size) if 0 <= k < width]
        places = [(n, c, r, k) for r in rows for k in columns]
        values = torch.stack([x[p] for p in places])
        if kind == "relaxed_pool":
            positive = values.clamp_min(0)
            share = positive / positive.sum() if positive.sum() > 0 else positive
        else:
            leaf = values.clone().requires_grad_()
            smooth = leaf.square().mean() / (0.01 + leaf.abs().mean())
            (share,) = torch.autograd.grad(smooth, leaf)
        for position, part in zip(places, share, strict=True):
            actual[position] += part * cotangent[n, c, i, j]
    return actual


def test_the_example_of_the_article():
    x = torch.tensor([[[[3.0, 1.0], [0.0, 0.0]]]])
    one = torch.ones(1, 1, 1, 1)
    assert gradient("relaxed_pool", x, one, kernel_size=2).flatten().tolist() == [0.75, 0.25, 0, 0]
    actual = gradient("smooth_pool", x, one, kernel_size=2).flatten().tolist()
    assert [round(v, 2) for v in actual] == [0.87, -0.12, 0, 0]


GEOMETRY = [
    {"kernel_size": 2, "stride": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": 3, "stride": 1, "padding": 1},
    {"kernel_size": 3, "stride": 2, "ceil_mode": True},
]


@pytest.mark.parametrize("geometry", GEOMETRY)
@pytest.mark.parametrize("kind", ["relaxed_pool", "smooth_pool"])
def test_window_by_window(kind, geometry):
    random = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 8, 8, generator=random).clamp_min(0)
    shape = F.max_pool2d(x, **geometry).shape
    cotangent = torch.randn(shape, generator=random)
    actual = gradient(kind, x, cotangent, **geometry)
    close_to(actual, slow(kind, x, cotangent, **geometry))


def test_the_forward_is_that_of_a_max_pool():
    x = torch.randn(1, 2, 6, 6, requires_grad=True)
    with Pools("smooth_pool", True):
        assert torch.equal(nn.MaxPool2d(3, 2, 1)(x), F.max_pool2d(x.detach(), 3, 2, 1))
        values, places = F.max_pool2d(x, 2, return_indices=True)
        assert torch.equal(values, F.max_pool2d(x.detach(), 2)) and places.shape == values.shape


def test_many_cotangents_at_once():
    x = torch.rand(1, 2, 9, 9).requires_grad_()
    with Pools("smooth_pool", True):
        y = F.max_pool2d(x, 3, 2, 1)
    cotangents = torch.randn(4, *y.shape)
    together = torch.autograd.grad(y, x, cotangents, is_grads_batched=True, retain_graph=True)[0]
    alone = torch.stack([torch.autograd.grad(y, x, c, retain_graph=True)[0] for c in cotangents])
    close_to(together, alone)


def test_blending_spreads_one_pixel_and_cancels_a_checkerboard():
    one = torch.zeros(1, 1, 5, 5)
    one[..., 2, 2] = 1
    expected = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
    close_to(blended(one)[0, 0, 1:4, 1:4], expected)
    y, x = np.mgrid[:8, :8]
    checkerboard = torch.from_numpy(((y + x) % 2).astype(np.float32))[None, None]
    close_to(blended(checkerboard)[..., 1:-1, 1:-1], torch.full((1, 1, 6, 6), 0.5))


class Pooled(nn.Module):
    """A layer, a max pool in the middle of the network, and classes."""

    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU())
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.b = nn.Conv2d(4, 5, 3, 1, 1)
        self.head = nn.Linear(5, len(tiny.LABELS))

    def forward(self, x):
        return self.head(torch.relu(self.b(self.pool(self.a(x)))).mean((2, 3)))


@pytest.mark.parametrize("method", ["relaxed_pool", "smooth_pool", "smooth_pool(checkerboard=true)"])
def test_through_a_network(method):
    """What a page shows equals the activation times a gradient put together by hand, part by part."""
    adapter = adapt(tiny.build(Pooled), (tiny.SIZE, tiny.SIZE), labels=tiny.LABELS, name="pooled")
    text = f"a.spatial | attribute(output[3], method={method}) | present(heatmap)"
    results = tiny.run(text, model=adapter)
    network, image = adapter.module, tiny.images()
    a = network.a(adapter.normalize(image)).detach()
    pooled = F.max_pool2d(a, 3, 2, 1).requires_grad_()
    score = network.head(torch.relu(network.b(pooled)).mean((2, 3)))[0, 3]
    (above,) = torch.autograd.grad(score, pooled)
    below = slow(method.partition("(")[0], a, above, 3, 2, 1)
    if "checkerboard" in method:
        below = blended(below)
    expected = (a * below).sum(1)[0]
    actual = results.fields["element-1"].values.ordered(("input", "y", "x")).data[0]
    close_to(actual, expected.numpy())
    assert results.model_passes == (2, 1)  # the page's own forward, and the one with other derivatives


def test_one_forward_for_each_rule():
    adapter = adapt(tiny.build(Pooled), (tiny.SIZE, tiny.SIZE), labels=tiny.LABELS, name="pooled")
    lines = [
        f"a.{atom} | attribute(output[{k}], method={method}) | top(2) | present(bars)"
        for method in ("smooth_pool", "relaxed_pool", "linear")
        for atom in ("spatial", "channel")
        for k in (1, 2)
    ]
    results = tiny.run("\n".join(lines), model=adapter)
    assert results.model_passes == (3, 6)

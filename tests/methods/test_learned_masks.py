"""Meaningful and extremal perturbation against explicit loops over one target."""

from __future__ import annotations

import math

import numpy as np
import pytest
import slow
import tiny
import torch
from scipy.ndimage import gaussian_filter, gaussian_filter1d, map_coordinates
from slow import close, last
from test_occlusion import value

from bbilang.runtime.methods.extremal_perturbation import Bumps, chosen, pyramid

MEAN = torch.tensor(slow.MEAN, dtype=torch.float64).view(3, 1, 1)
TARGETS = [(("class", 2), "output[2]"), (("difference", (2, 5)), "output[2] - output[5]"),
           (("probability", 1), "output[1, score=probability]"), (("channel", 1), "d.channel[1]")]  # fmt: skip


def blurred(image: np.ndarray, deviation: float) -> torch.Tensor:
    return torch.tensor(np.stack([gaussian_filter(m, deviation, mode="mirror", truncate=3) for m in image]))


def linear(count: int, size: int) -> np.ndarray:
    """(size, count): the matrix of linear interpolation between the centres of cells."""
    at = np.clip((np.arange(size) + 0.5) * count / size - 0.5, 0, count - 1)
    return np.stack([map_coordinates(row, [at], order=1) for row in np.eye(count)], 1)


def meaningful(model, to, steps, cells, l1, tv, blur, moves, seed=0) -> np.ndarray:
    """(y, x), for one picture and one target."""
    image = tiny.images(1)[0].double()
    hidden = blurred(image.numpy(), blur)
    smooth = gaussian_filter1d(np.eye(tiny.SIZE), 5 / 224 * tiny.SIZE, axis=0, mode="mirror", truncate=3)
    enlarge = torch.tensor(smooth @ linear(cells, tiny.SIZE))
    m = torch.ones(cells, cells, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([m], lr=0.1)
    for step in range(steps):
        random = np.random.Generator(np.random.Philox(key=[seed, step]))
        move = (int(random.integers(moves)), int(random.integers(moves)))
        large = enlarge @ m @ enlarge.T
        picture = large * torch.roll(image, move, (1, 2)) + (1 - large) * torch.roll(hidden, move, (1, 2))
        score = value(*slow.values(model, picture[None], {"input": picture[None]}), 0, to)
        loss = score + l1 * (1 - m).abs().sum()
        for y in range(cells):
            for x in range(cells):
                loss = loss + (tv * (m[y + 1, x] - m[y, x]).abs() ** 3 if y + 1 < cells else 0)
                loss = loss + (tv * (m[y, x + 1] - m[y, x]).abs() ** 3 if x + 1 < cells else 0)
        adam.zero_grad()
        loss.backward()
        adam.step()
        m.data.clamp_(0, 1)
    return (1 - enlarge @ m.detach() @ enlarge.T).numpy()


def bumps(heights: torch.Tensor, step: int, sigma: float) -> torch.Tensor:
    """(bump, bump) -> the mask with its margin, (y, x), bump by bump (equations 6 and 7)."""
    count = len(heights)
    reach, pad = 1 + math.ceil(sigma / step), 1 + 2 * math.ceil(sigma / step)
    u = torch.arange(step * (count + 2 * pad - 2 * reach) - step + 1)
    seen = []
    for ky in range(2 * reach + 1):
        for kx in range(2 * reach + 1):
            iy, ix = (u // step + k - pad for k in (ky, kx))
            far = (((u - sigma - step * iy) ** 2)[:, None] + ((u - sigma - step * ix) ** 2)[None]).to(heights).sqrt()
            inside = ((iy >= 0) & (iy < count))[:, None] & ((ix >= 0) & (ix < count))[None]
            height = heights[iy.clamp(0, count - 1)][:, ix.clamp(0, count - 1)] * inside
            seen.append(height * torch.exp(-2 * (far / sigma - 0.5).clamp(min=0) ** 2))
    stacked = torch.stack(seen)
    return (stacked * (20 * stacked).softmax(0)).sum(0).clamp(0, 1)


def blurs(image: torch.Tensor) -> torch.Tensor:
    """(level, 3, y, x): seven blurs over a mean colour, and the picture."""
    plain = (image.double() - MEAN).numpy()
    rest = [
        np.stack([gaussian_filter(m, s, mode="constant", radius=math.ceil(4 * s)) for m in plain])
        for s in np.linspace(20, 0, 8)[:-1]
    ]
    return torch.tensor(np.stack([*rest, plain])) + MEAN


def between(levels: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The picture that a mask selects: a tent around each level."""
    return sum((1 - (7 * mask - level).abs()).clamp(min=0) * levels[level] for level in range(8))


def extremal(model, to, area, steps, step, sigma) -> np.ndarray:
    """(y, x), for one picture and one target. In single precision, like the method: which of many equal values of the
    first mask are the smallest is a matter of rounding."""
    side = tiny.SIZE
    levels = blurs(tiny.images(1)[0]).float()
    count, margin = math.ceil(side / step), round(sigma)
    heights = torch.ones(count, count, requires_grad=True)
    speed, weight = None, 300.0
    for number in range(steps):
        mask = bumps(heights, step, sigma)
        shown = mask[margin : margin + side, margin : margin + side]
        picture = between(levels, shown)
        picture = picture.flip(2) if number % 2 == 0 else picture
        score = value(*slow.values(model, picture[None].double(), {"input": picture[None].double()}), 0, to)
        expected = torch.zeros(mask.numel())
        expected[int(mask.numel() * (1 - area)) :] = 1
        energy = score - weight * ((mask.flatten().sort(stable=True)[0] - expected) ** 2).mean()
        (slope,) = torch.autograd.grad(-energy, heights)
        speed = slope if speed is None else 0.9 * speed + 0.1 * slope
        heights.data = (heights.data - 0.01 * speed).clamp(0, 1)
        weight *= 1.0035
    return shown.detach().numpy()


def test_masks_and_blurred_pictures():
    """The parts of extremal perturbation, in float64."""
    for size, step, sigma in (((32, 32), 4, 8.0), ((32, 32), 5, 7.0), ((32, 32), 8, 3.0)):
        made = Bumps(size, step, sigma)
        heights = torch.rand(2, 1, *made.grid, generator=torch.Generator().manual_seed(3))
        shown, whole = made.mask(heights, made.weights)
        margin = round(sigma)
        for row in range(2):
            want = bumps(heights[row, 0].double(), step, sigma)
            close(whole[row, 0].numpy(), want.numpy(), 1e-5)
            close(shown[row, 0].numpy(), want[margin : margin + 32, margin : margin + 32].numpy(), 1e-5)
    images = tiny.images(2)
    levels = pyramid(images, MEAN.float())
    for row in range(2):
        close(levels[row].numpy(), blurs(images[row]).numpy(), 1e-5)
        want = between(blurs(images[row]), shown[row, 0].double())
        close(chosen(levels, shown)[row].numpy(), want.numpy(), 1e-5)


@pytest.mark.parametrize("optimized", [True, False])
@pytest.mark.parametrize("to, written", TARGETS)
def test_meaningful_perturbation_against_a_loop(to, written, optimized):
    method = "meaningful_perturbation(steps=8, cells=9, l1=0.00001, tv=0.05, blur=4)"
    text = f"input.pixel | attribute({written}, method={method}) | present(heatmap)"
    actual = last(slow.run(text, "residual", optimized=optimized), "y", "x")[0]
    want = meaningful("residual", to, 8, 9, 0.00001, 0.05, 4, 4)
    assert want.max() > 0.05
    close(actual, want, 3e-3)


@pytest.mark.parametrize("optimized", [True, False])
@pytest.mark.parametrize("to, written", TARGETS)
def test_extremal_perturbation_against_a_loop(to, written, optimized):
    method = "extremal_perturbation(area=0.2, steps=10, step=4, sigma=8)"
    text = f"input.pixel | attribute({written}, method={method}) | present(heatmap)"
    actual = last(slow.run(text, "residual", optimized=optimized), "y", "x")[0]
    want = extremal("residual", to, 0.2, 10, 4, 8.0)
    assert want.min() < 0.9
    close(actual, want, 3e-3)


@pytest.mark.parametrize("method, unit", [("extremal_perturbation(steps=1)", "share kept"),
                                          ("meaningful_perturbation(steps=1)", "share of blur")])  # fmt: skip
def test_a_mask_is_no_contribution(method, unit):
    """Its unit is not the score's, it has no sign, and the legend says what it is."""
    results = slow.run(f"input.pixel | attribute(output[2], method={method}) | present(heatmap)", "residual")
    (field,) = results.fields.values()
    assert (field.type.unit, field.type.signed) == (unit, False)
    assert any("1 where the picture is" in note for note in field.notes)

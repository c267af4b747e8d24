"""The one batched resampling against a loop over pictures, steps and pixels."""

import math

import numpy as np
import pytest
import torch
from closeness import close_to

from bbilang.runtime.featvis.transforms import Transforms, affine, resample


def slow_view(picture, draw, size, view, out):
    """Jitter, scale, rotate, jitter, written out per pixel with bilinear reading and grey outside."""
    dy, dx, factor, angle, ly, lx = draw
    result = np.full((3, out, out), 0.5)
    for i in range(out):
        for j in range(out):
            y, x = ((i + 0.5) / out - 0.5) * view + ly, ((j + 0.5) / out - 0.5) * view + lx
            x, y = math.cos(angle) * x - math.sin(angle) * y, math.sin(angle) * x + math.cos(angle) * y
            y, x = y / factor + dy + size / 2 - 0.5, x / factor + dx + size / 2 - 0.5
            top, left = math.floor(y), math.floor(x)
            for r, wy in ((top, top + 1 - y), (top + 1, y - top)):
                for c, wx in ((left, left + 1 - x), (left + 1, x - left)):
                    if 0 <= r < size and 0 <= c < size:
                        result[:, i, j] += wy * wx * (picture[:, r, c] - 0.5)
    return result


def test_a_batch_equals_the_loop():
    size, transforms = 16, Transforms(pad=3, jitter=4, scale=(0.7, 1.3), rotate=30, last_jitter=2)
    view = transforms.view_size(size)
    assert view == 16
    pictures = torch.rand(4, 3, size, size, generator=torch.Generator().manual_seed(0))
    draws = torch.stack([transforms.draw(2, torch.Generator().manual_seed(s))[1] for s in range(4)])
    for out in (view, 24):
        got = resample(pictures, affine(draws, size, view), out).numpy()
        for k in range(4):
            want = slow_view(pictures[k].numpy(), draws[k].tolist(), size, view, out)
            close_to(got[k], want)


def test_draws_are_within_their_amounts_and_reach_them():
    draws = Transforms().draw(4000, torch.Generator().manual_seed(0))
    assert set(draws[:, 0].tolist()) == set(range(-4, 5)) and set(draws[:, 4].tolist()) == set(range(-2, 3))
    assert 0.8 <= draws[:, 2].min() < 0.81 and 1.19 < draws[:, 2].max() <= 1.2
    assert 9.9 < torch.rad2deg(draws[:, 3].abs().max()) <= 10


def test_the_range_of_sizes_widens_and_draws_nothing_else_anew():
    transforms = Transforms(scale=(0.8, 1.2), largest=2.0)
    usual, wide = (transforms.draw(4000, torch.Generator().manual_seed(0), n) for n in (0, 2000))
    assert torch.equal(wide[:, [0, 1, 3, 4, 5]], usual[:, [0, 1, 3, 4, 5]])
    share = (usual[:, 2] - 0.8) / 0.4
    for step in (0, 500, 1000, 2000, 3999):
        end = 1.2 + 0.8 * min(step / 2000, 1)
        assert wide[step, 2].item() == pytest.approx(0.8 + share[step].item() * (end - 0.8))
    assert transforms.within(16, (40, 32)).largest == 2.0, "a tenth above 32 px is more"
    assert transforms.within(22, (40, 32)).largest == pytest.approx(1.6)
    assert transforms.within(48, (40, 32)).largest == 1.2
    assert 1.98 < wide[2000:, 2].max() <= 2.0 and wide[:, 2].min() >= 0.8


def test_the_identity_shows_the_picture_and_grey_around_it():
    picture = torch.rand(1, 3, 8, 8)
    still = torch.tensor([[0, 0, 1.0, 0, 0, 0]])
    close_to(resample(picture, affine(still, 8, 8), 8), picture)
    wide = resample(picture, affine(still, 8, 12), 12)
    close_to(wide[:, :, 2:-2, 2:-2], picture)
    assert (wide[:, :, :2] == 0.5).all()


def test_a_picture_is_seen_the_same_in_any_company():
    pictures = torch.rand(8, 3, 20, 20)
    maps = affine(torch.stack([Transforms().draw(1, torch.Generator().manual_seed(s))[0] for s in range(8)]), 20, 24)
    seen = resample(pictures, maps, 24)
    order = [3, 1, 7, 0, 2, 6, 5, 4]
    assert torch.equal(resample(pictures[order], maps[order], 24), seen[order])

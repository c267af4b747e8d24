"""Icons of a trained network: they excite their channel, also under transforms that the engine does not know."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bbilang.runtime import passes
from bbilang.runtime.featvis.ascent import Ascent
from bbilang.runtime.featvis.engine import Objective, Recipe, visualize

LAYER = "block5c.expand"


def held_out(adapter, picture, channel, draws=6):
    """Mean activation of a channel over zooms, flips, crops and noise written here, not taken from the engine."""
    source = np.random.default_rng(5)
    total = 0.0
    for _ in range(draws):
        x = torch.tensor(picture).permute(2, 0, 1)[None].float() / 255
        side = int(source.integers(96, 161))
        x = F.interpolate(x, (side, side), mode="bicubic", antialias=True).clamp(0, 1)
        x = x[..., 4:-4, 4:-4].flip(3) if source.random() < 0.5 else x[..., : side - 8, 8:]
        x = (x + torch.tensor(source.normal(0, 0.02, x.shape), dtype=torch.float32)).clamp(0, 1)
        seen = passes.forward(adapter, x, [LAYER], want_output=False)
        total += seen[LAYER][0, channel].mean().item()
    return total / draws


@pytest.fixture(scope="module")
def icons(efficientnet):
    return visualize(efficientnet, [Objective(LAYER, c) for c in (10, 447)], Recipe(size=96, steps=64, batch=2))


def test_icons_excite_their_channel_and_not_each_others(efficientnet, icons):
    noise = np.random.default_rng(0).normal(128, 20, (96, 96, 3)).clip(0, 255).astype(np.uint8)
    for icon, channel, other in ((icons[0], 10, 447), (icons[1], 447, 10)):
        own = held_out(efficientnet, icon.picture, channel)
        assert own > 2.5 * held_out(efficientnet, noise, channel) + 0.3
        assert own > 2 * held_out(efficientnet, icon.picture, other)
        assert icon.objective > own / 2


def test_pictures_use_their_range_and_are_not_noise(icons):
    for icon in icons:
        grey = icon.picture.astype(float).mean(2)
        assert grey.std() > 15
        power = np.abs(np.fft.fft2(grey - grey.mean())) ** 2
        frequency = np.hypot(np.fft.fftfreq(96)[:, None], np.fft.fftfreq(96)[None])
        assert power[frequency < 0.25].sum() > 3 * power[frequency >= 0.25].sum()


def test_bits_in_other_company(efficientnet):
    recipe = Recipe(size=48, steps=6, batch=4)
    alone = visualize(efficientnet, [Objective(LAYER, 10)], recipe)[0]
    company = visualize(efficientnet, [Objective(LAYER, c) for c in (1, 2, 447, 10, 3)], recipe)[3]
    assert np.array_equal(alone.picture, company.picture) and alone.objective == company.objective


@pytest.mark.parametrize("size", [32, 128])  # at 128 px rounding opens and shuts some nonlinearities
def test_the_network_of_an_icon_is_run_as_fused_operations(efficientnet, size):
    few = Recipe(size=size, steps=2)
    for recipe, fuses in ((few, True), (replace(few, plain=True), False)):
        with Ascent(efficientnet, Objective("head", 0), recipe, 2, passes.Passes()) as ascent:
            fused = ascent.runner.fused
            assert (fused is not None) == fuses
            if fused:
                assert fused.narrows and "ByAutograd" not in {type(step).__name__ for step in fused.steps}

"""Dreams by octaves: the photo's own size, each octave beside the loop written out, and the way to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.featvis.dream import STEP, dreams, octave_sizes, photo_start
from bbilang.runtime.featvis.engine import Objective, Recipe, visualize
from bbilang.runtime.featvis.icon import Start, seed_of
from bbilang.runtime.passes import Passes

RECIPE = Recipe(size=32, steps=3, batch=2)
PHOTO = np.random.default_rng(0).integers(0, 256, (100, 140, 3)).astype(np.uint8)
DREAM = Objective("act2", (), "dream", start=Start.of(PHOTO), octaves=2)


def test_sizes():
    assert octave_sizes((700, 1024), 3) == [(357, 522), (500, 731), (700, 1024)]
    assert octave_sizes((100, 140), 6) == [(71, 100), (100, 140)], "a coarser one would be under 64 px"
    assert octave_sizes((30, 40), 4) == [(30, 40)]
    assert photo_start(np.zeros((1500, 2048, 3), np.uint8)).shape == (750, 1024)
    assert photo_start(PHOTO).shape == (100, 140), "nothing is enlarged"


def by_hand(module, normalize, objective, recipe):
    photo = torch.tensor(PHOTO).permute(2, 0, 1)[None].float() / 255
    source, added = torch.Generator().manual_seed(seed_of(recipe, objective)), torch.zeros_like(photo)
    for size in ((71, 100), (100, 140)):
        base, detail = (F.interpolate(p, size, mode="bilinear", antialias=True) for p in (photo, added))
        x = base + detail
        for _ in range(3):
            y, column = torch.randint(-32, 33, (2,), generator=source).tolist()
            leaf = x.clone().requires_grad_()
            activation = module[:6](normalize(torch.roll(torch.roll(leaf, y, 2), column, 3)))
            (activation**2).mean().backward()
            x = (x + STEP * leaf.grad / leaf.grad.abs().mean()).clamp(0, 1)
        added = x - base
    return (x[0] * 255).round().permute(1, 2, 0).detach().numpy()


def test_a_dream_is_the_loop_by_hand(adapter):
    adapter.module.eval()
    recipe = replace(RECIPE, plain=True)
    (icon,) = visualize(adapter, [DREAM], recipe)
    expected = by_hand(adapter.module, adapter.normalize, DREAM, recipe)
    assert icon.picture.shape == (100, 140, 3) and not icon.dead
    assert np.abs(icon.picture - expected).max() <= 2, "float32, added in another order"
    assert np.abs(icon.picture - PHOTO.astype(float)).mean() > 2, "something was added"


def test_a_dream_raises_the_layer_and_is_remembered(adapter, tmp_path):
    adapter.module.eval()
    cache, counter = Cache(tmp_path), Passes()
    (icon,) = visualize(adapter, [DREAM], RECIPE, cache)
    with torch.no_grad():
        photo = torch.tensor(PHOTO).permute(2, 0, 1)[None].float() / 255
        before = float(adapter.module[:6](adapter.normalize(photo)).square().mean())
    assert icon.objective > 1.1 * before
    (again,) = visualize(adapter, [DREAM], RECIPE, cache, counter=counter)
    assert counter.backwards == 0 and (again.picture == icon.picture).all()


def test_steps_left_are_told(adapter):
    adapter.module.eval()
    told: list[int] = []
    list(dreams(adapter, [DREAM], RECIPE, Passes(), None, told.append))
    assert told == [5, 4, 3, 2, 1, 0]


def test_the_language_reads_the_photo_at_its_own_size(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(PHOTO).save(path)
    text = "block1a.depthwise.whole | activation | present(featvis, objective=dream, octaves=2)"
    for given in (str(path), Image.fromarray(PHOTO)):
        page = bbilang.run(text, input=given, settings={"featvis.size": 32, "featvis.steps": 1})
        assert page.results.icons[0].picture.shape == (100, 140, 3)
    again = bbilang.run(text, input=str(path), settings={"featvis.size": 32, "featvis.steps": 1})
    assert again.results.passes is None, "recalled"
    with pytest.raises(BbiError, match="only a dream") as refused:
        bbilang.run("block1a.depthwise.whole | activation | present(featvis, octaves=2)", input=str(path))
    assert refused.value.diagnostics[0].code == "E510"


def test_a_dream_keeps_its_shape_in_a_square_tile():
    from bbilang.runtime.view.icon_tiles import squared

    sheet = squared(PHOTO)
    assert sheet.shape == (140, 140, 4) and (sheet[20:120, :, :3] == PHOTO).all()
    assert (sheet[:20, :, 3] == 0).all() and (sheet[120:, :, 3] == 0).all() and (sheet[20:120, :, 3] == 255).all()
    assert squared(PHOTO[:, :100]).shape == (100, 100, 3), "a square is left alone"

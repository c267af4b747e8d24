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
from bbilang.runtime.featvis.engine import Objective, Recipe, estimate, visualize
from bbilang.runtime.featvis.icon import Start, seed_of
from bbilang.runtime.passes import Passes

RECIPE = Recipe(size=32, steps=3, batch=2)
PHOTO = np.random.default_rng(0).integers(0, 256, (100, 140, 3)).astype(np.uint8)
GUIDE = np.random.default_rng(1).integers(0, 256, (24, 28, 3)).astype(np.uint8)
DREAM = Objective("act2", (), "dream", start=Start.of(PHOTO), octaves=2)


def test_sizes():
    assert octave_sizes((700, 1024), 3) == [(357, 522), (500, 731), (700, 1024)]
    assert octave_sizes((100, 140), 6) == [(71, 100), (100, 140)], "a coarser one would be under 64 px"
    assert octave_sizes((30, 40), 4) == [(30, 40)]
    assert photo_start(np.zeros((1500, 2048, 3), np.uint8)).shape == (750, 1024)
    assert photo_start(PHOTO).shape == (100, 140), "nothing is enlarged"


def by_hand(module, normalize, objective, recipe, value=lambda activation: (activation**2).mean()):
    photo = torch.tensor(PHOTO).permute(2, 0, 1)[None].float() / 255
    source, added = torch.Generator().manual_seed(seed_of(recipe, objective)), torch.zeros_like(photo)
    for size in ((71, 100), (100, 140)):
        base, detail = (F.interpolate(p, size, mode="bilinear", antialias=True) for p in (photo, added))
        x = base + detail
        for _ in range(3):
            y, column = torch.randint(-32, 33, (2,), generator=source).tolist()
            leaf = x.clone().requires_grad_()
            activation = module[:6](normalize(torch.roll(torch.roll(leaf, y, 2), column, 3)))
            value(activation).backward()
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


def test_a_guided_dream_is_the_loop_by_hand(adapter):
    """At every position the gradient is the feature vector of the guide with the largest inner product."""
    adapter.module.eval()
    recipe = replace(RECIPE, plain=True)
    guided = replace(DREAM, guide=Start.of(GUIDE))
    with torch.no_grad():
        features = adapter.module[:6](adapter.normalize(torch.tensor(GUIDE).permute(2, 0, 1)[None] / 255))[0].flatten(1)

    def slope(activation):
        wanted = torch.zeros_like(activation)
        for y, x in np.ndindex(*activation.shape[2:]):
            here = activation[0, :, y, x].detach()
            products = [float(here @ features[:, number]) for number in range(features.shape[1])]
            wanted[0, :, y, x] = features[:, int(np.argmax(products))]
        return (activation * wanted).mean()

    (icon,) = visualize(adapter, [guided], recipe)
    expected = by_hand(adapter.module, adapter.normalize, guided, recipe, slope)
    assert np.abs(icon.picture - expected).max() <= 2, "float32, added in another order"
    (free,) = visualize(adapter, [DREAM], recipe)
    assert np.abs(icon.picture - free.picture.astype(float)).mean() > 1, "the guide matters"


def test_positions_of_a_guide_are_compared_in_parts(adapter, monkeypatch):
    from bbilang.runtime.featvis import losses

    adapter.module.eval()
    guided = replace(DREAM, guide=Start.of(GUIDE))
    (whole,) = visualize(adapter, [guided], RECIPE)
    monkeypatch.setattr(losses, "PAIRS", 1000)
    (parts,) = visualize(adapter, [guided], RECIPE)
    assert np.abs(whole.picture - parts.picture.astype(float)).max() <= 1


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
    assert told == [8, 7, 6, 3, 1, 0], "counted in steps of the mean cost so far: of 7,100 pixels, then of 14,000"
    told.clear()
    list(dreams(adapter, [DREAM, replace(DREAM, layer="act1")], RECIPE, Passes(), None, told.append))
    assert told[0] == round((2 * 63300 - 7100) / 7100) and told[-1] == 0, "the second dream is waiting"


def test_the_time_of_a_dream_grows_with_its_pixels(adapter):
    adapter.module.eval()
    large = replace(DREAM, start=Start.of(np.tile(PHOTO, (3, 3, 1))), octaves=2)
    count, seconds = estimate(adapter, [DREAM], RECIPE)
    assert count == 1 and seconds > 0
    assert estimate(adapter, [large], RECIPE)[1] / seconds == pytest.approx(9, rel=0.02), "the same measured speed"
    assert estimate(adapter, [large], RECIPE.draft())[1] / seconds < 5


def test_a_draft_dreams_at_256_pixels(adapter):
    adapter.module.eval()
    (icon,) = visualize(adapter, [replace(DREAM, start=Start.of(np.tile(PHOTO, (3, 3, 1))))], RECIPE.draft())
    assert icon.picture.shape == (183, 256, 3)


def test_an_interruption_loses_the_dream_that_is_made(adapter, tmp_path):
    adapter.module.eval()
    cache, counter = Cache(tmp_path), Passes()
    before = {name: len(module._forward_hooks) for name, module in adapter.module.named_modules()}

    def interrupt(objective, icon):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        visualize(adapter, [DREAM, replace(DREAM, layer="act1")], RECIPE, cache, take=interrupt)
    assert {name: len(module._forward_hooks) for name, module in adapter.module.named_modules()} == before
    visualize(adapter, [DREAM], RECIPE, cache, counter=counter)
    assert counter.backwards == 0, "the finished one is in the cache"
    visualize(adapter, [replace(DREAM, layer="act1")], RECIPE, cache, counter=counter)
    assert counter.backwards == 6, "the other one begins anew"


def test_what_a_plan_says_of_dreams():
    from bbilang.compiler.plan.plan import plan

    dream = "block1a.depthwise.whole | activation | present(featvis, objective=dream, octaves={})"
    plans = [plan(bbilang.check(dream.format(octaves), input="sample:chelsea")) for octaves in (2, 4)]
    steps = [next(step for step in made.steps if step.kind == "icons") for made in plans]
    assert steps[0].words == "dreams of up to 1,024 px, 10 steps an octave"
    assert steps[1].flops / steps[0].flops == pytest.approx((1 + 1.4**-2 + 1.4**-4 + 1.4**-6) / (1 + 1.4**-2))


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


def test_the_language_reads_a_guide_beside_the_text(tmp_path):
    path, guide = tmp_path / "photo.png", tmp_path / "guide.png"
    Image.fromarray(PHOTO).save(path)
    Image.fromarray(GUIDE).save(guide)
    text = tmp_path / "page.bbi"
    stages = "block1a.depthwise.whole | activation | present(featvis, objective=dream, octaves=2, guide={})"
    settings = {"featvis.size": 32, "featvis.steps": 1}

    def dream(name):
        text.write_text(f'input "photo.png"\n{stages.format(name)}\n')
        return bbilang.run(text, settings=settings).results

    first = dream('"guide.png"')
    assert dream('"guide.png"').passes is None, "recalled"
    Image.fromarray(255 - GUIDE).save(guide)
    changed = dream('"guide.png"')
    assert changed.passes is not None, "the same name with another picture in it"
    assert (changed.icons[0].picture != first.icons[0].picture).any()
    assert (dream('"sample:coffee"').icons[0].picture != first.icons[0].picture).any()


@pytest.mark.parametrize(
    ("written", "code", "words"),
    [
        ('objective=dream, octaves=2, guide="no.png"', "E411", '"no.png"'),
        ('objective=dream, octaves=2, guide="sample:nobody"', "E415", '"sample:nobody"'),
        ('objective=dream, octaves=2, guide="folder"', "E411", '"folder"'),
        ("objective=dream, octaves=2, guide=3", "E213", "3"),
    ],
)
def test_a_guide_that_is_not_there_is_refused_where_it_is_named(tmp_path, written, code, words):
    (tmp_path / "folder").mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(GUIDE).save(tmp_path / "folder" / name)
    text = f'input "sample:chelsea"\nblock1a.depthwise.whole | activation | present(featvis, {written})\n'
    path = tmp_path / "page.bbi"
    path.write_text(text)
    with pytest.raises(BbiError) as refused:
        bbilang.check(path)
    (diagnostic,) = refused.value.diagnostics
    assert diagnostic.code == code and text[diagnostic.span.start : diagnostic.span.end] == words


def test_a_guide_needs_a_dream_by_octaves():
    for text in ("block1a.depthwise.whole | activation", "block1a.depthwise.channel | top(1)"):
        with pytest.raises(BbiError, match="only a dream by octaves has a guide"):
            bbilang.run(f'{text} | present(featvis, guide="sample:coffee")', input="sample:chelsea")

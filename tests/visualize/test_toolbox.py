"""The Deep Visualization Toolbox: each regularizer beside its definition written out, and its random search."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from closeness import within
from scipy.ndimage import gaussian_filter

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.featvis.engine import Objective, Recipe, estimate, visualize
from bbilang.runtime.featvis.icon import Start
from bbilang.runtime.featvis.naturalness import most_natural, unnaturalness
from bbilang.runtime.featvis.regularization import Regularization, random_settings
from bbilang.runtime.featvis.toolbox import NOISE, STEP, blurred, candidates, mean_colour, regularized_step
from bbilang.runtime.passes import Passes

RECIPE = Recipe(size=24, steps=6, batch=2, redirect=0)
SOURCE = np.random.default_rng(3)
X, G = SOURCE.normal(size=(2, 3, 9, 7)).astype(np.float32) * 20


def stepped(x=X, g=G):
    """x after the gradient step alone."""
    return x + STEP * g / np.sqrt(np.mean(np.square(g)))


def done(number=0, x=X, g=G, **how):
    return regularized_step(torch.tensor(x), torch.tensor(g), Regularization(**how), number).numpy()


def clipped(x, measure, percent):
    """Pixel by pixel: what is below the percentile becomes the mean colour, which is zero."""
    bound, result = np.percentile(measure, percent), x.copy()
    for y in range(x.shape[1]):
        for column in range(x.shape[2]):
            if measure[y, column] < bound:
                result[:, y, column] = 0
    return result


def test_l2_decay():
    within(done(l2_decay=0.3), stepped() * 0.7, absolute=1e-4, because="float32 beside float64")
    within(done(), stepped(), absolute=1e-4, because="float32 beside float64")


@pytest.mark.parametrize("width", [0.5, 1.0, 3.0])
def test_blur_is_scipys(width):
    within(
        blurred(torch.tensor(X), width),
        np.stack([gaussian_filter(c, width) for c in X]),
        absolute=1e-3,
        because="float32 beside float64",
    )


def test_blur_follows_every_nth_step():
    want = np.stack([gaussian_filter(c, 1.0) for c in stepped()])
    for number in range(9):
        have = done(number, blur_every=4, blur_width=1.0)
        within(have, want if number % 4 == 0 else stepped(), absolute=1e-3, because="float32 beside float64")


@pytest.mark.parametrize("percent", [20, 50, 90])
def test_clipping_of_small_norms(percent):
    x = stepped()
    norms = np.array([[np.sqrt(sum(x[c, y, k] ** 2 for c in range(3))) for k in range(7)] for y in range(9)])
    within(done(clip_norm=percent), clipped(x, norms, percent), absolute=1e-4, because="float32 beside float64")


@pytest.mark.parametrize("percent", [20, 90])
def test_clipping_of_small_contributions(percent):
    x = stepped()
    given = np.array([[abs(sum(x[c, y, k] * G[c, y, k] for c in range(3))) for k in range(7)] for y in range(9)])
    within(done(clip_contribution=percent), clipped(x, given, percent), absolute=1e-4, because="float32 beside float64")


def test_all_together_in_the_order_of_the_authors():
    x = np.stack([gaussian_filter(c, 0.5) for c in stepped() * 0.9])
    x = clipped(x, np.linalg.norm(x, axis=0), 30)
    x = clipped(x, np.abs((x * G).sum(0)), 40)
    how = {"l2_decay": 0.1, "blur_every": 1, "blur_width": 0.5, "clip_norm": 30, "clip_contribution": 40}
    within(done(5, **how), x, absolute=1e-3, because="float32 beside float64")


def by_hand(adapter, how, steps, seed_noise):
    """The whole ascent of act1's channel 2: plain torch for the gradient, NumPy for the rest."""
    x = seed_noise
    for number in range(steps):
        x = np.clip(x + 127.5, 0, 255) - 127.5
        leaf = torch.tensor(x[None]).requires_grad_()
        layer = adapter.module.act1(adapter.module.norm1(adapter.module.conv1(adapter.normalize((leaf + 127.5) / 255))))
        layer[0, 2].mean().backward()
        x = stepped(x, (g := leaf.grad[0].numpy())) * (1 - how.l2_decay)
        if how.blur_every and number % how.blur_every == 0:
            x = np.stack([gaussian_filter(c, how.blur_width) for c in x])
        if how.clip_norm:
            x = clipped(x, np.linalg.norm(x, axis=0), how.clip_norm)
        if how.clip_contribution:
            x = clipped(x, np.abs((x * g).sum(0)), how.clip_contribution)
    return np.clip(x + 127.5, 0, 255).round().transpose(1, 2, 0)


@pytest.mark.parametrize(
    "how",
    [
        Regularization(),
        Regularization(l2_decay=0.2),
        Regularization(blur_every=2, blur_width=0.7),
        Regularization(0.01, 2, 0.5, 20, 20),
    ],
    ids=Regularization.words,
)
def test_an_icon_is_the_ascent_by_hand(adapter, how):
    adapter.module.eval()
    start = Start.of(SOURCE.integers(90, 160, (24, 24, 3)).astype(np.uint8))
    objective = Objective("act1", 2, start=start, regularization=how)
    recipe = replace(RECIPE, plain=True)
    (icon,) = visualize(adapter, [objective], recipe)
    want = by_hand(adapter, how, 6, start.array().transpose(2, 0, 1).astype(np.float32) - 127.5)
    differ = np.abs(icon.picture.astype(float) - want)
    assert (differ > 1).mean() < 0.01, "a pixel at a threshold may fall on either side"
    assert not icon.dead and icon.objective != 0


def test_regularizers_change_the_picture_and_are_told_apart(adapter, tmp_path):
    adapter.module.eval()
    cache = Cache(tmp_path)
    ways = [None, Regularization(), Regularization(0.3), Regularization(blur_every=1, blur_width=1.0),
            Regularization(clip_norm=60), Regularization(clip_contribution=60)]  # fmt: skip
    objectives = [Objective("act2", 1, regularization=how) for how in ways]
    icons = visualize(adapter, objectives, RECIPE, cache)
    assert len({icon.picture.tobytes() for icon in icons}) == len(ways)
    counter = Passes()
    again = visualize(adapter, objectives, RECIPE, cache, counter=counter)
    assert counter.forwards == 0 and counter.cached_icons == len(ways)
    assert all((a.picture == b.picture).all() for a, b in zip(again, icons, strict=True))
    alone = visualize(adapter, objectives[2:3], RECIPE)
    assert (alone[0].picture == icons[2].picture).all(), "an icon is the same in any batch"


def test_a_unit_without_a_gradient_stays_grey_and_says_why(adapter):
    adapter.module.eval()
    adapter.module.conv2.bias.data[5] = -9.0
    adapter.module.norm2.running_mean.data[5] = 0.0
    (icon,) = visualize(adapter, [Objective("act2", 5, regularization=Regularization())], RECIPE)
    assert icon.dead and "gradient" in icon.reason and (icon.picture == 128).all()


def test_the_mean_colour_is_what_normalization_takes_to_zero():
    mean, spread = torch.tensor([0.5, 0.25, 0.4]).view(3, 1, 1), torch.tensor([0.2, 0.3, 0.25]).view(3, 1, 1)
    found = mean_colour(lambda x: (x - mean) / spread, 3, torch.device("cpu"))
    within(found, mean * 255, absolute=1e-3, because="float32 beside float64")


def test_the_settings_of_a_search():
    first = random_settings(200, 7)
    assert first[:50] == random_settings(50, 7) and first != random_settings(200, 8)
    for name, low, high in (("l2_decay", 1e-4, 0.3), ("blur_width", 0.3, 1.5), ("blur_every", 1, 8),
                            ("clip_norm", 10, 90), ("clip_contribution", 10, 90)):  # fmt: skip
        on = [getattr(s, name) for s in first if getattr(s, name)]
        assert 70 < len(on) < 130 and low <= min(on) and max(on) <= high
    assert all(bool(s.blur_every) == bool(s.blur_width) for s in first)


def photograph_like(size, power, seed=0):
    """Noise whose amplitude falls with frequency ** power, in [0, 255]."""
    source = np.random.default_rng(seed)
    f = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None, :]) * size
    f[0, 0] = np.inf
    grey = np.fft.ifft2(np.fft.fft2(source.normal(size=(size, size))) / f**power).real
    return (127 + np.clip(grey / grey.std() * 40, -127, 127))[..., None].repeat(3, 2).astype(np.uint8)


def test_natural_pictures_are_more_natural(efficientnet):
    from bbilang.runtime.inputs.load import picture_of

    pictures = [picture_of(name, name, efficientnet).shown for name in ("sample:chelsea", "sample:coffee")]
    photographs = [unnaturalness(np.asarray(picture)) for picture in pictures]
    noise = [unnaturalness(photograph_like(64, power)) for power in (0.0, 4.0)]
    noise.append(unnaturalness(np.full((64, 64, 3), 128, np.uint8)))
    assert max(photographs) < 0.5 * min(noise), (photographs, noise)


def test_the_best_of_a_search_show_the_unit():
    pictures = [photograph_like(32, power) for power in (0.0, 1.2, 1.2, 0.0)]
    assert most_natural(pictures, [1.0, 0.1, 0.9, 0.6], 2) == [2, 0], "the second is natural, and shows nothing"
    assert most_natural(pictures, [1.0, 0.1, 0.9, 0.6], 4)[-1] == 1
    assert most_natural(pictures, [-1.0, -1.0, -1.0, -2.0], 1) == [1]


def test_a_search_shows_the_most_natural_of_all(adapter, tmp_path):
    adapter.module.eval()
    cache = Cache(tmp_path)
    wanted = [Objective("act2", 1, number=n, pictures=3, search=7) for n in range(3)]
    counter = Passes()
    found = visualize(adapter, wanted, RECIPE, cache, counter=counter)
    every = visualize(adapter, candidates(wanted[0], RECIPE), RECIPE)
    order = most_natural([i.picture for i in every], [i.objective for i in every], 3)
    assert [i.picture.tobytes() for i in found] == [every[n].picture.tobytes() for n in order]
    # the tries are remembered: the fourth of them costs nothing
    counter = Passes()
    visualize(adapter, [Objective("act2", 1, number=3, pictures=4, search=7)], RECIPE, cache, counter=counter)
    assert counter.backwards == 0
    assert estimate(adapter, wanted, RECIPE, cache)[0] == 0


def test_what_does_not_go_together(adapter):
    for recipe in (replace(RECIPE, transparency=True), replace(RECIPE, parametrization="maco")):
        with pytest.raises(BbiError, match="do not go together") as refused:
            visualize(adapter, [Objective("act2", 1, regularization=Regularization())], recipe)
        assert refused.value.diagnostics[0].code == "E510"
    with pytest.raises(BbiError, match="diversity"):
        Objective("act2", 1, pictures=2, regularization=Regularization())


def test_noise_to_begin_with(adapter):
    adapter.module.eval()
    (icon,) = visualize(adapter, [Objective("act1", 0, regularization=Regularization(l2_decay=0))],
                        replace(RECIPE, steps=1, size=64))  # fmt: skip
    spread = icon.picture.astype(float).std()
    assert NOISE * 0.8 < spread < np.hypot(NOISE, STEP) * 1.3

"""Objectives beyond a channel: places, classes, negatives, several pictures, starts; transparency; only phases."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from closeness import close_to, within
from torch import nn

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime import passes
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.featvis.engine import Icon, Objective, Recipe, visualize
from bbilang.runtime.featvis.icon import Start, icon_key, look_up, pack, unpack
from bbilang.runtime.featvis.losses import DIVERSITY_WEIGHT, Response
from bbilang.runtime.featvis.parametrization import MAGNITUDES, Fourier, Maco

RECIPE = Recipe(size=32, steps=24, batch=4, redirect=4)
PICTURE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def response(objective, batch=4, shape=(8, 3, 5)):
    return Response(shape, 1, batch, objective, torch.device("cpu"))


def activation(seed=0, batch=4):
    return torch.randn(batch, 8, 3, 5, generator=torch.Generator().manual_seed(seed))


def test_a_direction_is_the_mean_product_over_positions():
    vector = np.linspace(-1, 2, 8)
    have, own = activation(), response(Objective("x", vector))
    own.put(2, Objective("x", vector))
    want = np.mean([have[2, :, y, x].numpy() @ vector for y in range(3) for x in range(5)])
    close_to(own.measured(have)[2].item(), want)
    close_to(own.surrogate(have)[2].item(), want / np.linalg.norm(vector))


@pytest.mark.parametrize(
    ("at", "cell"), [((0, 0), (0, 0)), ((0.5, 0.5), (1, 2)), ((1, 1), (2, 4)), ((0.7, 0.1), (2, 0))]
)
def test_a_place_is_one_position(at, cell):
    own, objective = response(Objective("x", 0, at=at)), Objective("x", (1.0, 0, 0, 2.0, 0, 0, 0, 0), at=at)
    own.put(1, objective)
    have = activation()
    want = have[1, 0, *cell] + 2 * have[1, 3, *cell]
    close_to(own.measured(have)[1].item(), want.item())


def test_negative_turns_round():
    own, objective = response(Objective("x", 3)), Objective("x", 3, negative=True)
    own.put(0, objective)
    close_to(own.measured(activation())[0].item(), -activation()[0, 3].mean().item())


def test_pictures_that_are_alike_lose_of_their_objective():
    own = response(Objective("x", 1, pictures=2))
    for slot in range(4):
        own.put(slot, Objective("x", 1, number=slot % 2, pictures=2))
    have = activation()
    grams = []
    for row in have:
        flat = row.flatten(1).numpy()
        gram = np.array([[a @ b for a in flat] for b in flat])
        grams.append(gram / np.linalg.norm(gram))
    got = own.surrogate(have)
    for slot, other in ((0, 1), (1, 0), (2, 3), (3, 2)):
        value = have[slot, 1].mean().item()
        alike = (grams[slot] * grams[other]).sum()
        close_to(got[slot].item(), value - DIVERSITY_WEIGHT * abs(value) * alike)


def test_dream_and_caricature():
    dream, have = response(Objective("x", kind="dream")), activation()
    close_to(dream.measured(have)[3].item(), (have[3].numpy() ** 2).mean())
    start = Start.of(PICTURE)
    own, target = response(Objective("x", kind="caricature", start=start)), activation(1)[0]
    own.put(2, Objective("x", kind="caricature", start=start), target)
    a, b = have[2].flatten().numpy(), target.flatten().numpy()
    product, cosine = (a * b).mean(), a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    close_to(own.measured(have)[2].item(), product * max(cosine, 0.1) ** 2 + abs(product) * cosine)


def seen(adapter, icon, layer="act2"):
    picture = torch.tensor(icon.picture).permute(2, 0, 1)[None].float() / 255
    return passes.forward(adapter, picture, [layer], want_output=False)[layer][0]


def test_an_icon_of_a_place_excites_that_place(adapter):
    left, right = visualize(adapter, [Objective("act2", 1, at=(0.5, x)) for x in (0.2, 0.8)], replace(RECIPE, steps=60))
    columns = [seen(adapter, icon)[1].mean(0) for icon in (left, right)]
    assert columns[0][3] > columns[0][12] and columns[1][12] > columns[1][3]


def test_negatives_lower_and_share_no_key(adapter):
    objectives = [Objective("norm2", 1), Objective("norm2", 1, negative=True)]
    up, down = visualize(adapter, objectives, RECIPE)
    values = [seen(adapter, icon, "norm2")[1].mean().item() for icon in (up, down)]
    assert values[1] < values[0] - 0.1
    within(
        [up.objective, down.objective],
        [values[0], -values[1]],
        absolute=0.05,
        because="the picture was rounded to bytes",
    )
    variants = [*objectives, replace(objectives[0], at=(0, 0)), replace(objectives[0], start=Start.of(PICTURE))]
    variants += [Objective("norm2", kind="dream"), replace(objectives[0], pictures=2)]
    variants += [replace(objectives[0], number=1, pictures=2)]
    assert len({icon_key("m", o, RECIPE, 4, adapter) for o in variants}) == len(variants)


def test_a_class_is_a_direction_of_the_scores(make_stub):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
    for output in ("", "4"):
        icon = visualize(make_stub(module, output), [Objective("output", 2)], RECIPE)[0]
        picture = torch.tensor(icon.picture).permute(2, 0, 1)[None].float() / 255
        within(
            module((picture - 0.5) / 0.25)[0, 2].item(),
            icon.objective,
            absolute=0.02,
            because="the picture was rounded to bytes",
        )
        assert not icon.dead


def test_several_pictures_differ_and_are_made_together(adapter, tmp_path):
    recipe, cache = replace(RECIPE, steps=40), Cache(tmp_path)
    three = [Objective("act2", 1, number=n, pictures=3) for n in range(3)]
    icons = visualize(adapter, three[1:], recipe, cache)
    held, _ = look_up(cache, three, recipe, adapter)
    assert len(held) == 3, "the first was made with them"
    assert not np.array_equal(icons[0].picture, icons[1].picture)
    again = visualize(adapter, [Objective("act2", 0, number=n, pictures=3) for n in range(3)] + three, recipe)
    assert np.array_equal(again[4].picture, icons[0].picture), "whatever else is made"


def test_a_start_is_where_an_ascent_begins(adapter):
    start = Start.of(PICTURE)
    icon = visualize(adapter, [Objective("act2", 1, start=start)], replace(RECIPE, steps=1, rate=1e-6))[0]
    assert np.abs(icon.picture.astype(int) - PICTURE).mean() < 3
    dream, cari = (
        visualize(adapter, [Objective("act2", kind=kind, start=start)], RECIPE)[0] for kind in ("dream", "caricature")
    )
    begun = torch.tensor(PICTURE).permute(2, 0, 1)[None].float() / 255
    before = passes.forward(adapter, begun, ["act2"], want_output=False)["act2"].square().mean()
    assert dream.objective > before and not cari.dead


def test_parametrizations_give_back_the_picture_they_are_given():
    picture = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0)) * 0.9 + 0.05
    fourier = Fourier(16, decay=1.5)
    close_to(fourier(fourier.inverse(picture)[None])[0], picture)


def test_only_phases_change_in_maco(adapter):
    maco = Maco(16)
    phases = torch.stack([maco.initial(torch.Generator().manual_seed(s)) for s in (0, 1)])
    values = torch.logit(maco(phases).double())
    values = torch.einsum("cr,bryx->bcyx", torch.linalg.inv(maco.colour.double()), values)
    have = torch.fft.rfft2(values).abs()
    for channel, (amplitude, power) in enumerate(MAGNITUDES):
        want = amplitude / 5**power * 256  # 3 by 4 cycles
        close_to(have[:, channel, 3, 4].tolist(), [want, want])
    icon, first = (
        visualize(adapter, [Objective("act2", 1)], replace(RECIPE, parametrization="maco", steps=n))[0] for n in (40, 1)
    )
    assert icon.objective > first.objective and not icon.dead


def test_transparency_keeps_what_is_needed(adapter, tmp_path):
    recipe = replace(RECIPE, transparency=True, steps=80)
    icon = visualize(adapter, [Objective("act2", 1, at=(0.25, 0.25))], recipe)[0]
    alpha = icon.picture[..., 3].astype(float)
    assert icon.picture.shape == (32, 32, 4) and alpha.mean() < 120
    assert alpha[4:14, 4:14].mean() > alpha[20:, 20:].mean(), "what the place sees is kept"
    copy = unpack(*pack(icon))
    assert np.array_equal(copy.picture, icon.picture)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Objective("act2", 0, kind="wish"),
        lambda: Objective("act2", 0, at=(0, 1.5)),
        lambda: Objective("act2", 0, number=2, pictures=2),
        lambda: Objective("act2", kind="caricature"),
    ],
)
def test_objectives_that_cannot_be(make):
    with pytest.raises(BbiError) as error:
        make()
    assert error.value.diagnostics[0].code == "E510"


def test_recipes_and_layers_that_cannot_be(adapter, make_stub):
    module = nn.Sequential(nn.Conv2d(3, 6, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
    cases = [
        (adapter, Objective("act2", 0), replace(RECIPE, parametrization="wavelets")),
        (adapter, Objective("act2", 0), replace(RECIPE, parametrization="maco", transparency=True)),
        (adapter, Objective("act2", kind="dream", number=0, pictures=2), RECIPE),
        (adapter, Objective("act2", 0, pictures=5), RECIPE),
        (make_stub(module), Objective("output", 1, at=(0, 0)), RECIPE),
    ]
    for subject, objective, recipe in cases:
        with pytest.raises(BbiError) as error:
            visualize(subject, [objective], recipe)
        assert error.value.diagnostics[0].code == "E510"


def test_icons_without_transparency_stay_as_they_were():
    icon = Icon(PICTURE, 1.5)
    assert unpack(*pack(icon)).picture.shape == (32, 32, 3)

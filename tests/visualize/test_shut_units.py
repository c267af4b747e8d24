"""Units that faint noise leaves shut, planted by explicit weights: they get a picture that opens them."""

from dataclasses import replace

import libraries
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from closeness import close_to
from torch import nn

from bbilang.runtime import passes
from bbilang.runtime.featvis.engine import Objective, Recipe, visualize
from bbilang.runtime.featvis.starts import PATIENCE, STARTS
from bbilang.runtime.featvis.transforms import Transforms
from bbilang.runtime.passes import run_to

RECIPE = Recipe(size=32, steps=48, batch=4)
GATES = {
    "relu": nn.ReLU(),
    "relu6": nn.ReLU6(),
    "gelu": nn.GELU(),
    "silu": nn.SiLU(),
    "sigmoid": nn.Sigmoid(),
    "hardswish": nn.Hardswish(),
    "hardsigmoid": nn.Hardsigmoid(),
}
STRIPES = torch.tensor([1.0, 1.0, -1.0, -1.0]) / 16


class Called(nn.Module):
    """The gate as a function, which no module can be patched for."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def planted(make_stub, gate, bias):
    """Four channels that want vertical stripes of four pixels; ``bias`` shuts them on noise. The fifth is blind."""
    convolution = nn.Conv2d(3, 5, 4, stride=2)
    with torch.no_grad():
        convolution.weight[:4] = STRIPES.expand(3, 4, 4)
        convolution.weight[4] = 0.0
        convolution.bias[:] = torch.tensor([0.0, *bias, -20.0][:5]) if isinstance(bias, tuple) else bias
    return make_stub(nn.Sequential(convolution, gate))


def values_of(adapter, picture):
    """The values before and after the gate, (channel, y, x)."""
    x = torch.tensor(picture.copy()).permute(2, 0, 1)[None].float() / 255
    before = adapter.module[0](adapter.normalize(x))[0]
    return before, adapter.module[1](before)


@pytest.mark.parametrize("kind", [*GATES, "relu called", "gelu called", "clamp called"])
def test_a_planted_shut_unit_is_opened(make_stub, kind):
    called = {
        "relu called": Called(F.relu),
        "gelu called": Called(F.gelu),
        "clamp called": Called(lambda x: x.clamp(min=0)),
    }
    gate = called.get(kind) or GATES[kind]
    adapter = planted(make_stub, gate, -2.0)  # noise gives at most some tenths, stripes of full contrast 6
    (icon,) = visualize(adapter, [Objective("1", 1)], RECIPE)
    before, after = values_of(adapter, icon.picture)
    assert not icon.dead, icon.reason
    assert before[1].max() > 0.5 and after[1].max() > 0.5
    assert icon.objective > gate(torch.tensor(-2.0)).item() + 0.02
    stripes = torch.tensor(icon.picture.copy()).float().mean((0, 2))
    assert abs(np.corrcoef(stripes[:-2], stripes[2:])[0, 1]) > 0.5, "light and dark alternate after two pixels"


@pytest.mark.parametrize("kind", ["relu6", "gelu", "silu", "hardswish"])
def test_what_no_picture_opens_is_grey_and_says_what_was_measured(make_stub, kind):
    adapter = planted(make_stub, GATES[kind], -50.0)
    counter = passes.Passes()
    shut, blind = visualize(adapter, [Objective("1", 1), Objective("1", 4)], RECIPE, counter=counter)
    for icon in (shut, blind):
        assert icon.dead and (icon.picture == 128).all()
    missing = float(shut.reason.split("stayed ")[1].split()[0])
    assert 40.0 < missing < 50.0 and f"{STARTS} starts" in shut.reason, "contrast 1 / .25 over 16 of 48 pixels each"
    assert "no gradient" in blind.reason
    assert counter.backwards <= STARTS * 3 * 32


def test_a_unit_that_hardly_depends_on_the_picture_is_given_up_soon(make_stub):
    """A dead unit has tiny weights: no start repeats its first steps. One that rises repeats them."""
    adapter = planted(make_stub, nn.ReLU6(), -1.0)
    with torch.no_grad():
        adapter.module[0].weight[1] *= 1e-6
    counter = passes.Passes()
    (icon,) = visualize(adapter, [Objective("1", 1)], RECIPE, counter=counter)
    assert icon.dead and f"{STARTS} starts" in icon.reason and "stayed 1 too low" in icon.reason
    assert counter.backwards == STARTS * (RECIPE.redirect + PATIENCE)
    rising = planted(make_stub, nn.ReLU6(), -50.0)
    counter = passes.Passes()
    visualize(rising, [Objective("1", 1)], RECIPE, counter=counter)
    assert counter.backwards > STARTS * (RECIPE.redirect + PATIENCE)


def test_a_pooled_unit_is_opened_and_one_that_cannot_be_says_so(make_stub):
    """Pooling has no nonlinearity of its own: that in front of it is shut."""
    adapter = planted(make_stub, nn.ReLU(), (-2.0, -50.0, 0.0))
    pooled = make_stub(nn.Sequential(*adapter.module, nn.AdaptiveMaxPool2d(1)))
    opened, shut, blind = visualize(pooled, [Objective("2", c) for c in (1, 2, 4)], RECIPE)
    assert not opened.dead and opened.objective > 1
    assert shut.dead and "opened it" in shut.reason and "stayed shut" in shut.reason
    assert blind.dead and "no gradient" in blind.reason


def test_a_saturated_unit_is_no_dead_one(make_stub):
    """ReLU6 at its ceiling everywhere has no gradient either: the value before it goes on."""
    adapter = planted(make_stub, nn.ReLU6(), 20.0)
    with torch.no_grad():
        adapter.module[0].weight[1] = 1 / 48
    plain, icon = (visualize(adapter, [Objective("1", 1)], replace(RECIPE, plain=p))[0] for p in (True, False))
    assert plain.dead and not icon.dead and icon.objective == 6.0
    assert values_of(adapter, icon.picture)[0][1].mean() > 20.5


def test_a_unit_that_opens_late_is_the_same_in_any_company(make_stub):
    adapter = planted(make_stub, nn.ReLU6(), (-3.0, -2.5, 0.5))
    alone = {c: visualize(adapter, [Objective("1", c)], RECIPE)[0] for c in range(4)}
    small = replace(RECIPE, batch=4)
    together = visualize(adapter, [Objective("1", c) for c in (3, 4, 1, 0, 2)], small)
    for c, icon in zip((3, 4, 1, 0, 2), together, strict=True):
        if c in alone:
            assert np.array_equal(icon.picture, alone[c].picture) and icon.reason == alone[c].reason


def test_what_is_least_of_a_shut_unit(make_stub):
    """As little as possible of a unit that is 0 already: the value before the nonlinearity falls."""
    adapter = planted(make_stub, nn.ReLU(), 0.0)
    (icon,) = visualize(adapter, [Objective("1", 1, negative=True)], RECIPE)
    assert not icon.dead
    before, _ = values_of(adapter, icon.picture)
    assert before[1].mean() < values_of(adapter, np.full((32, 32, 3), 128, np.uint8))[0][1].mean() + 0.05


def test_less_of_a_unit_that_is_shut_everywhere(make_stub):
    """It is no unit that cannot be opened: a unit of brightness gets a dark picture."""
    adapter = planted(make_stub, nn.ReLU(), -20.0)
    with torch.no_grad():
        adapter.module[0].weight[1] = 1 / 48
    (icon,) = visualize(adapter, [Objective("1", 1, negative=True)], RECIPE)
    assert not icon.dead and icon.objective == 0.0, icon.reason
    assert icon.picture.mean() < 100, "darker than grey"


@pytest.mark.parametrize("kind", ["gelu", "silu", "sigmoid", "hardswish"])
def test_the_gradient_of_an_open_gate_is_torchs(make_stub, kind):
    adapter = planted(make_stub, GATES[kind], 0.0)
    x = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
    want = torch.autograd.grad(adapter.module(adapter.normalize(x))[:, 1].mean((1, 2)).sum(), x)[0]
    with run_to(adapter, "1", through_relu=True) as run:
        run.through_own = True
        for _ in range(2):
            (got,) = run.backward(run(x)[:, 1].mean((1, 2)).sum() * 1.0, [x])
        close_to(got, want)
        assert run.opened().tolist() == [True] * 3 or kind == "sigmoid"


def test_32_channels_of_head_are_alive(efficientnet):
    chosen = np.random.default_rng(0).choice(1280, 32, replace=False)
    objectives = [Objective("head", int(c)) for c in chosen]
    icons = visualize(efficientnet, objectives, Recipe(size=48, steps=20, batch=8))
    assert [icon.reason for icon in icons if icon.dead] == []
    assert min(icon.objective for icon in icons) > 3.0


def test_a_transformers_neurons_and_classes():
    libraries.need("timm")
    import timm

    from bbilang.runtime.models.adapt import adapt

    torch.manual_seed(0)
    vit = timm.create_model(
        "vit_tiny_patch16_224", pretrained=False, img_size=32, patch_size=8, depth=2, embed_dim=24, num_heads=2
    ).eval()
    with torch.no_grad():
        vit.blocks[1].mlp.fc1.weight.normal_(0, 0.5)
        vit.blocks[1].mlp.fc1.bias[:8] = -4.0  # shut on noise; the largest that a normalized token can add is 12
        vit.head.weight.normal_(0, 0.2)
    adapter = adapt(vit, (32, 32))
    still = Transforms(pad=0, jitter=0, scale=(1.0, 1.0), largest=1.0, rotate=0.0, last_jitter=0)
    recipe = Recipe(size=32, steps=64, batch=4, transforms=still)
    neurons = visualize(adapter, [Objective("blocks.1.mlp.act", c) for c in (0, 3, 7, 50)], recipe)
    classes = visualize(adapter, [Objective("output", c) for c in (0, 5, 999)], recipe)
    start = visualize(adapter, [Objective("output", c) for c in (0, 5, 999)], replace(recipe, steps=1))
    assert not any(icon.dead for icon in (*neurons, *classes)), [icon.reason for icon in (*neurons, *classes)]
    assert all(a.objective > b.objective for a, b in zip(classes, start, strict=True))
    x = torch.tensor(np.stack([icon.picture for icon in neurons])).permute(0, 3, 1, 2).float() / 255
    seen = passes.forward(adapter, x, ["blocks.1.mlp.act"], want_output=False)["blocks.1.mlp.act"]
    assert all(seen[row, :, c].max() > 0.5 for row, c in enumerate((0, 3, 7, 50)))

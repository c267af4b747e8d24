"""The engine on a small network: company, cache, interruptions, dead channels, sizes, memory."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from closeness import close_to, within
from torch import nn

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime import passes
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.featvis.engine import Objective, Recipe, estimate, visualize
from bbilang.runtime.featvis.fuse_batchnorm import FusedAdapter, fused
from bbilang.runtime.featvis.schedule import schedule_of

RECIPE = Recipe(size=32, steps=24, batch=4, redirect=4)
STEPS = schedule_of(RECIPE).steps


def channels(*indices, layer="act2"):
    return [Objective(layer, c) for c in indices]


def equal(a, b):
    return np.array_equal(a.picture, b.picture) and (a.objective, a.dead, a.reason) == (b.objective, b.dead, b.reason)


def test_icons_have_their_shape_and_climb(adapter):
    icons = visualize(adapter, channels(0, 1, 2), RECIPE)
    first = visualize(adapter, channels(0, 1, 2), replace(RECIPE, steps=1))
    for icon, start in zip(icons, first, strict=True):
        assert icon.picture.shape == (32, 32, 3) and icon.picture.dtype == np.uint8 and not icon.dead
        assert icon.objective > start.objective


def test_an_icon_is_the_same_in_any_company_and_order(adapter):
    alone = {c: visualize(adapter, channels(c), RECIPE)[0] for c in (0, 3, 6)}
    together = visualize(adapter, channels(6, 1, 3, 2, 7, 0), RECIPE)
    for at, c in ((0, 6), (2, 3), (5, 0)):
        assert equal(together[at], alone[c]), c


def test_equal_objectives_are_made_once_and_passes_are_counted(adapter):
    counter = passes.Passes()
    icons = visualize(adapter, [*channels(0, 1, 0), Objective("act1", 2), *channels(0)], RECIPE, counter=counter)
    assert icons[0] is icons[2] is icons[4]
    assert counter.backwards == 2 * STEPS, "one batch for each of two layers"
    assert counter.backward_rows == 2 * STEPS * RECIPE.batch


def test_vectors_and_their_negatives(adapter):
    vector = np.linspace(-1, 1, 8)
    plus, minus = visualize(adapter, [Objective("norm2", vector), Objective("norm2", -vector)], RECIPE)
    assert not equal(plus, minus)
    assert Objective("norm2", vector) == Objective("norm2", tuple(vector.tolist())) and hash(Objective("a", vector))
    assert plus.objective > visualize(adapter, [Objective("norm2", vector)], replace(RECIPE, steps=1))[0].objective


@pytest.mark.parametrize("direction", [8, -1, (1.0, 2.0), (float("nan"),) * 8])
def test_directions_that_do_not_fit(adapter, direction):
    with pytest.raises(BbiError) as error:
        visualize(adapter, [Objective("act2", direction)], RECIPE)
    assert error.value.diagnostics[0].code == "E510"


def test_the_measured_objective_is_that_of_the_picture(adapter):
    (icon,) = visualize(adapter, channels(1), RECIPE)
    picture = torch.tensor(icon.picture).permute(2, 0, 1)[None].float() / 255
    got = passes.forward(adapter, picture, ["act2"], want_output=False)["act2"][0, 1].mean()
    within(got.item(), icon.objective, relative=0.02, because="the picture was rounded to bytes")


def test_seeds_and_recipes_matter(adapter):
    icons = [visualize(adapter, channels(0), replace(RECIPE, **c))[0] for c in ({}, {"seed": 1}, {"decay": 1.0})]
    assert not equal(icons[0], icons[1]) and not equal(icons[0], icons[2])


def test_the_cache_gives_the_same_bits_and_runs_nothing(adapter, tmp_path):
    cache, counter = Cache(tmp_path), passes.Passes()
    first = visualize(adapter, channels(0, 5, 2), RECIPE, cache)
    assert estimate(adapter, channels(0, 5, 2), RECIPE, cache) == (0, 0.0)
    again = visualize(adapter, channels(2, 0, 5), RECIPE, Cache(tmp_path), counter=counter)
    assert all(equal(again[i], first[j]) for i, j in ((0, 2), (1, 0), (2, 1)))
    assert counter == passes.Passes(cached_icons=3)


@pytest.mark.parametrize("change", ["weights", "recipe", "normalization"])
def test_the_cache_key_holds_what_the_icon_depends_on(adapter, tmp_path, change):
    cache = Cache(tmp_path)
    visualize(adapter, channels(0), RECIPE, cache)
    recipe = replace(RECIPE, rate=0.1) if change == "recipe" else RECIPE
    if change == "weights":
        adapter.module.conv2.weight.data[0, 0, 0, 0] += 1e-3
    if change == "normalization":
        adapter.normalize = lambda x: x
    counter = passes.Passes()
    visualize(adapter, channels(0), recipe, cache, counter=counter)
    assert counter.backwards == schedule_of(recipe).steps


def test_a_damaged_icon_is_made_again(adapter, tmp_path):
    first = visualize(adapter, channels(0), RECIPE, Cache(tmp_path))
    (path,) = [p for p in tmp_path.rglob("*") if p.is_file()]
    path.write_bytes(path.read_bytes()[:-9])
    cache = Cache(tmp_path)
    assert equal(visualize(adapter, channels(0), RECIPE, cache)[0], first[0]) and cache.damaged == 1


class Interrupted(passes.Passes):
    """Ctrl-C in the middle of the second batch."""

    def backward(self, rows):
        super().backward(rows)
        if self.backwards == STEPS + 5:
            raise KeyboardInterrupt


def test_an_interruption_keeps_finished_icons_and_gives_the_model_back(adapter, tmp_path):
    adapter.module.train()
    adapter.module.conv1.weight.grad = torch.ones_like(adapter.module.conv1.weight)
    with pytest.raises(KeyboardInterrupt):
        visualize(adapter, channels(0, 1, 2, 3, 4, 6, 7), RECIPE, Cache(tmp_path), counter=Interrupted())
    assert estimate(adapter, channels(0, 1, 2, 3, 4, 6, 7), RECIPE, Cache(tmp_path))[0] == 3
    for module in adapter.module.modules():
        assert module.training and not module._forward_hooks and "forward" not in module.__dict__
    assert all(p.requires_grad for p in adapter.module.parameters())
    assert (adapter.module.conv1.weight.grad == 1).all() and adapter.module.conv2.weight.grad is None


def test_a_dead_channel_is_grey_and_said_to_be(adapter):
    adapter.module.norm2.bias.data[5] = -3.0
    dead, alive = visualize(adapter, channels(5, 0), RECIPE)
    assert dead.dead and "no gradient" in dead.reason and (dead.picture == 128).all() and dead.objective == 0
    assert not alive.dead


def test_not_finite_is_said_and_harms_no_neighbour(make_stub):
    class Root(nn.Module):
        def forward(self, x):
            return torch.cat([x, (x - 0.5).sqrt()], 1)  # NaN below one half, at the first step already

    adapter = make_stub(nn.Sequential(nn.Identity(), Root()))
    adapter.normalize = lambda x: x
    recipe = replace(RECIPE, transforms=replace(RECIPE.transforms, pad=0))
    with pytest.raises(BbiError) as error:
        visualize(adapter, [Objective("1", 4)], recipe)
    assert error.value.diagnostics[0].code == "E503"


def test_progress_and_estimate(adapter):
    told = []
    visualize(adapter, channels(0, 1, 1), RECIPE, progress=lambda *args: told.append(args))
    assert told[-1] == (2, 2, 0.0)
    count, seconds = estimate(adapter, channels(0, 1, 1, 2, 3, 4), RECIPE)
    assert count == 5 and 0 < seconds < 60
    close_to(estimate(adapter, channels(0), RECIPE)[1], seconds / 2)


def test_what_is_to_be_made_is_announced_and_cached_icons_are_read_once(adapter, tmp_path):
    visualize(adapter, channels(0, 1), RECIPE, Cache(tmp_path))
    cache, told = Cache(tmp_path), []
    visualize(adapter, channels(0, 1, 2, 2), RECIPE, cache, announce=lambda *args: told.append(args))
    ((count, seconds),) = told
    assert count == 1 and seconds > 0 and (cache.hits, cache.misses) == (2, 1)


def test_a_network_of_one_size_gets_that_size(make_stub):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 20 * 24, 6))
    adapter = make_stub(module, input_size=(20, 24))
    icon, early = visualize(adapter, [Objective("3", 2), Objective("0", 1)], RECIPE)
    assert icon.picture.shape == early.picture.shape == (32, 32, 3) and not icon.dead


def test_out_of_memory_halves_the_batch(adapter, monkeypatch, tmp_path):
    sizes = []

    class Small(passes.Passes):
        def forward(self, rows, resumed=False):
            sizes.append(rows)
            if rows > 2:
                raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    icons = visualize(adapter, channels(0, 1, 2), RECIPE, Cache(tmp_path), counter=Small())
    small = visualize(adapter, channels(0, 1, 2), replace(RECIPE, batch=2))
    assert max(sizes) == 4 and all(equal(a, b) for a, b in zip(icons, small, strict=True))

    class None_(passes.Passes):
        def forward(self, rows, resumed=False):
            raise MemoryError

    with pytest.raises(BbiError) as error:
        visualize(adapter, channels(4), RECIPE, counter=None_())
    assert error.value.diagnostics[0].code == "E504"


def test_a_layer_that_runs_twice(make_stub):
    relu = nn.ReLU(inplace=True)
    adapter = make_stub(nn.Sequential(nn.Conv2d(3, 4, 3), relu, nn.Conv2d(4, 4, 3), relu))
    with pytest.raises(BbiError) as error:
        visualize(adapter, [Objective("1", 0)], RECIPE)
    assert error.value.diagnostics[0].code == "E501"


@pytest.mark.parametrize("layer", ["conv1", "norm1", "act1", "conv2", "norm2", "act2"])
def test_folded_layers_equal_the_originals(adapter, layer):
    adapter.module[-1] = nn.Identity()
    images = torch.rand(2, 3, 20, 20)
    fast = fused(adapter, layer, images)
    assert isinstance(fast, FusedAdapter) and fast.module is not adapter.module
    assert isinstance(fast.module.norm2, nn.BatchNorm2d) == (layer == "conv2")
    want = passes.forward(adapter, images, [layer])[layer]
    close_to(passes.forward(fast, images, [layer])[layer], want)
    assert isinstance(adapter.module.norm2, nn.BatchNorm2d) and adapter.module.conv1.bias is None


def test_what_cannot_be_folded_or_copied_is_run_as_it_is(make_stub):
    class Reader(nn.Module):
        """Reads a convolution's result twice, once past its batch norm."""

        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.sum = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Identity()
            self.norm.running_mean.fill_(0.3)

        def forward(self, x):
            x = self.conv(x)
            return self.sum(x + self.norm(x))

    adapter = make_stub(Reader())
    assert fused(adapter, "sum", torch.rand(2, 3, 8, 8)) is adapter

    class Alone(nn.Sequential):
        def __deepcopy__(self, memo):
            raise TypeError("there is one of it")

    adapter = make_stub(Alone(nn.Conv2d(3, 4, 3)))
    assert fused(adapter, "0", torch.rand(2, 3, 8, 8)) is adapter

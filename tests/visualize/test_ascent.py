"""The ascent beside a slow twin, its queue of slots, early ends, memory, and what only an accelerator has."""

import gc
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from closeness import close_to
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from bbilang.runtime import passes
from bbilang.runtime.device import accelerate
from bbilang.runtime.featvis import schedule
from bbilang.runtime.featvis.ascent import Ascent, adam_step
from bbilang.runtime.featvis.engine import Objective, Recipe, make, visualize
from bbilang.runtime.featvis.icon import seed_of
from bbilang.runtime.featvis.parametrization import Fourier, initial_spectrum
from bbilang.runtime.featvis.schedule import Schedule, converged, schedule_of
from bbilang.runtime.featvis.transforms import affine

RECIPE = Recipe(size=24, steps=10, batch=2, redirect=0)


def channels(*indices, layer="act2"):
    return [Objective(layer, c) for c in indices]


def equal(a, b):
    return np.array_equal(a.picture, b.picture) and (a.objective, a.dead, a.reason) == (b.objective, b.dead, b.reason)


def slow(adapter, objective, recipe, steps, rates, moments, view, outside, widening=0):
    """One icon, one at a time: the network as it comes, whole, with torch's own layers and textbook Adam."""
    source = torch.Generator().manual_seed(seed_of(recipe, objective))
    spectrum = initial_spectrum(recipe.size, recipe.deviation, source)[None].double()
    draws = recipe.transforms.within(recipe.size, (32, 32)).draw(steps, source, widening)
    maps = affine(draws, recipe.size, view)
    fourier = Fourier(recipe.size, decay=recipe.decay)
    fourier.scale, fourier.colour = fourier.scale.double(), fourier.colour.double()
    network = nn.Sequential(*(m for name, m in adapter.module.named_children() if name != "never")).double().eval()
    mean = square = torch.zeros_like(spectrum)
    for step in range(steps):
        spectrum.requires_grad_()
        grid = F.affine_grid(maps[step][None].double(), [1, 3, view, view], align_corners=False)
        seen = F.grid_sample(fourier(spectrum) - 0.5, grid, padding_mode=outside, align_corners=False) + 0.5
        loss = -network(adapter.normalize(seen))[0, objective.direction].mean()
        (gradient,) = torch.autograd.grad(loss, spectrum)
        mean = moments[0] * mean + (1 - moments[0]) * gradient
        square = moments[1] * square + (1 - moments[1]) * gradient**2
        own, other = mean / (1 - moments[0] ** (step + 1)), square / (1 - moments[1] ** (step + 1))
        spectrum = spectrum.detach() - rates[step] * own / (other.sqrt() + 1e-8)
    return fourier(spectrum)[0].permute(1, 2, 0).detach().numpy() * 255


def test_the_plain_ascent_equals_a_slow_twin(adapter):
    recipe = replace(RECIPE, plain=True)
    icon = visualize(adapter, channels(1), recipe)[0]
    view = recipe.transforms.view_size(24)
    want = slow(adapter, *channels(1), recipe, 10, [0.05] * 10, (0.9, 0.999), view, "zeros")
    assert np.abs(icon.picture - want).mean() < 1.5, "Adam's first steps magnify the last bits"


def test_the_schedule_equals_a_slow_twin(adapter, monkeypatch):
    monkeypatch.setattr("bbilang.runtime.featvis.ascent.multiplies_bfloat16", lambda device: False)
    recipe = replace(RECIPE, rate=0.02, seed=1)  # others magnify the last bits at the limits of ReLU6
    icon = visualize(adapter, channels(1), recipe)[0]
    rates = [0.06] * 6 + [0.048, 0.036, 0.024, 0.012]
    want = slow(adapter, *channels(1), recipe, 10, rates, (0.5, 0.9), 24, "reflection", widening=72)
    assert np.abs(icon.picture - want).mean() < 0.4, "a second moment of .98 makes it .56, a first of .6 .66"


def test_adam_is_torchs():
    source = torch.Generator().manual_seed(0)
    have = torch.randn(2, 5, generator=source)
    want = [row.clone().requires_grad_() for row in have]
    adams = [torch.optim.Adam([row], lr=rate) for row, rate in zip(want, (0.1, 0.2), strict=True)]
    mean, square = torch.zeros_like(have), torch.zeros_like(have)
    schedules = [Schedule(9, rate, (0.9, 0.999), 0, True) for rate in (0.1, 0.2)]
    for step in range(6):
        gradient = torch.randn(2, 5, generator=source)
        adam_step(have, mean, square, gradient, torch.tensor([c.size(step, 9) for c in schedules]), (0.9, 0.999))
        for row, own, adam in zip(want, gradient, adams, strict=True):
            row.grad = own
            adam.step()
    close_to(have, torch.stack(want).detach())


def test_schedules():
    assert schedule_of(Recipe(steps=512)).steps == 152 and schedule_of(Recipe(steps=20)).steps == 20
    plain = schedule_of(Recipe(steps=77, plain=True))
    assert (plain.steps, plain.rate, plain.tail, plain.patient) == (77, 0.05, 0, True)
    schedule = schedule_of(Recipe(steps=512))
    late = [schedule.size(step, 152) for step in range(76, 152)]
    assert late == sorted(late, reverse=True) and late[-1] < late[0] / 40
    assert schedule.size(100, 110) < schedule.size(100, 152), "an end that is moved up brings the rate down sooner"
    assert converged([0.9, 0.999, 1.0, 1.001]) and not converged([0.9, 0.999, 1.0]) and not converged([1.0, 1.0])
    assert converged([-1.0, -1.5, -2.0])


def test_a_plain_ascent_takes_its_steps_and_the_network_as_it_comes(adapter):
    counter = passes.Passes()
    recipe = replace(RECIPE, steps=90, redirect=16, plain=True)
    visualize(adapter, channels(5), recipe, counter=counter)
    assert counter.backwards == 90, "also for a dead channel"
    with Ascent(adapter, *channels(0), recipe, 2, passes.Passes()) as ascent:
        assert ascent.runner.adapter is adapter
    with Ascent(adapter, *channels(0), RECIPE, 2, passes.Passes()) as ascent:
        assert ascent.runner.adapter is not adapter


def test_slots_are_refilled_and_an_icon_does_not_see_it(adapter, monkeypatch):
    """Icons that end at different steps; the dead channel 5 ends after 20."""
    monkeypatch.setattr(schedule, "GAIN", 0.3)
    adapter.module.norm2.bias.data[5] = -3.0
    recipe = Recipe(size=16, steps=1200, batch=2, redirect=4)
    alone = {c: visualize(adapter, channels(c), recipe) for c in (0, 2, 5, 7)}
    counter = passes.Passes()
    together = visualize(adapter, channels(5, 7, 2, 0), recipe, counter=counter)
    assert all(equal(icon, alone[c][0]) for c, icon in zip((5, 7, 2, 0), together, strict=True))
    assert together[0].dead and "no gradient" in together[0].reason
    assert counter.backwards < 2 * schedule_of(recipe).steps, "some ended early and made room"


def test_tensors_are_bounded_by_the_batch(adapter):
    def most(count):
        sizes = []

        def take(objective, icon):
            gc.collect()
            live = [o for o in gc.get_objects() if type(o) is torch.Tensor and o.dim() >= 3]
            sizes.append(sum(tensor.numel() for tensor in live))

        rows = np.random.default_rng(0).normal(size=(count, 8))
        make(adapter, [Objective("act2", row) for row in rows], take, replace(RECIPE, steps=2))
        assert len(sizes) == count
        return max(sizes)

    assert most(24) <= most(4) * 1.05


def test_half_precision_and_graphs_are_an_accelerators(adapter):
    device = torch.device("cpu")
    with accelerate.autocast_bfloat16(device, True):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32

    def step(x):
        x.add_(1)

    assert accelerate.as_cuda_graph(step, device, torch.zeros(1)) is step


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs and bfloat16 need a CUDA device")
def test_on_cuda_a_replayed_step_is_the_step():
    device, state = torch.device("cuda"), torch.zeros(3, device="cuda")
    given = torch.ones(3, device=device)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        replay = accelerate.as_cuda_graph(lambda x: state.add_(x), device, given)
    state.zero_()
    for factor in (1, 2):
        replay(given * factor)
    assert state.tolist() == [3, 3, 3]
    with accelerate.autocast_bfloat16(device, True):
        assert (given[None] @ given[:, None]).dtype == torch.bfloat16


def test_autocast_leaves_an_icon_in_shape(adapter, monkeypatch):
    """bfloat16 on the CPU, where torch has it too: the course of an ascent in half precision."""
    monkeypatch.setattr(
        "bbilang.runtime.featvis.ascent.autocast_bfloat16",
        lambda device, on: torch.autocast("cpu", torch.bfloat16, enabled=on),
    )
    recipe = replace(RECIPE, steps=40)
    rough = visualize(adapter, channels(0, 1), recipe)
    monkeypatch.undo()
    for a, b in zip(rough, visualize(adapter, channels(0, 1), recipe), strict=True):
        assert not a.dead and a.objective == pytest.approx(b.objective, rel=0.1)


class FromTheHost(TorchDispatchMode):
    """Notes what makes a tensor of Python's numbers, or moves one between devices or types."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func._schema.name in ("aten::lift_fresh", "aten::_to_copy", "aten::_local_scalar_dense"):
            self.found.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("layer", ["block5c.expand", "head"])
def test_a_step_takes_nothing_from_the_host(efficientnet, layer, monkeypatch):
    """What a CUDA graph cannot record: the normalization made its mean and deviation in every step."""
    monkeypatch.setattr("bbilang.runtime.passes.module.gates.host_readable", lambda x: False)  # as on CUDA
    recipe = Recipe(size=32, steps=2, batch=2, redirect=0)
    with Ascent(efficientnet, Objective(layer, 3), recipe, 2, passes.Passes()) as ascent:
        ascent.runner.fused = None  # a CPU's
        ascent.run(channels(3, 4, layer=layer), lambda objective, icon: None)
        maps, sizes = torch.zeros(2, 2, 3), torch.zeros(2)
        with FromTheHost() as mode:
            ascent._step(maps, sizes, torch.ones(2, dtype=torch.bool))
            assert not mode.found
            torch.zeros(3).new_tensor([1.0])
            assert mode.found, "the mode sees what it looks for"

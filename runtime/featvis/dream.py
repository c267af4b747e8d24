"""Make dreams from a photo, octave by octave: what a layer responds to is amplified in the photo at its own size.

Mordvintsev, Olah, Tyka, "Inceptionism: Going Deeper into Neural Networks", 2015, and the notebook that came with it
(google/deepdream): octaves `DREAM_SCALE` apart from coarse to fine, `DREAM_STEPS` gradient steps in each, of the mean
square of the layer, every step divided by the mean magnitude of the gradient, the picture rolled at random before each
so that no edge of the network's grid shows. What the coarser octave added is carried to the finer one. A guide is
another picture as the network sees it, whose feature vectors the gradient follows (`losses.py`).
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bbilang.compiler.optimize.cost import DREAM_MOST, DREAM_SCALE, DREAM_STEPS
from bbilang.runtime import passes
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.errors import error
from bbilang.runtime.featvis.ascent import Ascent
from bbilang.runtime.featvis.icon import NO_GRADIENT, Icon, Objective, Recipe, Start, seed_of
from bbilang.runtime.featvis.pixels import bytes_of, levels_of
from bbilang.runtime.passes.adapter import Adapter

STEP, ROLL = 1.5 / 255, 32
LEAST = 64  # pixels of the shorter side of the smallest octave


def photo_start(photo: np.ndarray, most: int = DREAM_MOST) -> Start:
    """Make the start of a dream from a photo (y, x, rgb): at its own size, with the longer side at most ``most``
    pixels."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(photo, np.uint8)).convert("RGB")
    image.thumbnail((most, most), Image.Resampling.LANCZOS)
    return Start.of(np.asarray(image))


def octave_sizes(shape: tuple[int, int], octaves: int) -> list[tuple[int, int]]:
    """Return the size (y, x) of each octave, coarsest first, without those whose shorter side would be below
    `LEAST`."""
    sizes = [(round(shape[0] / DREAM_SCALE**n), round(shape[1] / DREAM_SCALE**n)) for n in range(octaves)]
    return [size for n, size in enumerate(sizes) if n == 0 or min(size) >= LEAST][::-1]


def dreams(
    adapter: Adapter,
    objectives: Sequence[Objective],
    recipe: Recipe,
    counter: passes.Passes,
    cache: Cache | None,
    step: Callable[[int], None],
) -> Iterator[tuple[Objective, Icon]]:
    """Yield each dream as it is finished. ``step(left)``: the number of steps left, each at the mean cost of the steps
    so far. Raises BbiError E504 (memory), E510 (a network with a fixed input size)."""
    plans = [_steps(objective, recipe) for objective in objectives]
    count, done, total = 0, 0, sum(map(sum, plans))

    def report(pixels: int) -> None:
        nonlocal count, done
        count, done = count + 1, done + pixels
        step(round(count * (total - done) / done))

    for objective in objectives:
        with _ascent(adapter, objective, recipe, counter, cache) as ascent:
            yield objective, _dream(ascent, objective, recipe, report)


_speeds: weakref.WeakKeyDictionary[nn.Module, dict[tuple[object, ...], float]] = weakref.WeakKeyDictionary()


def dream_seconds(adapter: Adapter, objectives: Sequence[Objective], recipe: Recipe, cache: Cache | None) -> float:
    """Estimate the seconds that dreams take from the time of a step on the coarsest octave, measured once per layer in
    this process."""
    measured, seconds = _speeds.setdefault(adapter.module, {}), 0.0
    for objective in objectives:
        key = (objective.layer, objective.guide, recipe.plain, str(adapter.device))
        if key not in measured:
            with _ascent(adapter, objective, recipe, passes.Passes(), cache) as ascent:
                _set_guide(ascent, objective)
                photo = _pixels(_start(objective, recipe), ascent)
                small = _resized(photo, octave_sizes((photo.shape[2], photo.shape[3]), objective.octaves)[0])
                ascent.value_and_gradient(small, ascent.excite)
                start = time.perf_counter()
                float(ascent.value_and_gradient(small, ascent.excite)[1].sum())
                measured[key] = (time.perf_counter() - start) / small[0, 0].numel()
        seconds += measured[key] * sum(_steps(objective, recipe))
    return seconds


@contextmanager
def _ascent(
    adapter: Adapter, objective: Objective, recipe: Recipe, counter: passes.Passes, cache: Cache | None
) -> Iterator[Ascent]:
    with Ascent(adapter, objective, replace(recipe, batch=1), 1, counter, cache) as ascent:
        if ascent.fixed:
            text = "a dream by octaves needs a network that takes pictures of any size"
            raise error("E510", text, "leave out `octaves=`: the dream is then made at the network's own size")
        yield ascent


def _start(objective: Objective, recipe: Recipe) -> Start:
    assert objective.start is not None
    return photo_start(objective.start.array(), recipe.dream_side)


def _steps(objective: Objective, recipe: Recipe) -> list[int]:
    """Return the number of pixels of each step of a dream."""
    sizes = octave_sizes(_start(objective, recipe).shape, objective.octaves)
    return [y * x for y, x in sizes for _ in range(min(DREAM_STEPS, recipe.steps))]


def _pixels(start: Start, ascent: Ascent) -> Tensor:
    """Return the pixels (1, rgb, y, x) in [0, 1]."""
    return levels_of(start.array()).to(ascent.device) / 255


def _set_guide(ascent: Ascent, objective: Objective) -> None:
    if objective.guide is not None:
        with torch.no_grad():
            ascent.response.guide_by(ascent.excite(_pixels(objective.guide, ascent)))


def _dream(ascent: Ascent, objective: Objective, recipe: Recipe, report: Callable[[int], None]) -> Icon:
    """Make one dream. ``report(pixels)`` is called after each step."""
    start = _start(objective, recipe)
    photo, steps = _pixels(start, ascent), min(DREAM_STEPS, recipe.steps)
    _set_guide(ascent, objective)
    source, added = torch.Generator().manual_seed(seed_of(recipe, objective)), torch.zeros_like(photo)
    x, alive = photo, False
    for size in octave_sizes(start.shape, objective.octaves):
        base = _resized(photo, size)
        x = base + _resized(added, size)
        for _ in range(steps):
            roll = torch.randint(-ROLL, ROLL + 1, (2,), generator=source).tolist()
            _, gradient = ascent.value_and_gradient(torch.roll(x, roll, (2, 3)), ascent.excite)
            gradient = torch.roll(gradient, [-n for n in roll], (2, 3))
            length = gradient.abs().mean()
            alive |= bool(length > 0)
            x = (x + STEP * gradient / length.clamp_min(1e-30)).clamp(0, 1)
            report(size[0] * size[1])
        added = x - base
    with torch.no_grad():
        value = float(ascent.response.measured(ascent.excite(x))[0])
    (picture,) = bytes_of(x)
    return Icon(picture, value) if alive else Icon(picture, value, True, NO_GRADIENT)


def _resized(picture: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(picture.shape[2:]) == size:
        return picture
    return F.interpolate(picture, size, mode="bilinear", antialias=True, align_corners=False)

"""Dreams from a photo, octave by octave: what a layer responds to is raised in the photo at its own size.

Mordvintsev, Olah, Tyka, "Inceptionism: Going Deeper into Neural Networks", 2015, and the notebook that came with it
(google/deepdream): octaves `SCALE` apart from coarse to fine, `STEPS` gradient steps in each, of the mean square of the
layer, every step divided by the mean magnitude of the gradient, the picture rolled at random before each so that no
edge of the network's grid shows. What the coarser octave added is carried to the finer one. A guide is another picture
as the network sees it, whose feature vectors the gradient follows (`losses.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bbilang.runtime import passes
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.errors import error
from bbilang.runtime.featvis.ascent import Ascent
from bbilang.runtime.featvis.icon import Icon, Objective, Recipe, Start, seed_of
from bbilang.runtime.passes.adapter import Adapter

SCALE, STEPS, STEP, ROLL = 1.4, 10, 1.5 / 255, 32
LEAST = 64  # pixels of the shorter side below which there is no octave
MOST = 1024  # pixels of the longer side


def photo_start(photo: np.ndarray) -> Start:
    """A photo (y, x, rgb) as the start of a dream: at its own size, the longer side at most `MOST` pixels."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(photo, np.uint8)).convert("RGB")
    image.thumbnail((MOST, MOST), Image.Resampling.LANCZOS)
    return Start.of(np.asarray(image))


def octave_sizes(shape: tuple[int, int], octaves: int) -> list[tuple[int, int]]:
    """(y, x) of each octave, the coarsest first; those whose shorter side would be below `LEAST` are left out."""
    sizes = [(round(shape[0] / SCALE**n), round(shape[1] / SCALE**n)) for n in range(octaves)]
    return [size for n, size in enumerate(sizes) if n == 0 or min(size) >= LEAST][::-1]


def dreams(
    adapter: Adapter,
    objectives: Sequence[Objective],
    recipe: Recipe,
    counter: passes.Passes,
    cache: Cache | None,
    step: Callable[[int], None],
) -> Iterator[tuple[Objective, Icon]]:
    """Each dream as it is finished. Raises BbiError E504 (memory), E510 (a network that takes one size alone)."""
    for objective in objectives:
        with Ascent(adapter, objective, replace(recipe, batch=1), 1, counter, cache) as ascent:
            if ascent.fixed:
                text = "a dream by octaves needs a network that takes pictures of any size"
                raise error("E510", text, "leave out `octaves=`: the dream is then made at the network's own size")
            yield objective, _dream(ascent, objective, recipe, step)


def _dream(ascent: Ascent, objective: Objective, recipe: Recipe, step: Callable[[int], None]) -> Icon:
    assert objective.start is not None
    photo = torch.tensor(objective.start.array().copy()).permute(2, 0, 1)[None].float().to(ascent.device) / 255
    sizes, steps = octave_sizes(objective.start.shape, objective.octaves), min(STEPS, recipe.steps)
    if objective.guide is not None:
        guide = torch.tensor(objective.guide.array().copy()).permute(2, 0, 1)[None].float().to(ascent.device) / 255
        with torch.no_grad():
            ascent.response.guide_by(ascent.excite(guide))
    source, added = torch.Generator().manual_seed(seed_of(recipe, objective)), torch.zeros_like(photo)
    left, alive = len(sizes) * steps, False
    x = photo
    for size in sizes:
        base = _resized(photo, size)
        x = base + _resized(added, size)
        for _ in range(steps):
            roll = torch.randint(-ROLL, ROLL + 1, (2,), generator=source).tolist()
            gradient = torch.roll(_gradient(ascent, torch.roll(x, roll, (2, 3))), [-n for n in roll], (2, 3))
            length = gradient.abs().mean()
            alive |= bool(length > 0)
            x = (x + STEP * gradient / length.clamp_min(1e-30)).clamp(0, 1)
            left -= 1
            step(left)
        added = x - base
    with torch.no_grad():
        value = float(ascent.response.measured(ascent.excite(x))[0])
    picture = (x[0] * 255).round().nan_to_num(128).byte().permute(1, 2, 0).cpu().numpy()
    return Icon(picture, value) if alive else Icon(picture, value, True, "no gradient reached the picture")


def _gradient(ascent: Ascent, x: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    value = ascent.response.ascended(ascent.excite(x)).sum()
    (gradient,) = ascent.runner.backward(-value, [x])
    return -gradient


def _resized(picture: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(picture.shape[2:]) == size:
        return picture
    return F.interpolate(picture, size, mode="bilinear", antialias=True, align_corners=False)

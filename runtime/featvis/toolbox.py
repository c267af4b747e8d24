"""Icons as in the Deep Visualization Toolbox: gradient steps on pixels, each followed by regularizers.

Yosinski, Clune, Nguyen, Fuchs, Lipson, "Understanding Neural Networks Through Deep Visualization", ICML workshop 2015,
equation 2: x <- r(x + eta da/dx). x is counted from the network's mean colour in grey levels of 255, begins as normal
noise of 10 of them, and is cut to what can be shown before each step, as in the authors' code (`gradient_optimizer.py`
of deep-visualization-toolbox, whose order of regularizers is kept). The network sees the picture without transforms.
The paper leaves eta open and the code's depends on the network; here a step has a root mean square of `STEP` levels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime import passes
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.errors import error
from bbilang.runtime.featvis.ascent import Ascent
from bbilang.runtime.featvis.icon import NO_GRADIENT, NOT_FINITE, Icon, Objective, Recipe, seed_of
from bbilang.runtime.featvis.losses import by_family
from bbilang.runtime.featvis.naturalness import most_natural
from bbilang.runtime.featvis.pixels import bytes_of, levels_of
from bbilang.runtime.featvis.regularization import Regularization, random_settings
from bbilang.runtime.passes.adapter import Adapter

LEVELS, NOISE, STEP = 255.0, 10.0, 8.0

Find = Callable[[Objective], Icon | None]


def candidates(objective: Objective, recipe: Recipe) -> list[Objective]:
    """Return the candidate pictures of an objective: one for each setting of its search, else itself."""
    if objective.search == 0:
        return [objective]
    alone = replace(objective, search=0, number=0, pictures=1)
    return [replace(alone, regularization=r) for r in random_settings(objective.search, recipe.seed)]


def regularized(
    adapter: Adapter,
    objectives: Sequence[Objective],
    recipe: Recipe,
    counter: passes.Passes,
    cache: Cache | None,
    find: Find,
    step: Callable[[int], None],
) -> Iterator[tuple[Objective, Icon]]:
    """Yield each icon as it is finished: the candidates of a search first, then those chosen among them. ``find`` looks
    up an icon in the cache; ``step(left)`` is called after each step. Raises BbiError E504 (memory), E510."""
    _check(recipe)
    chosen = {o: candidates(o, recipe) for o in objectives}
    every_candidate = list(dict.fromkeys(candidate for own in chosen.values() for candidate in own))
    icons = {o: icon for o in every_candidate if (icon := find(o)) is not None}
    groups = by_family(o for o in every_candidate if o not in icons)
    left = sum(-(-len(group) // recipe.batch) for group in groups) * recipe.steps
    for group in groups:
        batch = recipe.batch
        while group:
            try:
                with Ascent(adapter, group[0], recipe, batch, counter, cache) as ascent:
                    for start in range(0, len(group), batch):
                        part, report = group[start : start + batch], partial(_report, step, left)
                        for objective, icon in _optimize(ascent, adapter.normalize, part, report):
                            icons[objective] = icon
                            yield objective, icon
                        left -= recipe.steps
                group = []
            except BbiError as e:
                if not passes.is_out_of_memory(e) or batch == 1:
                    raise
                batch //= 2
                group = [objective for objective in group if objective not in icons]
    for objective, own in chosen.items():
        if objective.search:
            made = [icons[candidate] for candidate in own]
            order = most_natural([icon.picture for icon in made], [icon.objective for icon in made], objective.pictures)
            yield objective, made[order[objective.number]]


def _report(step: Callable[[int], None], left: int, done: int) -> None:
    step(max(left - done, 0))


def _check(recipe: Recipe) -> None:
    if recipe.transparency or recipe.parametrization != "fourier":
        name = "transparency" if recipe.transparency else "parametrization"
        help = f"leave out the regularizers, or `{name}=`: with regularizers the pixels themselves are optimized"
        raise error("E510", f"`{name}=` and the regularizers of pixels do not go together", help)


def _optimize(
    ascent: Ascent, normalize: Callable[[Tensor], Tensor], objectives: Sequence[Objective], step: Callable[[int], None]
) -> Iterator[tuple[Objective, Icon]]:
    """Run all steps of a batch of icons; unused slots repeat the last one, so that every batch has the same size."""
    recipe, device = ascent.recipe, ascent.device
    slots = [objectives[min(n, len(objectives) - 1)] for n in range(ascent.batch)]
    for slot, objective in enumerate(slots):
        ascent.response.check(objective)
        ascent.response.put(slot, objective)
    channels = 1 if ascent.grey else 3
    mean = mean_colour(normalize, channels, device)
    x = torch.stack([_initial(o, recipe, mean.cpu()) for o in slots]).to(device)
    alive = torch.zeros(len(slots), dtype=torch.bool, device=device)
    finite = torch.ones_like(alive)

    def activation(x: Tensor) -> Tensor:
        return ascent.excite_unresized(((x + mean) / LEVELS).expand(-1, 3, -1, -1))

    for number in range(recipe.steps):
        ascent.runner.through_relu = number < recipe.redirect
        x = displayable(x, mean) - mean
        values, gradient = ascent.value_and_gradient(x, activation)
        finite &= torch.isfinite(values) & torch.isfinite(gradient.flatten(1).sum(1))
        alive |= (gradient != 0).flatten(1).any(1)
        x = torch.stack(
            [regularized_step(a, g, o.regularization, number) for a, g, o in zip(x, gradient, slots, strict=True)]
        )
        step(number + 1)
    ascent.runner.through_relu = False
    with torch.no_grad():
        pictures = (displayable(x, mean) / LEVELS).expand(-1, 3, -1, -1)
        measured = ascent.response.measured(ascent.excite_unresized(pictures)).tolist()
    rows = bytes_of(pictures)
    for slot, objective in enumerate(objectives):
        if bool(finite[slot] & alive[slot]):
            yield objective, Icon(rows[slot].copy(), measured[slot])
        else:
            yield objective, Icon.grey(rows[slot], NO_GRADIENT if finite[slot] else NOT_FINITE)


def mean_colour(normalize: Callable[[Tensor], Tensor], channels: int, device: torch.device) -> Tensor:
    """Return the colour (channel, 1, 1), in grey levels, that a network's normalization maps to zero."""
    black, white = (normalize(torch.full((1, channels, 4, 4), value, device=device)) for value in (0.0, 1.0))
    mean = (-black / (white - black)).mean((2, 3), keepdim=True)[0]
    return mean.nan_to_num(0.5, 0.5, 0.5).clamp(0, 1) * LEVELS


def _initial(objective: Objective, recipe: Recipe, mean: Tensor) -> Tensor:
    """Return the initial picture (channel, y, x), in grey levels from the mean colour: the start picture, else
    noise."""
    size = (len(mean), recipe.size, recipe.size)
    if objective.start is None:
        return torch.randn(size, generator=torch.Generator().manual_seed(seed_of(recipe, objective))) * NOISE
    start = levels_of(objective.start.array())
    start = F.interpolate(start, size[1:], mode="bicubic", antialias=True, align_corners=False)[0].clamp(0, LEVELS)
    return (start.mean(0, keepdim=True) if len(mean) == 1 else start) - mean


def displayable(x: Tensor, mean: Tensor) -> Tensor:
    """Convert grey levels from the mean colour to grey levels that can be shown, 0 to 255."""
    return (x + mean).clamp(0, LEVELS)


def regularized_step(x: Tensor, gradient: Tensor, how: Regularization | None, number: int) -> Tensor:
    """Return x (channel, y, x) after step ``number`` and its regularizers, in the order of the authors' code."""
    how = how or Regularization()
    length = gradient.square().mean().sqrt()
    x = x + (STEP / length.clamp_min(1e-30)) * gradient if bool(length > 0) else x
    x = x * (1 - how.l2_decay)
    if how.blur_every and how.blur_width and number % how.blur_every == 0:
        x = blurred(x, how.blur_width)
    if how.clip_norm:
        x = _clip(x, x.norm(dim=0), how.clip_norm)
    if how.clip_contribution:
        x = _clip(x, (x * gradient).sum(0).abs(), how.clip_contribution)
    return x


def _clip(x: Tensor, measure: Tensor, percent: float) -> Tensor:
    """Set to zero where the measure (y, x) is below its percentile."""
    return x * (measure >= torch.quantile(measure.flatten(), percent / 100))


def blurred(x: Tensor, width: float) -> Tensor:
    """Blur by a Gaussian of standard deviation ``width``, truncated at four of them, with mirrored borders (as in
    SciPy)."""
    radius = int(4 * width + 0.5)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, dtype=x.dtype, device=x.device) / width) ** 2)
    kernel = kernel / kernel.sum()
    for axis in (1, 2):
        index = mirrored(x.shape[axis], radius).to(x.device)
        x = x.index_select(axis, index).unfold(axis, 2 * radius + 1, 1) @ kernel
    return x


def mirrored(size: int, radius: int) -> Tensor:
    """Return positions -radius .. size + radius - 1, mirrored at the edges of the first and last pixel."""
    at = torch.arange(-radius, size + radius) % (2 * size)
    return torch.where(at < size, at, 2 * size - 1 - at)

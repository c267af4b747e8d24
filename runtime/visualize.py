"""The feature visualization engine: pictures that most excite a channel or a direction of a layer.

An icon maximizes the mean over all positions of <direction, activations> by gradient ascent on Fourier coefficients,
seen through random transforms (Olah, Mordvintsev, Schubert, "Feature Visualization", Distill 2017). Seeds and
transforms belong to the icon and batches have one fixed size, so an icon comes out the same, bit for bit, in any
company. The forward pass stops at the layer, parameters get no gradient, and icons of one layer share batches.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime import passes
from bbilang.runtime.cache import Cache
from bbilang.runtime.fold import folded
from bbilang.runtime.icon import Icon, Objective, Recipe, icon_key, keep, model_key, seed_of, unpack
from bbilang.runtime.parametrization import Fourier, initial_spectrum
from bbilang.runtime.transforms import affine, resample

__all__ = ["Icon", "Objective", "Recipe", "estimate", "visualize"]

_ADAM = (0.9, 0.999, 1e-8)

Progress = Callable[[int, int, float], None]


def visualize(
    adapter: Any,
    objectives: Sequence[Objective],
    recipe: Recipe | None = None,
    cache: Cache | None = None,
    progress: Progress | None = None,
    counter: passes.Passes | None = None,
) -> list[Icon]:
    """One icon per objective, in their order; equal objectives are made once, cached ones not at all.

    ``progress(done icons, all icons, seconds left)`` counts distinct icons and is called about every second. Finished
    icons are in the cache at once, so an interruption (KeyboardInterrupt passes through) loses one batch at most.
    Out-of-memory halves the batch. Raises BbiError E501, E502 (layers), E504 (memory), E510 (directions).
    """
    recipe = recipe or Recipe()
    counter = counter if counter is not None else passes.Passes()
    model = model_key(adapter) if cache is not None else None
    wanted = [_canonical(adapter, objective) for objective in objectives]
    icons: dict[Objective, Icon] = {}
    total = len(dict.fromkeys(wanted))
    batch = recipe.batch

    def look_up(among: Iterable[Objective]) -> list[Objective]:
        """Put what the cache holds for this batch size into `icons`; gives the rest."""
        for objective in among if cache is not None else ():
            found = cache.get(icon_key(model, objective, recipe, batch, adapter)) if objective not in icons else None
            if found is not None:
                icons[objective] = unpack(*found)
        return [objective for objective in among if objective not in icons]

    clock = _Clock(progress, total, recipe.steps)
    missing = look_up(list(dict.fromkeys(wanted)))
    groups = _by_layer(missing)
    for position, (layer, group) in enumerate(groups):
        later = sum(-(-len(g) // batch) for _, g in groups[position + 1 :])
        while group:
            try:
                with _Ascent(adapter, layer, recipe, batch, counter) as ascent:
                    while group:
                        clock.begin(len(icons), -(-len(group) // batch) + later)
                        for objective, icon in zip(group[:batch], ascent.run(group[:batch], clock), strict=True):
                            icons[objective] = icon
                            if cache is not None:
                                keep(cache, icon, model, objective, recipe, batch, adapter)
                        group = group[batch:]
            except BbiError as e:
                if not passes.is_out_of_memory(e) or batch == 1:
                    raise
                batch //= 2
                group = look_up(group)
    clock.finish(len(icons))
    return [icons[objective] for objective in wanted]


def estimate(
    adapter: Any, objectives: Sequence[Objective], recipe: Recipe | None = None, cache: Cache | None = None
) -> tuple[int, float]:
    """(icons to make, seconds): what is not in the cache, at a speed measured on this machine: three steps per layer
    after a warm-up, once per process. Padded batches are counted whole."""
    recipe = recipe or Recipe()
    wanted = list(dict.fromkeys(_canonical(adapter, objective) for objective in objectives))
    if cache is not None:
        model = model_key(adapter)
        wanted = [o for o in wanted if cache.get(icon_key(model, o, recipe, recipe.batch, adapter)) is None]
    seconds = 0.0
    for layer, group in _by_layer(wanted):
        batch, step = _speed(adapter, layer, recipe, group)
        seconds += step * recipe.steps * -(-len(group) // batch)
    return len(wanted), seconds


_speeds: weakref.WeakKeyDictionary[Any, dict[Any, tuple[int, float]]] = weakref.WeakKeyDictionary()


def _speed(adapter: Any, layer: str, recipe: Recipe, group: Sequence[Objective]) -> tuple[int, float]:
    """(batch that fits in memory, seconds a step), measured once per model, layer and size in this process."""
    known = _speeds.setdefault(adapter.module, {})
    key = (layer, recipe.size, recipe.batch, recipe.transforms, str(adapter.device))
    batch = recipe.batch
    while key not in known:
        try:
            with _Ascent(adapter, layer, replace(recipe, steps=3, redirect=0), batch, passes.Passes()) as ascent:
                ascent.run(group[:batch])
                start = time.perf_counter()
                ascent.run(group[:batch])
                known[key] = batch, (time.perf_counter() - start) / 3
        except BbiError as e:
            if not passes.is_out_of_memory(e) or batch == 1:
                raise
            batch //= 2
    return known[key]


class _Clock:
    """Tells the caller how far the work is, about once a second."""

    def __init__(self, progress: Progress | None, total: int, steps: int):
        self.progress, self.total, self.steps = progress, total, steps
        self.start = self.told = time.perf_counter()
        self.stepped, self.left, self.done = 0, 0, 0

    def begin(self, done: int, batches: int) -> None:
        self.done, self.left = done, batches * self.steps

    def step(self) -> None:
        self.stepped, self.left = self.stepped + 1, self.left - 1
        now = time.perf_counter()
        if self.progress and now - self.told >= 1.0:
            self.told = now
            self.progress(self.done, self.total, (now - self.start) / self.stepped * self.left)

    def finish(self, done: int) -> None:
        if self.progress:
            self.progress(done, self.total, 0.0)


class _Ascent:
    """Gradient ascent of batches of one fixed size at one layer; hooks and the folded copy live as long as it does."""

    def __init__(self, adapter: Any, layer: str, recipe: Recipe, batch: int, counter: passes.Passes):
        self.layer, self.recipe, self.batch = layer, recipe, batch
        self.device = torch.device(adapter.device)
        self.fourier = Fourier(recipe.size, recipe.decorrelate, recipe.decay, self.device)
        self.view = recipe.transforms.view_size(recipe.size)
        example = torch.rand(2, 3, self.view, self.view, generator=torch.Generator().manual_seed(0))
        self.shape, example = _network_size(adapter, layer, example.to(self.device), counter)
        self.fixed = self.shape != (self.view, self.view)
        self._run = passes.run_to(folded(adapter, layer, example, counter), layer, counter=counter, example=example)
        self.axis = _channel_axis(adapter, layer)

    def __enter__(self) -> _Ascent:
        self.runner = self._run.__enter__()
        return self

    def __exit__(self, *exception: Any) -> bool | None:
        return self._run.__exit__(*exception)

    def fit(self, pictures: Tensor) -> Tensor:
        """Pictures (batch, 3, y, x) at the size that the network is shown."""
        if pictures.shape[2:] == self.shape:
            return pictures
        return F.interpolate(pictures, self.shape, mode="bilinear", antialias=True, align_corners=False)

    def excite(self, seen: Tensor) -> Tensor:
        """(batch, 3, y, x) -> the layer's activation averaged over positions, (batch, channel)."""
        activation = self.runner(seen.contiguous(memory_format=torch.channels_last))
        return activation.movedim(self.axis, 1).flatten(2).mean(2) if activation.dim() > 2 else activation

    def run(self, objectives: Sequence[Objective], clock: _Clock | None = None) -> list[Icon]:
        """Icons of up to ``batch`` objectives; free slots are filled with copies of the first."""
        recipe, first, second = self.recipe, *_ADAM[:2]
        slots = [*objectives, *[objectives[0]] * (self.batch - len(objectives))]
        sources = [torch.Generator().manual_seed(seed_of(recipe, objective)) for objective in slots]
        spectrum = torch.stack([initial_spectrum(recipe.size, recipe.deviation, s) for s in sources]).to(self.device)
        draws = torch.stack([recipe.transforms.draw(recipe.steps, s) for s in sources], 1)  # (step, batch, 6)
        maps = affine(draws.flatten(0, 1), recipe.size, self.view).view(recipe.steps, self.batch, 2, 3).to(self.device)
        mean, square = torch.zeros_like(spectrum), torch.zeros_like(spectrum)
        alive = torch.zeros(self.batch, dtype=torch.bool, device=self.device)
        sound = torch.ones_like(alive)
        directions, side = None, max(self.view, *self.shape)
        for step in range(recipe.steps):
            self.runner.through_relu = step < recipe.redirect
            spectrum.requires_grad_()
            view = resample(self.fourier(spectrum), maps[step], side)
            seen = self.excite(self.fit(view))
            if directions is None:
                directions = torch.stack([o.vector(seen.shape[1]) for o in slots]).to(seen)
                unit = directions / directions.norm(dim=1, keepdim=True).clamp_min(1e-20)
            values = (seen * unit).sum(1)
            (gradient,) = self.runner.backward(-values.sum(), [spectrum])
            spectrum = spectrum.detach()
            sound &= torch.isfinite(values.detach()) & torch.isfinite(gradient.flatten(1).sum(1))
            if step >= min(recipe.redirect, recipe.steps - 1):
                alive |= (gradient != 0).flatten(1).any(1)
            mean.mul_(first).add_(gradient, alpha=1 - first)
            square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
            size = recipe.rate * (1 - second ** (step + 1)) ** 0.5 / (1 - first ** (step + 1))
            spectrum.addcdiv_(mean, square.sqrt().add_(_ADAM[2]), value=-size)
            if clock:
                clock.step()
        with torch.no_grad():
            pictures = self.fourier(spectrum)
            measured = (self.excite(self.fit(pictures) if self.fixed else pictures) * directions).sum(1).tolist()
        rows = (pictures.clamp(0, 1) * 255).round().nan_to_num(128).byte().permute(0, 2, 3, 1).cpu().numpy()
        grey = np.full_like(rows[0], 128)
        icons = []
        for slot in range(len(objectives)):
            if not sound[slot]:
                icons.append(Icon(grey, 0.0, True, "its activations or gradients were not finite"))
            elif not alive[slot]:
                icons.append(Icon(grey, measured[slot], True, "no gradient reached the picture"))
            else:
                icons.append(Icon(rows[slot].copy(), measured[slot]))
        return icons


def _by_layer(objectives: Iterable[Objective]) -> list[tuple[str, list[Objective]]]:
    groups: dict[str, list[Objective]] = {}
    for objective in objectives:
        groups.setdefault(objective.layer, []).append(objective)
    return list(groups.items())


def _described(adapter: Any, layer: str) -> Any:
    return getattr(adapter.description, "by_name", {}).get(layer)


def _canonical(adapter: Any, objective: Objective) -> Objective:
    """The objective under the layer's first name, so that an alias asks for no second icon."""
    layer = _described(adapter, objective.layer)
    return objective if layer is None else Objective(layer.name, objective.direction)


def _channel_axis(adapter: Any, layer: str) -> int:
    """Axis of channels in the layer's result, counting the batch; -1 in a sequence layer."""
    description = _described(adapter, layer)
    return 1 + description.axes.index("channel") if description is not None else 1


def _network_size(adapter: Any, layer: str, example: Tensor, counter: passes.Passes) -> tuple[tuple[int, int], Tensor]:
    """(y, x) that the network is shown, and an example of it: the view's own size, else the only one it takes."""
    try:
        passes.forward(adapter, example[:1], [layer], want_output=False, counter=counter)
        return (example.shape[2], example.shape[3]), example
    except BbiError:
        raise
    except Exception:  # a network for one size says so in many ways
        y, x = adapter.description.input_size
        return (int(y), int(x)), F.interpolate(example, (int(y), int(x)), mode="bilinear", align_corners=False)

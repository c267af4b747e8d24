"""The feature visualization engine: pictures that most excite what an objective names in a layer.

An icon maximizes its objective by gradient ascent on Fourier coefficients, seen through random transforms (Olah,
Mordvintsev, Schubert, "Feature Visualization", Distill 2017). Seeds, transforms and schedule belong to the icon and
batches have one fixed size, so an icon is the same, bit for bit, in any batch. The forward pass stops at the
layer, parameters get no gradient, icons of one layer share batches, and a finished icon's slot takes the next.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime import passes
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.errors import error
from bbilang.runtime.featvis.ascent import Ascent, Take, layer_description
from bbilang.runtime.featvis.icon import Icon, Objective, Recipe, Start, icon_key, model_key, store_icon, unpack
from bbilang.runtime.featvis.losses import by_family, family
from bbilang.runtime.featvis.schedule import schedule_of
from bbilang.runtime.passes.adapter import Adapter

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Icon", "Objective", "Recipe", "Start", "estimate", "make", "visualize"]

Progress = Callable[[int, int, float], None]
Announce = Callable[[int, float | None], None]
Find = Callable[[Objective], Icon | None]
Made = Generator[tuple[Objective, Icon], None, None]
Workers = Callable[[Sequence[Objective], Recipe, Cache | None, passes.Passes], Made | None]


def visualize(
    adapter: Adapter,
    objectives: Sequence[Objective],
    recipe: Recipe | None = None,
    cache: Cache | None = None,
    progress: Progress | None = None,
    counter: passes.Passes | None = None,
    announce: Announce | None = None,
    take: Take | None = None,
    workers: Workers | None = None,
) -> list[Icon]:
    """Return one icon per objective, in order; equal objectives are made once, cached ones not at all.

    ``progress(done icons, all icons, seconds left)`` counts distinct icons and is called about every second.
    ``announce(icons to make, seconds)`` is called once before the first is made, with the result of `estimate`, and
    ``take(objective, icon)`` for each objective as soon as its icon is finished. Finished icons are cached at once, so
    an interruption (KeyboardInterrupt passes through) loses at most those in the slots. The batch is halved when
    memory runs out. ``workers`` (`remote.IconWorkers`) make the icons where there are several batches of them; how long
    that takes is not known then.
    Raises BbiError E501, E502 (layers), E504 (memory), E510 (objectives), E517, E518 (workers).
    """
    icons: dict[Objective, Icon] = {}
    canonicals = [_canonical(adapter, objective) for objective in objectives]

    requests: dict[Objective, list[Objective]] = {}
    for objective, canonical in zip(objectives, canonicals, strict=True):
        requests.setdefault(canonical, []).append(objective)

    def keep_and_report(made: Objective, icon: Icon) -> None:
        icons[made] = icon
        if take is not None:
            for one in requests.get(made, ()):
                take(one, icon)

    make(adapter, canonicals, keep_and_report, recipe, cache, progress, counter, announce, workers)
    return [icons[objective] for objective in canonicals]


def make(
    adapter: Adapter,
    objectives: Iterable[Objective],
    take: Take,
    recipe: Recipe | None = None,
    cache: Cache | None = None,
    progress: Progress | None = None,
    counter: passes.Passes | None = None,
    announce: Announce | None = None,
    workers: Workers | None = None,
) -> None:
    """Run `visualize` for more icons than fit in memory: each is passed to ``take(objective, icon)`` once, as it is
    read from the cache or finished, and then released."""
    recipe = recipe or Recipe()
    counter = counter if counter is not None else passes.Passes()
    distinct = list(dict.fromkeys(_canonical(adapter, objective) for objective in objectives))
    clock = _Clock(progress, len(distinct))
    making = _Making(adapter, recipe, cache, counter, clock, take)
    missing = making.look_up(distinct)
    counter.cached_icons += len(distinct) - len(missing)
    elsewhere = workers(missing, recipe, cache, counter) if workers is not None else None
    if announce:
        known = elsewhere is None and not _hears(adapter)
        announce(len(missing), _seconds(adapter, missing, recipe, cache) if known else None)
    if elsewhere is not None:
        with closing(elsewhere):
            for objective, icon in elsewhere:
                clock.count(take, objective, icon)
                clock.report(len(distinct) - len(missing))
    else:
        making.all_of(missing)
    clock.finish()


class _Making:
    """The icons of one call of `make`, made in this process. ``batch``: what fits in memory so far."""

    def __init__(
        self, adapter: Adapter, recipe: Recipe, cache: Cache | None, counter: passes.Passes, clock: _Clock, take: Take
    ):  # fmt: skip
        self.adapter, self.recipe, self.cache, self.counter = adapter, recipe, cache, counter
        self.clock, self.take, self.batch = clock, take, recipe.batch
        self.model = model_key(adapter) if cache is not None else None

    def find(self, objective: Objective) -> Icon | None:
        return _cached(self.cache, self.model, self.adapter, self.recipe, self.batch, objective)

    def look_up(self, among: Iterable[Objective]) -> list[Objective]:
        """Pass on the icons that the cache holds for this batch size, and return the other objectives."""
        rest = []
        for objective in among:
            icon = self.find(objective)
            if icon is None:
                rest.append(objective)
            else:
                self.clock.count(self.take, objective, icon)
        return rest

    def store(self, objective: Objective, icon: Icon) -> None:
        if self.cache is not None:
            store_icon(self.cache, icon, self.model, objective, self.recipe, self.batch, self.adapter)

    def all_of(self, missing: Sequence[Objective]) -> None:
        """Make icons that the cache does not have."""
        adapter, recipe, counter, cache, clock = self.adapter, self.recipe, self.counter, self.cache, self.clock
        requested, step = set(missing), partial(clock.step, 0)
        if _hears(adapter):
            from bbilang.runtime.featvis.sound_icons import sound_icons

            for objective, icon in sound_icons(adapter, missing, recipe, counter, step):
                self.store(objective, icon)
                clock.count(self.take, objective, icon)
            return
        for objective, icon in _separate_icons(adapter, missing, recipe, counter, cache, self.find, step):
            self.store(objective, icon)
            if objective in requested:
                clock.count(self.take, objective, icon)
        groups = by_family([o for o in missing if o.grid is None and not o.on_pixels and o.octaves == 1])
        for position, group in enumerate(groups):
            later = sum(-(-len(g) // self.batch) for g in groups[position + 1 :]) * schedule_of(recipe).steps
            self._family(group, partial(clock.step, later))

    def _family(self, group: Sequence[Objective], step: Callable[[int], None]) -> None:
        """Make icons that share slots."""
        left = dict.fromkeys(group)

        def finish(objective: Objective, icon: Icon) -> None:
            self.store(objective, icon)
            if objective in left:  # a diverse picture's companions may not have been requested
                del left[objective]
                self.clock.count(self.take, objective, icon)

        while left:
            try:
                with Ascent(self.adapter, group[0], self.recipe, self.batch, self.counter, self.cache) as ascent:
                    ascent.run(_with_companions(left), finish, step)
            except BbiError as e:
                if not passes.is_out_of_memory(e) or self.batch // 2 < group[0].pictures:
                    raise
                self.batch //= 2
                left = dict.fromkeys(self.look_up(left))


def _hears(adapter: Adapter) -> bool:
    """Return whether the network takes sounds, so that icons are clips."""
    return getattr(adapter.description, "reads", "") == "audio"


def _cached(
    cache: Cache | None, model: str | None, adapter: Adapter, recipe: Recipe, batch: int, objective: Objective
) -> Icon | None:
    """Return the icon if the cache holds it for this batch size."""
    record = cache.get(icon_key(model, objective, recipe, batch, adapter)) if cache is not None else None
    return None if record is None else unpack(*record)


def _grids(
    adapter: Adapter, missing: Sequence[Objective], recipe: Recipe, counter: passes.Passes, cache: Cache | None
) -> Iterator[tuple[Objective, Icon]]:
    """Return all cells of each coherent grid with a missing cell: they are made together."""
    from bbilang.runtime.featvis.coherent_grid import coherent

    for layer, grid in dict.fromkeys((o.layer, o.grid) for o in missing):
        if grid is not None:
            icons = coherent(adapter, layer, grid.vectors, grid.groups, recipe, counter, cache)
            for cell, icon in enumerate(icons):
                yield Objective(layer, tuple(map(float, grid.vectors[cell])), grid=grid, cell=cell), icon


def _separate_icons(
    adapter: Adapter, missing: Sequence[Objective], recipe: Recipe, counter: passes.Passes, cache: Cache | None,
    find: Find, step: Callable[[int], None],
) -> Iterator[tuple[Objective, Icon]]:  # fmt: skip
    """Make the icons that share no slots with others: cells of coherent grids, dreams, and those by steps on pixels,
    the candidates of a search among them."""
    from bbilang.runtime.featvis.dream import dreams
    from bbilang.runtime.featvis.toolbox import regularized

    yield from _grids(adapter, missing, recipe, counter, cache)
    yield from dreams(adapter, [o for o in missing if o.octaves > 1], recipe, counter, cache, step)
    if own := [o for o in missing if o.on_pixels]:
        yield from regularized(adapter, own, recipe, counter, cache, find, step)


def estimate(
    adapter: Adapter, objectives: Sequence[Objective], recipe: Recipe | None = None, cache: Cache | None = None
) -> tuple[int, float]:
    """Return (icons to make, seconds at most) for what is not in the cache, at a speed measured on this machine: three
    steps per layer after a warm-up, once per process. Padded batches count as full, and early stopping is ignored. NaN
    seconds for clips."""
    recipe = recipe or Recipe()
    distinct = list(dict.fromkeys(_canonical(adapter, objective) for objective in objectives))
    if cache is not None:
        model = model_key(adapter)
        distinct = [o for o in distinct if cache.get(icon_key(model, o, recipe, recipe.batch, adapter)) is None]
    return len(distinct), float("nan") if _hears(adapter) else _seconds(adapter, distinct, recipe, cache)


def _seconds(adapter: Adapter, missing: Sequence[Objective], recipe: Recipe, cache: Cache | None) -> float:
    from bbilang.runtime.featvis.dream import dream_seconds
    from bbilang.runtime.featvis.toolbox import candidates

    seconds = dream_seconds(adapter, [o for o in missing if o.octaves > 1], recipe, cache)
    for group in by_family(dict.fromkeys(c for o in missing if o.octaves == 1 for c in candidates(o, recipe))):
        batch, step = _speed(adapter, recipe, group, cache)
        steps = schedule_of(recipe).steps if group[0].regularization is None else recipe.steps
        seconds += step * steps * -(-len(_with_companions(group)) // batch)
    return seconds


_speeds: weakref.WeakKeyDictionary[nn.Module, dict[tuple[object, ...], tuple[int, float]]] = weakref.WeakKeyDictionary()


def _speed(adapter: Adapter, recipe: Recipe, group: Sequence[Objective], cache: Cache | None) -> tuple[int, float]:
    """Return (batch that fits in memory, seconds per step), measured once per model, family and recipe in this
    process."""
    known = _speeds.setdefault(adapter.module, {})
    short = replace(recipe, steps=3, redirect=0)
    key = (family(group[0]), short, str(adapter.device))
    batch = recipe.batch
    while key not in known:
        try:
            with Ascent(adapter, group[0], short, batch, passes.Passes(), cache) as ascent:
                few = _with_companions(group)[:batch]
                ascent.run(few, _ignore)
                start = time.perf_counter()
                ascent.run(few, _ignore)
                known[key] = batch, (time.perf_counter() - start) / ascent.schedule.steps
        except BbiError as e:
            if not passes.is_out_of_memory(e) or batch // 2 < group[0].pictures:
                raise
            batch //= 2
    return known[key]


def _ignore(objective: Objective, icon: Icon) -> None:
    pass


class _Clock:
    """A clock that reports progress to the caller, about once a second."""

    def __init__(self, progress: Progress | None, total: int):
        self.progress, self.total = progress, total
        self.start = self.reported = time.perf_counter()
        self.stepped, self.done = 0, 0

    def count(self, take: Take, objective: Objective, icon: Icon) -> None:
        self.done += 1
        take(objective, icon)

    def step(self, later: int, left: int) -> None:
        """Count one step; ``left`` steps of this batch and ``later`` steps of others remain."""
        self.stepped += 1
        now = time.perf_counter()
        if self.progress and now - self.reported >= 1.0:
            self.reported = now
            self.progress(self.done, self.total, (now - self.start) / self.stepped * (left + later))

    def report(self, before: int) -> None:
        """Report how many icons are done, ``before`` of them at first, and the time left at the mean rate since."""
        now = time.perf_counter()
        if self.progress and now - self.reported >= 1.0:
            self.reported = now
            left = (now - self.start) / (self.done - before) * (self.total - self.done)
            self.progress(self.done, self.total, left)

    def finish(self) -> None:
        if self.progress:
            self.progress(self.done, self.total, 0.0)


def _with_companions(objectives: Iterable[Objective]) -> list[Objective]:
    """Return the objectives with their companions: all pictures of a diverse direction, consecutively."""
    return list(dict.fromkeys(replace(o, number=n) for o in objectives for n in range(o.pictures)))


def _canonical(adapter: Adapter, objective: Objective) -> Objective:
    """Return the objective under the layer's first name, so that an alias does not make a second icon."""
    if objective.pictures > 1 and objective.kind != "direction":
        text = f"`{objective.kind}` makes one picture, not {objective.pictures}"
        raise error("E510", text, "several pictures that differ are made of a direction")
    layer = layer_description(adapter, objective.layer)
    return objective if layer is None or layer.name == objective.layer else replace(objective, layer=layer.name)

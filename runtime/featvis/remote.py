"""Batches of icons as units of work for other processes.

An icon is the same, bit for bit, in any batch of one size (`ascent.py`), so icons may be dealt out at will. A worker
stores each icon in the cache as soon as it is finished, and sends it to the driver with its unit: a worker that dies
costs what was in its slots.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from bbilang.grammar.frozen import frozen
from bbilang.runtime import passes
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.featvis.engine import Made, make
from bbilang.runtime.featvis.icon import Icon, Objective, Recipe
from bbilang.runtime.featvis.losses import by_family
from bbilang.runtime.passes.adapter import Adapter
from bbilang.runtime.workers.task import Pool


@frozen
class IconUnit:
    """Icons that are made in one batch, or that have to be made together."""

    number: int
    objectives: tuple[Objective, ...]

    def __str__(self) -> str:
        return f"batch {self.number} of icons ({len(self.objectives)} of `{self.objectives[0].layer}`)"


@dataclass(frozen=True)
class Outcome:
    """What a worker made of a unit: an icon for each objective, and the passes that it took."""

    icons: tuple[Icon, ...]
    counter: passes.Passes


@dataclass(frozen=True)
class IconTask:
    """The task of the workers. ``folder`` and ``limit``: of the cache, if there is one."""

    network: Callable[[], Adapter]
    recipe: Recipe
    folder: str | os.PathLike[str] | None
    limit: int

    def start(self) -> Callable[[IconUnit], Outcome]:
        """Load the network, and return what makes the icons of a unit."""
        adapter = self.network()
        cache = Cache(self.folder, self.limit) if self.folder is not None else None

        def compute(unit: IconUnit) -> Outcome:
            icons: dict[Objective, Icon] = {}
            counter = passes.Passes()
            make(adapter, unit.objectives, icons.__setitem__, self.recipe, cache, counter=counter)
            return Outcome(tuple(icons[objective] for objective in unit.objectives), counter)

        return compute


def units_of(objectives: Iterable[Objective], batch: int) -> list[IconUnit]:
    """Deal out objectives: as many as one batch holds of one family. A coherent grid, a search and a dream by octaves
    have work that their icons share, or that fills a batch, and are each a unit by themselves."""
    alone: dict[object, list[Objective]] = {}
    others: list[Objective] = []
    for objective in objectives:
        if objective.grid is not None:
            alone.setdefault((objective.layer, objective.grid), []).append(objective)
        elif objective.search > 0 or objective.octaves > 1:
            alone.setdefault(replace(objective, number=0), []).append(objective)
        else:
            others.append(objective)
    parts = list(alone.values())
    for group in by_family(others):
        together: dict[Objective, list[Objective]] = {}  # pictures of one diverse direction
        for objective in group:
            together.setdefault(replace(objective, number=0), []).append(objective)
        each, directions = max(batch // group[0].pictures, 1), list(together.values())
        for start in range(0, len(directions), each):
            parts.append([objective for own in directions[start : start + each] for objective in own])
    return [IconUnit(number, tuple(part)) for number, part in enumerate(parts)]


@frozen
class IconWorkers:
    """Workers that make icons: a ``pool``, and what loads the network in one of them."""

    pool: Pool
    network: Callable[[], Adapter]

    def __call__(
        self, objectives: Sequence[Objective], recipe: Recipe, cache: Cache | None, counter: passes.Passes
    ) -> Made | None:
        """Return the icons in the order in which their units are finished, whose passes are counted; None for a single
        unit, which a worker would not make sooner than the caller."""
        units = units_of(objectives, recipe.batch)
        return self._made(units, recipe, cache, counter) if len(units) > 1 else None

    def _made(self, units: Sequence[IconUnit], recipe: Recipe, cache: Cache | None, counter: passes.Passes) -> Made:
        folder, limit = (cache.folder, cache.limit) if cache is not None else (None, 0)
        with closing(self.pool.run(IconTask(self.network, recipe, folder, limit), units)) as finished:
            for unit, made in finished:
                counter.add(replace(made.counter, cached_icons=0))  # a worker that died made those, in this run
                yield from zip(unit.objectives, made.icons, strict=True)

"""Run every pass of a plan; only icons come from the cache."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bbilang.runtime.events import Event, RunListener
from bbilang.runtime.execution.job import Job
from bbilang.runtime.execution.results import Results, Reused

if TYPE_CHECKING:
    from bbilang.runtime.featvis.icon import Icon, Objective
    from bbilang.runtime.models.adapter import Adapter
    from bbilang.runtime.passes import Passes


def execute_fully(job: Job, measure: bool = False) -> Results:
    """Compute numbers and icons of every element. ``measure``: also each step's peak memory. Raises BbiError."""
    from bbilang.runtime.execution.execute import execute

    adapter = job.adapter()

    def icons(adapter: Adapter, objectives: Sequence[Objective], counter: Passes) -> list[Icon]:
        return make_icons(job, adapter, objectives, counter, job.listener)

    inputs = job.inputs(adapter)
    results = execute(
        job.plan, job.registry, adapter, inputs, icons=icons, listener=job.listener, measure=measure, cache=job.cache,
        workers=job.workers, files=job.files, given=job.given, related=job.related,
    )  # fmt: skip
    reused = Reused(icons=results.passes.cached_icons if results.passes is not None else 0)
    return replace(results, recipe=job.recipe, draft=job.draft, reused=reused)


def make_icons(
    job: Job, adapter: Adapter, objectives: Sequence[Objective], counter: Passes | None, listener: RunListener | None,
    take: Callable[[Objective, Icon], None] | None = None,
) -> list[Icon]:  # fmt: skip
    """Make icons in the order of their objectives, with an estimate before and progress reports meanwhile. ``take`` is
    called with each icon as soon as it is finished."""
    from bbilang.runtime.featvis.engine import visualize
    from bbilang.runtime.featvis.icon import words_of
    from bbilang.runtime.featvis.remote import IconWorkers

    recipe = job.recipe
    workers = IconWorkers(job.workers.pool, job.workers.network) if job.workers is not None else None
    if listener is None:
        made = visualize(adapter, objectives, recipe, job.cache, None, counter, None, take, workers)
        return _checked(job, adapter, objectives, made, None, take)
    making = 0

    def announce(count: int, seconds: float | None) -> None:
        nonlocal making
        making = count
        listener(Event("estimate", words_of(recipe, job.program), len(objectives) - count, count, seconds))

    def progress(done: int, total: int, left: float) -> None:
        if making:
            listener(Event("icons", "", done, total, left))

    made = visualize(adapter, objectives, recipe, job.cache, progress, counter, announce, take, workers)
    return _checked(job, adapter, objectives, made, listener, take)


def _checked(
    job: Job, adapter: Adapter, objectives: Sequence[Objective], icons: list[Icon], listener: RunListener | None,
    take: Callable[[Objective, Icon], None] | None,
) -> list[Icon]:  # fmt: skip
    """Return the icons with the results of the check against photographs, if the program asks for one."""
    if job.photographs is None:
        return icons
    from bbilang.runtime.featvis.dissociation.check import check

    start = time.perf_counter()

    def report(done: int, total: int) -> None:
        if listener is not None:
            left = (time.perf_counter() - start) / max(done, 1) * (total - done)
            listener(Event("work", "checking icons against photographs", done, total, left))

    checks = check(adapter, dict(zip(objectives, icons, strict=True)), job.recipe, job.photographs, job.cache, report)
    made = [replace(icon, check=checks[o]) for o, icon in zip(objectives, icons, strict=True)]
    if take is not None:
        for objective, icon in zip(objectives, made, strict=True):
            take(objective, icon)
    return made

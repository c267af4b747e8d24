"""Execution that runs only what the cache lacks: elements of an earlier run are recalled, the rest is run as a program
of its own, icons are looked up before torch is imported. The results are those of a full run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from bbilang.grammar import verification
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.events import Event, RunListener
from bbilang.runtime.execution.job import Job
from bbilang.runtime.execution.results import Results, Reused
from bbilang.runtime.execution.shared import ScanStore
from bbilang.runtime.recall.identity import KnownModel
from bbilang.runtime.recall.job_identity import JobIdentity

if TYPE_CHECKING:
    from bbilang.runtime.execution.results import Counts, Model
    from bbilang.runtime.featvis.icon import Icon, Objective
    from bbilang.runtime.fields.field import Field
    from bbilang.runtime.inputs.network_input import NetworkInput
    from bbilang.runtime.models.adapter import Adapter
    from bbilang.runtime.passes import Passes
    from bbilang.runtime.recall.results_store import ElementRecord, Predictions, ResultsStore


def execute(job: Job, recall: bool = True, measure: bool = False) -> Results:
    """Compute numbers and icons for every element of a plan, reusing the job's cache.

    ``recall``: what the cache holds is not computed again; without it every pass runs. ``measure``: each step's peak
    memory too, for which nothing is recalled. Raises BbiError.
    """
    if job.plan.parts:
        from bbilang.runtime.recall.several import execute_parts

        return execute_parts(job, partial(_execute, measure=measure), recall)
    return _execute(job, recall, measure)


def _execute(job: Job, recall: bool, measure: bool) -> Results:
    """Run a job of one model."""
    from bbilang.runtime.execution.full import execute_fully

    with job.workers_kept():
        if job.cache is None or not recall or measure:
            return execute_fully(job, measure)
        with job.cache.holding():
            return _Recall(job, job.cache).results()


def needed(job: Job) -> tuple[frozenset[str], int]:
    """Return (the keys of the records that a page needs and the cache has, the number that it lacks). Nothing is
    computed; a model that the cache does not know yet is loaded, to learn its identity."""
    from bbilang.runtime.featvis.icon import look_up

    assert job.cache is not None
    with job.cache.holding():
        known = JobIdentity(job, job.cache)
        model = known.model() or known.loaded_model()
        if model is None or known.inputs is None:
            return frozenset(), len(job.program.elements)
        store = _store(job, job.cache, model, known.inputs)
        records = [store.recall(element) for element in job.program.elements]
        objectives = dict.fromkeys(o for record in records if record is not None for o in record.objectives)
        icons, _ = look_up(job.cache, objectives, job.recipe, model)
        icons = _with_checks(job, job.cache, model, icons)
        lacking = records.count(None) + len(objectives) - len(icons)
        if any(forward.scores for forward in job.program.forwards):
            lacking += store.predictions() is None
        return job.cache.held(), lacking


class _Fresh(NamedTuple):
    """What was run because the cache lacks it."""

    records: dict[str, ElementRecord]  # by element
    predictions: Predictions | None
    passes: Passes | None
    kept: tuple[Field, ...]  # values that other models need
    counts: Counts  # its passes, by the names that Results has for them
    noticed: tuple[str, ...]


@dataclass
class _Recall:
    """One job on its cache."""

    job: Job
    cache: Cache

    @cached_property
    def known(self) -> JobIdentity:
        return JobIdentity(self.job, self.cache)

    def results(self) -> Results:
        from bbilang.runtime.execution.full import execute_fully

        model = self.known.model() or self.known.loaded_model()
        if model is None or self.known.inputs is None:
            self.known.adapter()
            return execute_fully(self.job)
        results = self._results(model, self.known.inputs)
        if results is None:  # the device is not what it was the last time
            loaded = self.known.loaded_model()
            assert loaded is not None
            results = self._results(loaded, self.known.inputs)
        assert results is not None
        return results

    def _holder(self, model: KnownModel) -> Model:
        """Return the adapter if it is loaded, else its description."""
        return self.job.loaded if self.job.loaded is not None else model

    def _results(self, model: KnownModel, inputs: list[str]) -> Results | None:
        """Return the results in the cache; None where they were computed on another device than the model's."""
        from bbilang.runtime.execution.full import execute_fully
        from bbilang.runtime.recall.results_store import joined

        job, program = self.job, self.job.program
        store = _store(job, self.cache, model, inputs)
        scored = any(f.scores for f in program.forwards)
        records = {e.id: record for e in program.elements if (record := store.recall(e)) is not None}
        predictions = store.predictions() if scored else None
        kept = [value for node in program.kept if (value := store.value(node)) is not None]
        missing = [e.id for e in program.elements if e.id not in records]
        reused = Reused(tuple(records), predictions is not None)
        passes: Passes | None = None
        counts: Counts = {}
        noticed: tuple[str, ...] = ()
        if missing:
            scanned, recalled = self._from_scans(store, model, missing)
            records |= scanned
            counts = {"recalled": recalled}
            missing = [name for name in missing if name not in scanned]
        if missing or (scored and predictions is None) or len(kept) < len(program.kept):
            if str(self.known.adapter().device).partition(":")[0] != model.device.partition(":")[0]:
                return None
            read = job.inputs(self.known.adapter())
            elements = missing or [e.id for e in program.elements[:1]]  # where only the predictions are missing
            fresh = self._run(store, read, elements, scored and predictions is None)
            if fresh is None:
                return execute_fully(job)
            records |= fresh.records
            kept = list(fresh.kept)
            predictions = fresh.predictions or predictions
            passes, noticed = fresh.passes, fresh.noticed
            recalled = max(counts.get("recalled", 0), fresh.counts.get("recalled", 0))
            counts = {**fresh.counts, "recalled": recalled}
        numbers, steps = joined(program, records, predictions)
        numbers = replace(numbers, kept=tuple(kept))
        holder = self._holder(model)
        results = Results.of(
            program, numbers, holder, job.inputs(holder), passes=passes, noticed=noticed, recipe=job.recipe,
            draft=job.draft, reused=reused, **counts,
        )  # fmt: skip
        if job.partial is not None:
            job.partial.numbers(results, [objective for objectives in steps for objective in objectives])
        return self._with_icons(results, model, steps, [*records.values(), *([predictions] if predictions else [])])

    def _with_icons(
        self, results: Results, model: KnownModel, steps: Sequence[Sequence[Objective]],
        used: Sequence[ElementRecord | Predictions],
    ) -> Results:  # fmt: skip
        """Return the results with their icons, and with what came from another machine in words."""
        foreign: dict[str, int] = {}
        icons, cached = [], 0
        for objectives in steps:
            there, made = self._icons(model, objectives, results.passes, foreign)
            icons += [(there | made)[objective] for objective in objectives]
            cached += len(there)
        devices = {record.origin.device for record in used if record.imported}
        imported = (
            *(
                f"{count} {'icon' if count == 1 else 'icons'} made on {maker}"
                for maker, count in sorted(foreign.items())
            ),
            *(f"numbers computed on {device}" for device in sorted(devices)),
        )
        results = replace(
            results,
            icons=icons,
            adapter=self._holder(model),
            imported=imported,
            reused=replace(results.reused, icons=cached),
        )
        if verification.enabled():
            from bbilang.runtime.execution.verify import verify_results

            verify_results(results)
        return results

    def _from_scans(
        self, store: ResultsStore, model: KnownModel, missing: Sequence[str]
    ) -> tuple[dict[str, ElementRecord], int]:
        """Compute elements that are all of datasets from what earlier scans kept, without the network, and store
        them. Returns the records and the number of examples."""
        from bbilang.compiler.optimize.rules import optimize
        from bbilang.compiler.plan.plan import plan as plan_program
        from bbilang.runtime.execution.execute import execute_kept
        from bbilang.runtime.recall.results_store import origin_of, records_of, restricted

        job, records, recalled = self.job, dict[str, "ElementRecord"](), 0
        if not job.program.scans:
            return records, recalled
        for name in missing:
            part = restricted(job.program, [name], job.registry, scored=False)
            if part.forwards or not part.scans or part.icons:
                continue
            plan = plan_program(optimize(part) if job.program.optimized else part, job.registry)
            results = execute_kept(
                plan, job.registry, model, ScanStore(self.cache, store.code), job.listener, job.files
            )
            made = records_of(results, (), origin_of(model.device)) if results is not None else None
            if results is None or made is None:
                break  # the others are scanned with it
            store.keep(plan.program.elements[0], made[name])
            records |= made
            recalled = max(recalled, results.recalled)
        return records, recalled

    def _run(
        self, store: ResultsStore, inputs: Sequence[NetworkInput], missing: Sequence[str], scored: bool
    ) -> _Fresh | None:
        """Run what is missing, without its icons, and store it, unless the network gave a reason to warn the reader.
        Returns None where the results hold something that the store cannot write."""
        from bbilang.compiler.optimize.rules import optimize
        from bbilang.compiler.plan.plan import plan as plan_program
        from bbilang.runtime.execution.execute import execute as execute_plan
        from bbilang.runtime.recall.results_store import Predictions, counts_of, origin_of, records_of, restricted

        job, plan = self.job, self.job.plan
        if len(missing) < len(job.program.elements):
            part = restricted(job.program, missing, job.registry, scored)
            plan = plan_program(optimize(part) if job.program.optimized else part, job.registry)
        requested: list[Objective] = []

        def collect(adapter: Adapter, objectives: Sequence[Objective], counter: Passes) -> list[Any]:
            requested.extend(objectives)
            return [None] * len(objectives)

        adapter = self.known.adapter()
        results = execute_plan(
            plan, job.registry, adapter, inputs, icons=collect, listener=job.listener, cache=job.cache,
            scans=ScanStore(self.cache, store.code), workers=job.workers, files=job.files, given=job.given,
            related=job.related,
        )  # fmt: skip
        origin = origin_of(str(adapter.device))
        records = records_of(results, requested, origin)
        if records is None:
            return None
        predictions = None
        if results.probabilities is not None:
            predictions = Predictions(results.probabilities, results.kind, origin)
        if not results.noticed:
            for element in plan.program.elements:
                store.keep(element, records[element.id])
            if predictions is not None:
                store.keep_predictions(predictions)
            for node, value in zip(job.program.kept, results.kept, strict=True):
                store.keep_value(node, value)
        return _Fresh(records, predictions, results.passes, results.kept, counts_of(results), results.noticed)

    def _icons(
        self, model: KnownModel, objectives: Sequence[Objective], counter: Passes | None, foreign: dict[str, int]
    ) -> tuple[dict[Objective, Icon], dict[Objective, Icon]]:
        """Return (cached icons, with those of another machine counted in ``foreign``; the icons that remain to be
        made)."""
        from bbilang.runtime.execution.full import make_icons
        from bbilang.runtime.featvis.icon import look_up, words_of

        job = self.job
        if not objectives:
            return {}, {}
        icons, others = look_up(self.cache, objectives, job.recipe, self._holder(model))
        icons = _with_checks(job, self.cache, model, icons)
        for maker in others:
            foreign[maker] = foreign.get(maker, 0) + 1
        if job.partial is not None:
            for objective, icon in icons.items():
                job.partial.icon(objective, icon)
        missing = [objective for objective in objectives if objective not in icons]
        new: dict[Objective, Icon] = {}
        if missing:
            cached = len(objectives) - len(missing)
            listener = None if job.listener is None else _CountsCachedIcons(job.listener, cached)
            take = None
            if job.partial is not None:
                job.partial.making()
                take = job.partial.icon
            made = make_icons(job, self.known.adapter(), missing, counter, listener, take)
            new = dict(zip(missing, made, strict=True))
        elif job.listener is not None:
            job.listener(Event("estimate", words_of(job.recipe, job.program), len(objectives), 0, 0.0))
        return icons, new


def _with_checks(job: Job, cache: Cache, model: KnownModel, icons: dict[Objective, Icon]) -> dict[Objective, Icon]:
    """Return cached icons with their cached checks, without unchecked ones; all icons if no check is requested."""
    if job.photographs is None or not icons:
        return icons
    from bbilang.runtime.featvis.dissociation.check import known

    checks = known(cache, model.fingerprint, icons, job.recipe, job.photographs)
    return {objective: replace(icons[objective], check=check) for objective, check in checks.items()}


@dataclass(frozen=True)
class _CountsCachedIcons:
    """Counts cached icons in the estimate."""

    listener: RunListener
    cached: int

    def __call__(self, event: Event) -> None:
        self.listener(replace(event, done=event.done + self.cached) if event.kind == "estimate" else event)


def _store(job: Job, cache: Cache, model: KnownModel, inputs: Sequence[str]) -> ResultsStore:
    from bbilang.runtime.recall.results_store import ResultsStore

    return ResultsStore(cache, job.program, job.registry, model, inputs)

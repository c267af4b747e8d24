"""Execution that runs only what the cache lacks: elements found are recalled, the rest is run as a program of its own,
icons are looked up before torch is asked for. What a full run gives, this gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import bbilang.runtime.inputs.load as handed
from bbilang.compiler.check.check import DEFAULT_MODEL
from bbilang.compiler.ir.program import Program
from bbilang.registry import registry
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.events import Event, RunListener
from bbilang.runtime.recall import identity as subjects
from bbilang.runtime.recall.identity import Subject

if TYPE_CHECKING:
    from bbilang.compiler.plan.plan import Plan
    from bbilang.runtime.execution.results import Results
    from bbilang.runtime.featvis.icon import Icon, Objective, Recipe

PREPROCESS = ("size", "crop", "mean", "std")


@dataclass(frozen=True)
class Own:
    """The program's own model, loaded by an earlier `execute` of the same command: not a caller's."""

    adapter: Any


class Early(Protocol):
    """Who wants to see results before they are whole."""

    def numbers(self, results: Results, objectives: Sequence[Objective]) -> None:
        """Everything but the icons is there; these are the objectives of ``results.icons`` to come, in order."""

    def icon(self, objective: Objective, icon: Icon) -> None:
        """One of them is there: first come those that the cache holds."""

    def making(self) -> None:
        """The others are made from here on."""


@dataclass
class Work:
    """One execution: what is asked of it, and what it takes, found or loaded when it is needed."""

    plan: Plan
    cache: Cache
    model: Any = None
    input: Any = None
    device: str = "auto"
    draft: bool = False
    progress: RunListener | None = None
    early: Early | None = None
    _adapter: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.model, Own):
            self.model, self._adapter = None, self.model.adapter

    @property
    def program(self) -> Program:
        return self.plan.program

    @cached_property
    def given(self) -> list[tuple[Any, str]]:
        """Every input with its name; globs and folders expanded."""
        return handed.pictures(self.input, self.program.inputs, handed.rank_of(self.program.description))

    @cached_property
    def identities(self) -> list[str] | None:
        """A hash of each input; None where one cannot be read."""
        found = [subjects.input_identity(item) for item, _ in self.given]
        return None if None in found else [identity for identity in found if identity is not None]

    @cached_property
    def model_key(self) -> str | None:
        """Of the record about the model, if it is one of the registry."""
        slot = self.program.models[0]
        name = slot.name or DEFAULT_MODEL
        if (self.model is not None and not isinstance(self.model, str)) or name not in registry().models():
            return None
        changes = {key: self.program.setting(f"preprocess.{key}") for key in PREPROCESS}
        seed = self.program.setting("seed", 0)
        return subjects.model_key(name, slot.weights, seed, changes, self.progress)

    def subject(self) -> Subject | None:
        """The model without torch: from the cache. None where it has to be loaded first."""
        device = subjects.expected_device(self.device, self.cache)
        description = self.program.description
        if self._adapter is not None or device is None or description is None or self.model_key is None:
            return None
        return subjects.known(self.cache, self.model_key, description, device)

    @property
    def loaded(self) -> bool:
        return self._adapter is not None

    def adapter(self) -> Any:
        """The model itself. The first time the cache learns what it is called."""
        from bbilang import api

        if self._adapter is None:
            self._adapter = api._loaded(self.program, self.model, self.input, self.device)
            if self.model_key is not None and self.cache.writable:
                subjects.learn(self.cache, self.model_key, self._adapter)
                subjects.remember_device(self.device, str(self._adapter.device), self.cache)
        return self._adapter

    def loaded_subject(self) -> Subject | None:
        return subjects.subject_of(self.adapter(), callers=self.model_key is None)

    def recipe(self) -> Recipe:
        from bbilang import api

        return api._recipe(self.program, self.draft)


def execute(work: Work) -> Results:
    """Numbers and icons for every element of a plan, from the cache as far as it goes."""
    from bbilang.runtime.recall.results_store import Store

    with work.cache.holding():
        subject = work.subject() or work.loaded_subject()
        if subject is None or work.identities is None:
            return _everything(work)
        store = Store(work.cache, work.program, registry(), subject, work.identities)
        results = _execute(work, store, subject)
        if results is None:  # the device is not what it was the last time
            subject = work.loaded_subject()
            assert subject is not None
            results = _execute(work, Store(work.cache, work.program, registry(), subject, work.identities), subject)
        assert results is not None
        return results


def _everything(work: Work) -> Results:
    from bbilang import api

    pictures = [api._picture(work.program, item, name, work.adapter()) for item, name in work.given]
    return api._run(work.plan, work.adapter(), pictures, work.draft, work.cache, work.progress)


def _execute(work: Work, store: Any, subject: Subject) -> Results | None:
    from bbilang import api
    from bbilang.runtime.recall.results_store import joined

    program = work.program
    scored = any(f.scores for f in program.forwards)
    kept = {e.id: part for e in program.elements if (part := store.recall(e)) is not None}
    predicted = store.predictions() if scored else None
    missing = [e.id for e in program.elements if e.id not in kept]
    passes, noticed = None, ()
    if missing or (scored and predicted is None):
        if work.adapter() is not None and str(work.adapter().device).partition(":")[0] != _type(subject):
            return None
        pictures = [api._picture(program, item, name, work.adapter()) for item, name in work.given]
        wanted = missing or [program.elements[0].id]  # where only the predictions are missing
        fresh = _fresh(work, store, pictures, wanted, scored and predicted is None)
        if fresh is None:
            return _everything(work)
        new, found, passes, noticed = fresh
        kept |= new
        predicted = found or predicted
    results, steps = joined(program, kept, predicted, subject.description.label)
    holder = work.adapter() if work.loaded else subject
    results = replace(
        results, pictures=tuple(api._picture(program, item, name, holder) for item, name in work.given), passes=passes,
        noticed=noticed, adapter=holder, recipe=work.recipe(), draft=work.draft,
    )  # fmt: skip
    if work.early is not None:
        work.early.numbers(results, [objective for objectives in steps for objective in objectives])
    foreign: dict[str, int] = {}
    icons = [icon for objectives in steps for icon in _icons(work, subject, objectives, passes, foreign)]
    numbers = {part.made.device for part in (*kept.values(), *([predicted] if predicted else [])) if part.imported}
    imported = (
        *(f"{count} {'icon' if count == 1 else 'icons'} made on {whose}" for whose, count in sorted(foreign.items())),
        *(f"numbers computed on {device}" for device in sorted(numbers)),
    )
    holder = work.adapter() if work.loaded else subject  # making icons may have loaded it
    return replace(results, icons=icons, adapter=holder, imported=imported)


def _type(subject: Subject) -> str:
    return subject.device.partition(":")[0]


def _fresh(work: Work, store: Any, pictures: Sequence[Any], missing: Sequence[str], scored: bool) -> Any:
    """Run what is missing, without its icons, and keep it: (element id -> its part, predictions, passes, what was
    noticed of the network). What a reader has to be warned of is not kept. None where the results hold something that
    the store does not know."""
    from bbilang import api
    from bbilang.runtime.execution.execute import execute as execute_plan
    from bbilang.runtime.recall.results_store import Predicted, parts_of, restricted, run_of

    program, plan = work.program, work.plan
    if len(missing) < len(program.elements):
        part = restricted(program, missing, registry(), scored)
        plan = api.plan(api.optimize(part) if program.optimized else part)
    asked: list[Objective] = []

    def collect(adapter: Any, objectives: Any, counter: Any) -> list[None]:
        asked.extend(objectives)
        return [None] * len(objectives)

    results = execute_plan(plan, registry(), work.adapter(), pictures, icons=collect, listener=work.progress)
    made = run_of(results, str(work.adapter().device))
    found = parts_of(results, asked, made)
    if found is None:
        return None
    predicted = None if results.probabilities is None else Predicted(results.probabilities, results.kind, made)
    for element in plan.program.elements if not results.noticed else ():
        store.keep(element, found[element.id])
    if predicted is not None and not results.noticed:
        store.keep_predictions(predicted)
    return found, predicted, results.passes, results.noticed


def _icons(
    work: Work, subject: Subject, objectives: Sequence[Objective], counter: Any, foreign: dict[str, int]
) -> list[Icon]:
    """Icons from the cache, then those of another machine's; the rest are made. ``foreign`` counts the second kind."""
    from bbilang import api
    from bbilang.runtime.featvis.icon import look_up

    if not objectives:
        return []
    recipe = work.recipe()
    model = work.adapter() if work.loaded else subject
    icons, others = look_up(work.cache, objectives, recipe, model)
    for made in others:
        foreign[made] = foreign.get(made, 0) + 1
    if work.early is not None:
        for objective, icon in icons.items():
            work.early.icon(objective, icon)
    missing = [objective for objective in objectives if objective not in icons]
    if missing:
        there = len(objectives) - len(missing)
        listener = None if work.progress is None else _Counting(work.progress, there)
        take = None
        if work.early is not None:
            work.early.making()
            take = work.early.icon
        made = api._icons(
            work.adapter(), missing, counter, recipe=recipe, cache=work.cache, progress=listener, take=take
        )
        icons |= dict(zip(missing, made, strict=True))
    elif work.progress is not None:
        words = f"{recipe.size} px, {recipe.steps} steps"
        work.progress(Event("estimate", words, len(objectives), 0, 0.0))
    return [icons[objective] for objective in objectives]


@dataclass(frozen=True)
class _Counting:
    """Tells of the icons that were there already, too."""

    tell: RunListener
    there: int

    def __call__(self, event: Event) -> None:
        self.tell(replace(event, done=event.done + self.there) if event.kind == "estimate" else event)


def needed(work: Work) -> tuple[frozenset[str], int]:
    """(the keys of the records that a page needs and the cache has, the number that it lacks). Nothing is computed; a
    model that the cache does not know yet is loaded, to learn what it is called."""
    from bbilang.runtime.featvis.icon import look_up
    from bbilang.runtime.recall.results_store import Store

    with work.cache.holding():
        subject = work.subject() or work.loaded_subject()
        if subject is None or work.identities is None:
            return frozenset(), len(work.program.elements)
        store = Store(work.cache, work.program, registry(), subject, work.identities)
        kept = [store.recall(element) for element in work.program.elements]
        objectives = dict.fromkeys(o for part in kept if part is not None for o in part.objectives)
        icons, _ = look_up(work.cache, objectives, work.recipe(), subject)
        lacking = kept.count(None) + len(objectives) - len(icons)
        if any(forward.scores for forward in work.program.forwards):
            lacking += store.predictions() is None
        return work.cache.held(), lacking

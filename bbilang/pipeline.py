"""The pipeline of stages that the Python API, the commands, the preview and the notebook share.

    text -> AST -> typed program -> optimized program -> plan -> results -> view -> page

A `Request` says what is wanted; a `Pipeline` runs the stages of one request, each when it is first needed, and once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bbilang.compiler.check.options import GivenModel, Options
from bbilang.compiler.check_text import check_text
from bbilang.compiler.ir.program import Program
from bbilang.compiler.ir.speeds import Force
from bbilang.compiler.plan.limits import NO_LIMITS, Limits
from bbilang.given_models import Given, given_models, modules_of
from bbilang.grammar import ast
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.frozen import frozen
from bbilang.grammar.holes import holes
from bbilang.grammar.parse import parse_recovering
from bbilang.grammar.source import Source, Span
from bbilang.registry import operation_defaults, registry

if TYPE_CHECKING:
    from bbilang.compiler.explain.explain import Explanation
    from bbilang.compiler.plan.plan import Plan
    from bbilang.page import Page
    from bbilang.runtime.cache.disk import Cache
    from bbilang.runtime.data.given import Given as GivenData
    from bbilang.runtime.data.peek import Peek
    from bbilang.runtime.events import RunListener
    from bbilang.runtime.execution.job import Job, PartialResultsListener
    from bbilang.runtime.execution.results import Results
    from bbilang.runtime.execution.shared import Files, Workers
    from bbilang.runtime.models.adapter import Adapter
    from bbilang.runtime.recall.pages import StoredPage
    from bbilang.runtime.scan.scanned import Scanned
    from bbilang.runtime.watch import Watch


@frozen
class Request:
    """A text with the options that come from outside of it.

    ``text``: a source, which is parsed with recovery, or a syntax tree. ``model``: a name, a torch.nn.Module, or an
    adapter; or these by names of the text, as may be ``weights``. ``input``, ``data``: as in `bbilang.run`. ``force``:
    forward or reverse mode wherever both would do. ``cache``: the cache of results, or None. ``root``: the folder that
    must contain all files that the text names. ``limits``: what the page may cost. ``workers`` and ``ray``: how many
    processes scan datasets and make icons, of this machine or of the Ray cluster at an address.
    """

    text: Source | ast.File
    model: Any = None
    input: Any = None
    weights: str | Path | Mapping[str, str | Path] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    input_size: int | Sequence[int] | None = None
    device: str = "auto"
    optimized: bool = True
    force: Force | None = None
    draft: bool = False
    cache: Cache | None = None
    title: str = ""
    root: Path | None = None
    workers: int | None = None
    ray: str | None = None
    data: Mapping[str, object] = field(default_factory=dict)
    limits: Limits = NO_LIMITS


class Pipeline:
    """The stages of one request. ``listener``: receives progress events. ``partial``: receives results before they are
    complete. ``loaded``: the model that the text names, from an earlier pipeline."""

    def __init__(
        self, request: Request, *, listener: RunListener | None = None, partial: PartialResultsListener | None = None,
        loaded: Adapter | None = None,
    ):  # fmt: skip
        self.request = request
        self.loaded = loaded
        self._listener, self._partial = listener, partial

    # --- text -> typed program ------------------------------------------------------------------------------------

    @cached_property
    def checked(self) -> tuple[Program | None, tuple[Diagnostic, ...]]:
        """The typed program, or None where there are errors; and every diagnostic in the order of the text."""
        text, limits, known, options = self.request.text, self.request.limits, registry(), self.options
        if limits.seconds is None:
            return check_text(text, known, options)
        from bbilang.runtime.watch import before_running

        with before_running(limits, text.source if isinstance(text, ast.File) else text, "checking this text"):
            return check_text(text, known, options)

    @property
    def program(self) -> Program:
        """The typed program. Raises BbiError with everything that is wrong."""
        program, diagnostics = self.checked
        if program is None:
            text = self.request.text
            if all(diagnostic.severity != "error" for diagnostic in diagnostics):
                diagnostics = (*diagnostics, _of_holes(text))
            raise BbiError(diagnostics, text.source if isinstance(text, ast.File) else text)
        return program

    def alone(self, program: Program) -> Pipeline:
        """Return a pipeline of a part of the program, with everything else as here."""
        part = Pipeline(self.request, listener=self._listener, loaded=self.loaded)
        part.checked = (program, ())
        return part

    @cached_property
    def options(self) -> Options:
        """Return the options of the checker."""
        from bbilang.runtime.inputs.load import called, expanded, framed, listed, names_of, rank_of
        from bbilang.runtime.sound.names import is_sound

        request, settings, given = self.request, dict(self.request.settings), self._given_models
        adapters = [one.adapter for one in given.values() if one.adapter is not None]
        rank = rank_of(adapters[0].description if adapters else None)
        inputs = listed(request.input, rank)
        if not adapters:
            settings = _with_input_size(settings, request.input_size)
        known = {name: one.for_checker(inputs or ()) for name, one in given.items()}
        own = known.pop("", GivenModel())
        return Options(
            own.name, own.weights, names_of(inputs), settings, own.description, expanded, is_sound, framed, peek_at,
            self.data, request.root, own.described, called(request.input), known,
        )  # fmt: skip

    @cached_property
    def _given_models(self) -> dict[str, Given]:
        """Return the models that the request gives, by names of the text; a caller's module is described once for
        checking and running. Raises BbiError E408, E423."""
        request = self.request
        return given_models(request.model, request.weights, request.input, request.input_size)

    @cached_property
    def data(self) -> dict[str, GivenData]:
        """Return the datasets that the request gives, by names. Raises BbiError E423."""
        from bbilang.runtime.data.given import given_datasets

        return given_datasets(self.request.data, self.request.cache)

    # --- typed program -> plan ------------------------------------------------------------------------------------

    @cached_property
    def plan(self) -> Plan:
        """Return the plan to run: that of the optimized program, unless the request disables optimization. Raises
        BbiError E380 to E382, E435 for one that is not within the limits."""
        from bbilang.runtime.device.mode_choice import plan_for_device

        request = self.request
        if request.optimized:
            made = plan_for_device(self.program, registry(), request.cache, request.device, request.force)
        else:
            made = self.plan_as_written
        request.limits.check(made, self.program.source)
        return made

    @cached_property
    def plan_as_written(self) -> Plan:
        """Return the unoptimized plan, with one pass for every node that needs one."""
        from bbilang.compiler.plan.plan import plan

        return plan(self.program, registry())

    def explanation(self) -> Explanation:
        """Compare the two plans without running them."""
        from bbilang.compiler.explain.explain import Explanation

        return Explanation(self.plan_as_written, self.plan, (), operation_defaults())

    # --- plan -> results ------------------------------------------------------------------------------------------

    @cached_property
    def job(self) -> Job:
        """Return the job that executes the plan. A caller's module is used as it was described."""
        from bbilang.runtime.execution.job import Job

        request = self.request
        models = modules_of(self._given_models, request.text)
        return Job(
            self.plan, registry(), models, request.input, request.device, request.draft, request.cache,
            self._watched, self._partial, self.loaded, self._workers, self._files,
        )  # fmt: skip

    @cached_property
    def _watch(self) -> Watch:
        """Return what ends the run where it is beyond its limits."""
        from bbilang.runtime.watch import Watch

        program = self.program

        def span_of(kind: str) -> Span | None:
            spans = [step.requested_by for step in self.plan.every_step if step.kind == kind and step.requested_by]
            shown = program.spans(program.elements[0].node) if program.elements else ()
            return next(iter(spans[0] if spans else shown), None)

        return Watch(self.request.limits, program.source, span_of, self._listener)

    @property
    def _watched(self) -> RunListener | None:
        return self._watch if self.request.limits else self._listener

    def _within_limits(self) -> AbstractContextManager[None]:
        return self._watch.within() if self.request.limits else nullcontext()

    @cached_property
    def _files(self) -> Files:
        """The files that a run may read."""
        from bbilang.runtime.execution.shared import Files

        return Files(self.request.root, self.data, self.request.cache)

    @property
    def _workers(self) -> Workers | None:
        """The processes that scan and make icons. Raises BbiError E440, E423 for a network of the caller's own."""
        if self.request.workers is None and self.request.ray is None:
            return None
        from bbilang.recipes import NetworkRecipe, ScanRecipe
        from bbilang.runtime.execution.shared import Workers
        from bbilang.runtime.models.sources.permission import is_allowed
        from bbilang.runtime.workers.choose import pool_of

        pool = pool_of(self.request.workers, self.request.ray)
        if pool is None:
            return None
        alone = replace(self.request, cache=None, workers=None, ray=None)
        network = NetworkRecipe(partial(loaded_network, alone), is_allowed())
        return Workers(pool, ScanRecipe(network), network)

    def scan(self) -> list[Scanned]:
        """Read the datasets of the text once, and keep what its elements need of them: what `bbi scan` does."""
        from bbilang.runtime.execution.execute import scan_all
        from bbilang.runtime.execution.shared import ScanStore
        from bbilang.runtime.ops.datasets.fixed_atoms import frames_of
        from bbilang.runtime.recall.job_identity import JobIdentity

        job, program, cache = self.job, self.plan.program, self.request.cache
        if not program.scans:
            return []
        store = None
        if cache is not None:
            identity = JobIdentity(job, cache)
            identity.adapter()
            model = identity.model() or identity.loaded_model()
            store = ScanStore(cache, model.code) if model is not None else None
        adapter = job.adapter()
        chosen = any(choice for scan in program.scans for field in scan.fields for choice in frames_of(field))
        inputs = job.inputs(adapter) if chosen else ()  # atoms of some pipes are chosen on them
        with job.workers_kept(), self._within_limits():
            return scan_all(program, job.registry, adapter, inputs, job.listener, store, job.workers, job.files)

    def overlaps(self) -> tuple[str, ...]:
        """Describe which pictures the datasets of the text share, and the splits of each, as far as scans know them."""
        from bbilang.runtime.execution.overlaps import overlaps

        return tuple(overlaps(self.plan.program, self._files))

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """Return the digest of the definition and weights of each model, by its alias, from the cache or by loading
        it."""
        from bbilang.runtime.recall.job_identity import JobIdentity

        found = {}
        for job in [self.job.part(plan, {}, {}) for plan in self.plan.parts] or [self.job]:
            identity = JobIdentity(job, self.request.cache) if self.request.cache is not None else None
            known = identity.fingerprint() or identity.adapter().fingerprint if identity is not None else None
            found[job.program.models[0].alias] = known or job.adapter().fingerprint
        return found

    @property
    def recalls(self) -> bool:
        """Return whether numbers may come from the cache: not with a forced mode, which is meant to be measured."""
        return self.request.cache is not None and self.request.force is None

    @cached_property
    def results(self) -> Results:
        """Compute numbers and icons, then calibrate the device if the plan depends on its speeds."""
        from bbilang.runtime.device.mode_choice import calibrate_for
        from bbilang.runtime.execution.overlaps import with_overlaps
        from bbilang.runtime.recall.atom_names import with_names
        from bbilang.runtime.recall.incremental import execute

        with self._within_limits():
            results = with_overlaps(with_names(execute(self.job, self.recalls), self.job), self._files)
        if self.recalls and self.request.optimized and results.adapter is not None:
            calibrate_for(self.plan, self.request.cache, results.adapter.device)
        return results

    @property
    def has_run(self) -> bool:
        """Return whether the results are there."""
        return "results" in vars(self)

    def measured(self) -> Results:
        """Return results with the time and peak memory of each step; only icons come from the cache."""
        from bbilang.runtime.recall.incremental import execute

        with self._within_limits():
            return execute(self.job, measure=True)

    # --- results -> page ------------------------------------------------------------------------------------------

    @cached_property
    def page(self) -> Page:
        """Return the page with the view of the results."""
        from bbilang.page import Page, view_of

        results = self.results
        with self._within_limits():
            return Page(view_of(results, self.request.title), results, self.plan, self.request.limits)

    def stored_page(
        self, make: Callable[[], Page], summarize: Callable[[Page], tuple[list[str], list[str]]]
    ) -> tuple[StoredPage, bool]:
        """Return (the rendered page, whether it came whole from the cache). If it did not, ``make`` makes it, and it is
        cached with the lines and notes that ``summarize`` returns."""
        from bbilang.page import check_size
        from bbilang.runtime.featvis.icon import words_of
        from bbilang.runtime.recall import pages
        from bbilang.runtime.recall.atom_names import keep, states
        from bbilang.runtime.recall.job_identity import JobIdentity

        cache, title = self.request.cache, self.request.title
        assert cache is not None
        known = JobIdentity(self.job, cache)
        key = pages.page_key(known, title)
        stored = pages.recall(cache, key) if key is not None else None
        if stored is not None:
            check_size(len(stored.html), self.request.limits, self.program)
            if self.job.program.names:
                keep(self.job, states(self.job, self.fingerprints))
            return stored, True
        page = make()
        lines, notes = summarize(page)
        passes, icons = page.view.provenance.passes, len(page.results.icons)
        stored = pages.StoredPage(
            page.html().encode(), passes, icons, tuple(lines), tuple(notes), words_of(self.job.recipe, self.job.program)
        )
        if key is None:  # the model's identity was not known before it was loaded
            key = pages.page_key(JobIdentity(self.job, cache), title)
        if key is not None:
            pages.keep(cache, key, stored)
        return stored, False


def loaded_network(request: Request) -> tuple[Program, Adapter]:
    """Load the network of a request, in a worker."""
    pipeline = Pipeline(request)
    return pipeline.plan.program, pipeline.job.adapter()


def _of_holes(text: Source | ast.File) -> Diagnostic:
    """Return the error for running a text that is right but has holes."""
    file = text if isinstance(text, ast.File) else parse_recovering(text)[0]
    first, *more = holes(file)
    message = f"{len(more) + 1} holes leave" if more else "a hole leaves"
    help = "`bbi complete` lists what fits, and `bbi complete --run 4` makes a page of the best"
    return Diagnostic("E298", f"{message} open what to run", first.span, help)


def peek_at(path: str, folder: Path, root: Path | None) -> Peek:
    """Look at the files of a dataset, without opening one."""
    from bbilang.runtime.data.peek import peek

    return peek(path, folder, root)


def _with_input_size(settings: dict[str, Any], input_size: Any) -> dict[str, Any]:
    """Return settings with an input size, to which the pictures of a named model are resized."""
    from bbilang.runtime.inputs import arguments

    size = arguments.size_of(input_size)
    if size is None:
        return settings
    if len(size) != 2:
        arguments.wrong("input_size", input_size, "the (y, x) of a picture, for a model by its name")
    return {"preprocess.crop": list(size), "preprocess.size": max(size), **settings}

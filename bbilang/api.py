"""The public functions: one for each stage, and `run`, which chains them. Each validates its arguments and delegates.

text -> AST -> typed IR -> optimized IR -> physical plan -> results -> view model -> HTML
   parse   check      optimize        plan            execute    view          render
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bbilang.compiler.ir.program import Program
from bbilang.compiler.ir.speeds import Force, Speeds
from bbilang.compiler.optimize.rules import optimize as optimize_program
from bbilang.compiler.plan.installed import require_installed
from bbilang.compiler.plan.limits import NO_LIMITS, Limits
from bbilang.compiler.plan.plan import Plan
from bbilang.compiler.plan.plan import plan as plan_program
from bbilang.given_models import named
from bbilang.grammar import ast
from bbilang.grammar.parse import parse as parse_source
from bbilang.grammar.source import Source
from bbilang.page import Page, rendered, view_of
from bbilang.pipeline import Pipeline, Request
from bbilang.registry import registry
from bbilang.runtime.events import RunListener
from bbilang.runtime.inputs import arguments as givens
from bbilang.texts import source_of

if TYPE_CHECKING:
    from bbilang.compiler.explain.explain import Explanation
    from bbilang.completions import Completions
    from bbilang.runtime.cache.disk import Cache
    from bbilang.runtime.execution.job import PartialResultsListener
    from bbilang.runtime.execution.results import Results
    from bbilang.runtime.view.model import View

__all__ = ["check", "complete", "execute", "explain", "optimize", "parse", "plan", "render", "run", "view"]


def run(
    text: str | Source | Path,
    *,
    model: Any = None,
    input: Any = None,
    data: Mapping[str, object] | None = None,
    weights: str | Path | Mapping[str, str | Path] | None = None,
    device: str = "auto",
    settings: Mapping[str, Any] | None = None,
    input_size: int | Sequence[int] | None = None,
    optimized: bool = True,
    draft: bool = False,
    cache: Any = None,
    progress: RunListener | None = None,
    title: str = "",
    limits: Limits = NO_LIMITS,
    root: str | Path | None = None,
) -> Page:
    """Compile a .bbi text to a page. text: the text itself, or the path of its file.

    model: a name (`bbi models`), a torch.nn.Module or an adapter (`bbilang.adapt`); by default that of the text, or the
    default model. Of a text with several models also a dict from their names to these, which win over the text:
    `{"a": net, "b": "resnet50"}`; without a `model` statement it names the models, the first of which layers without a
    prefix are of. input: file names, PIL pictures, uint8 arrays (y, x, 3), or tensors (3, y, x) in [0, 1]; one, a
    list, or a dict from names of the text to them; tensors (channel, x) or (channel,) for a module that takes them.
    data: `{"photos": dataset}`, datasets by their names in the text, which they win over: a torch Dataset, a sequence
    of (picture, label), or a path. weights: a file, `random`, or `download` (into the cache), or a dict of these by the
    names of models. device: `auto`, `cpu`, `cuda`, `mps`. settings: `{"featvis.steps": 64}`. input_size: (y, x) in
    pixels, if the model does not define it. draft: small icons of few steps, labelled as such on the page. cache: False
    for none, or a folder. progress: a function that receives progress events. limits: what the page may cost
    (`bbilang.Limits`): E380 to E382, E435 before any work, E587 to E589 after it began. root: a folder that must
    contain every file that the text names. Raises `BbiError` with all errors; E423 for an argument of the wrong type.
    """
    request = replace(
        _request(source_of(text), model, input, data, weights, settings, input_size),
        device=givens.device_name(device),
        optimized=givens.flag("optimized", optimized),
        draft=givens.flag("draft", draft),
        cache=_cache(cache),
        title=givens.words("title", title),
        limits=_limits(limits),
        root=_root(root),
    )
    return Pipeline(request, listener=givens.listener(progress)).page


def parse(text: str | Source | Path, name: str = "<text>") -> ast.File:
    """Parse a text, or the file at a path, to its syntax tree. Raises `BbiError` with every syntax error."""
    return parse_source(source_of(text, name))


def _request(
    text: Source | ast.File,
    model: Any,
    input: Any,
    data: Mapping[str, object] | None,
    weights: str | Path | Mapping[str, str | Path] | None,
    settings: Mapping[str, Any] | None,
    input_size: int | Sequence[int] | None,
) -> Request:
    """Validate the arguments that `run`, `check` and `explain` share, and return the request. Raises BbiError E423."""
    return Request(
        text=text,
        model=named(model),
        input=input,
        data={} if data is None else data,
        weights=weights if isinstance(weights, Mapping) else givens.file_name("weights", weights),
        settings=givens.settings_of(settings),
        input_size=input_size,
    )


def _limits(limits: object) -> Limits:
    if isinstance(limits, Limits):
        return limits
    return givens.wrong("limits", limits, "a `bbilang.Limits`", "as in `Limits(seconds=60)`")


def _root(root: str | Path | None) -> Path | None:
    name = givens.file_name("root", root)
    return Path(name) if name is not None else None


def check(
    file: ast.File,
    *,
    model: Any = None,
    input: Any = None,
    data: Mapping[str, object] | None = None,
    weights: str | Path | Mapping[str, str | Path] | None = None,
    settings: Mapping[str, Any] | None = None,
    input_size: int | Sequence[int] | None = None,
    limits: Limits = NO_LIMITS,
    root: str | Path | None = None,
) -> Program:
    """Return the typed program: every name resolved, every field typed, every axis spent. Nothing runs, and torch is
    not imported unless the model is a caller's module. Raises `BbiError` with all errors.

    limits, root: as in `run`; the plan is compared with the limits: E380 to E382, E435, and E587 if checking takes too
    long.
    """
    request = _request(
        file if isinstance(file, ast.File) else source_of(file), model, input, data, weights, settings, input_size
    )
    request = replace(request, limits=_limits(limits), root=_root(root))
    program = Pipeline(request).program
    if request.limits:
        request.limits.check(plan_program(optimize_program(program), registry()), program.source)
    return program


def complete(
    text: str | Source | Path,
    *,
    by: Sequence[str] = (),
    max_passes: int | None = None,
    without: Sequence[str] = (),
    model: object = None,
    input: object = None,
    data: Mapping[str, object] | None = None,
    settings: Mapping[str, object] | None = None,
    input_size: int | Sequence[int] | None = None,
    limits: Limits = NO_LIMITS,
    root: str | Path | None = None,
) -> Completions:
    """Return everything that the holes of a text could be, the best first: a sequence that a notebook shows as a table.

    by: goals, the first counts most: `what`, `how`, `human_scale`, `trust`, `cost`; without, the Pareto front comes
    first. max_passes: of a page. without: `icons`, a style, an operation, a method. The network does not run. limits,
    root: as in `run`; completions beyond the limits are left out, and E587 says that finding them took too long.
    Raises `BbiError` with all errors of the text; E380 to E382, E435 if no completion is within the limits.
    """
    from bbilang.compiler.complete.completions import Limits as Wanted
    from bbilang.completions import Completions

    request = _request(source_of(text), model, input, data, None, settings, input_size)
    request = replace(request, limits=_limits(limits), root=_root(root))
    return Completions(request, by, Wanted(max_passes, tuple(without)))


def optimize(program: Program, *, speeds: Speeds | None = None, force: Force | None = None) -> Program:
    """Optimize a program: the same page from fewer passes. Idempotent.

    speeds: those of the device that it will run on, if measured. force: forward or reverse mode wherever both are
    possible, to override the cost model.
    """
    if not isinstance(program, Program):
        givens.wrong("program", program, "a program", "`check(parse(text))` gives one")
    if force not in (None, "forward", "reverse"):
        givens.wrong("force", force, "`forward`, `reverse` or None")
    return optimize_program(program, speeds=speeds, force=force)


def plan(program: Program) -> Plan:
    """Plan a program: its passes in order, each with its cost and the elements that need it. Raises `BbiError` if a
    deserialized program needs an operation or a style that is not installed."""
    if not isinstance(program, Program):
        givens.wrong("program", program, "a program", "`check(parse(text))` gives one")
    require_installed(program, registry())
    return plan_program(program, registry())


def execute(
    steps: Plan,
    *,
    model: Any = None,
    input: Any = None,
    data: Mapping[str, object] | None = None,
    device: str = "auto",
    draft: bool = False,
    cache: Any = None,
    progress: RunListener | None = None,
    recall: bool = True,
    measure: bool = False,
    early: PartialResultsListener | None = None,
) -> Results:
    """Run a plan: numbers and icons. ``model``, ``input`` and ``data`` as in `run`; left out, the program's own
    are loaded.

    recall: reuse cached results. Without it every pass runs, so that it can be measured, and only icons come from the
    cache; ``cache=False`` disables the cache. measure: also measure the peak memory of each step, which reuses no
    results. early: receives the numbers before icons are made, and each icon when it is finished (`bbi watch`).
    """
    from bbilang.runtime.data.given import given_datasets
    from bbilang.runtime.execution.job import Job
    from bbilang.runtime.execution.shared import Files
    from bbilang.runtime.recall.incremental import execute as execute_job

    if not isinstance(steps, Plan):
        givens.wrong("steps", steps, "a plan", "`plan(check(parse(text)))` gives one")
    store = _cache(cache)
    job = Job(
        plan=steps,
        registry=registry(),
        model=named(model),
        input=input,
        device=givens.device_name(device),
        draft=givens.flag("draft", draft),
        cache=store,
        listener=givens.listener(progress),
        partial=early,
        files=Files(data=given_datasets(data, store), store=store),
    )
    return execute_job(job, recall, measure)


def _cache(cache: Any) -> Cache | None:
    """Return the reader's cache for None and True, none for False, one in the folder for a path."""
    if cache is False:
        return None
    from bbilang.runtime.cache.disk import Cache

    if isinstance(cache, Cache):
        return cache
    if cache is None or cache is True:
        return Cache()
    if isinstance(cache, str | PathLike):
        return Cache(givens.file_name("cache", cache))
    return givens.wrong("cache", cache, "False, a folder or a Cache")


def view(results: Results, title: str = "", whole: bool = False) -> View:
    """Return the view model: what each element shows in each state, as plain numbers, strings and images. ``whole``:
    for a table, with every number of maps that a page shows only as pictures."""
    from bbilang.runtime.execution.results import Results

    if not isinstance(results, Results):
        givens.wrong("results", results, "results", "`execute(plan)` gives them")
    return view_of(results, givens.words("title", title), whole)


def render(page: View) -> str:
    """Render a view model as a standalone HTML page."""
    from bbilang.runtime.view.model import View

    if not isinstance(page, View):
        givens.wrong("page", page, "a view", "`view(execute(plan))` gives one, and `Page.html()` renders a page")
    return rendered(page)


def explain(
    text: str | Source | Path,
    *,
    model: Any = None,
    input: Any = None,
    data: Mapping[str, object] | None = None,
    weights: str | Path | Mapping[str, str | Path] | None = None,
    settings: Mapping[str, Any] | None = None,
    input_size: int | Sequence[int] | None = None,
    force: Literal["forward", "reverse"] | None = None,
    limits: Limits = NO_LIMITS,
) -> Explanation:
    """Explain the plan before and after optimization; `print` the result, call `.to_svg()`, or display it in a
    notebook. Nothing runs.

    force: the mode wherever both are possible, to override the cost model. limits: what the page may cost: E380 to
    E382, E435.
    """
    if force not in (None, "forward", "reverse"):
        givens.wrong("force", force, "`forward`, `reverse` or None")
    request = _request(source_of(text), model, input, data, weights, settings, input_size)
    return Pipeline(replace(request, force=force, cache=_cache(None), limits=_limits(limits))).explanation()

"""The stages, one function each, and `run`, their chain.

text -> AST -> typed IR -> optimized IR -> physical plan -> results -> view model -> HTML
   parse   check      optimize        plan            execute    view          render
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

import bbilang.runtime.inputs.load as handed
from bbilang.compiler.check.check import DEFAULT_MODEL, Options
from bbilang.compiler.check.check import check as check_file
from bbilang.compiler.check.settings import default
from bbilang.compiler.ir.program import Program, walk
from bbilang.compiler.ir.speeds import Force, Speeds
from bbilang.compiler.optimize.rules import optimize as optimize_program
from bbilang.compiler.plan.plan import Plan
from bbilang.compiler.plan.plan import plan as plan_program
from bbilang.grammar import ast
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.parse import parse as parse_source
from bbilang.grammar.source import Source
from bbilang.page import Page
from bbilang.registry import operation_defaults, registry
from bbilang.runtime.device.mode_choice import decided, learn
from bbilang.runtime.events import Event, RunListener
from bbilang.runtime.inputs import arguments as givens

if TYPE_CHECKING:
    from bbilang.compiler.explain.explain import Explanation
    from bbilang.compiler.ir.model_description import ModelDescription
    from bbilang.runtime.execution.results import Results
    from bbilang.runtime.models.adapter import Adapter
    from bbilang.runtime.recall.incremental import Early
    from bbilang.runtime.view.model import View

__all__ = ["check", "execute", "explain", "optimize", "parse", "plan", "render", "run", "view"]


def run(
    text: str | Source | Path,
    *,
    model: Any = None,
    input: Any = None,
    weights: str | Path | None = None,
    device: str = "auto",
    settings: Mapping[str, Any] | None = None,
    input_size: int | Sequence[int] | None = None,
    optimized: bool = True,
    draft: bool = False,
    cache: Any = None,
    progress: RunListener | None = None,
    title: str = "",
) -> Page:
    """Compile a .bbi text to a page. text: the text itself, or the path of its file.

    model: a name (`bbi models`), a torch.nn.Module or an adapter (`bbilang.adapt`); the text's own, or the default,
    unless said. input: file names, PIL pictures, uint8 arrays (y, x, 3), or tensors (3, y, x) in [0, 1]; one or a list;
    tensors (channel, x) or (channel,) for a module that takes them. weights: a file, `random`, or `download`
    (kept afterwards). device: `auto`, `cpu`, `cuda`, `mps`. settings: `{"featvis.steps": 64}`. input_size: (y, x) in
    pixels, where the model does not say.
    draft: small icons of few steps, marked on the page. cache: False for none, or a folder. progress: a function that
    is told how far the work is. Raises `BbiError` with everything wrong; E423 for an argument of another kind.
    """
    optimized, draft = givens.flag("optimized", optimized), givens.flag("draft", draft)
    device, progress, title = givens.device_name(device), givens.listener(progress), givens.words("title", title)
    file, kept = parse(text), _cache(cache)
    if model is not None and not isinstance(model, str | PathLike):
        model = _adapter(model, input, input_size)  # described once, for both stages that need it
        input_size = None
    program = check(file, model=model, input=input, weights=weights, settings=settings, input_size=input_size)
    steps = plan(decided(program, kept, device) if optimized else program)
    cached = False if kept is None else kept
    results = execute(steps, model=model, input=input, device=device, draft=draft, cache=cached, progress=progress)
    if optimized:
        learn(steps.program, kept, results.adapter.device)
    return Page(view(results, title=title), results, steps)


def parse(text: str | Source | Path, name: str = "<text>") -> ast.File:
    """The syntax tree of a text, or of the file at a path. Raises `BbiError` with every syntax error in it."""
    if isinstance(text, PathLike):
        from bbilang.cli.files import read

        text = read(givens.file_name("text", text) or "")
    elif not isinstance(text, str | Source):
        givens.wrong("text", text, "a str, or the path of a file")
    return parse_source(text if isinstance(text, Source) else Source(text, givens.words("name", name)))


def check(
    file: ast.File,
    *,
    model: Any = None,
    input: Any = None,
    weights: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    input_size: int | Sequence[int] | None = None,
) -> Program:
    """The typed program: every name resolved, every field typed, every axis spent. Nothing runs; no torch, unless the
    model is a module of the caller's. Raises `BbiError` with everything that is wrong."""
    file = file if isinstance(file, ast.File) else parse(file)
    weights, chosen = givens.file_name("weights", weights), givens.settings_of(settings)
    name, description, described = None, None, None
    if isinstance(model, str | PathLike):
        name = givens.file_name("model", model)
        chosen = _sized(chosen, input_size)
    elif model is not None:
        adapter = _adapter(model, input, input_size)
        described = lambda **changes: adapter.with_preprocess(**changes).description  # noqa: E731
        description = adapter.description_for(handed.listed(input, handed.rank_of(adapter.description)) or ())
    else:
        chosen = _sized(chosen, input_size)
    inputs = handed.names_of(handed.listed(input, handed.rank_of(description)))
    return check_file(
        file, registry(), replace(options(name, weights, inputs, chosen, description), described=described)
    )


def _sized(settings: dict[str, Any], input_size: Any) -> dict[str, Any]:
    """Settings with an input size, for a model that is known by its name: its pictures are resized to that."""
    size = givens.size_of(input_size)
    if size is None:
        return settings
    if len(size) != 2:
        givens.wrong("input_size", input_size, "the (y, x) of a picture, for a model by its name")
    return {"preprocess.crop": list(size), "preprocess.size": max(size), **settings}


def options(
    model: str | None = None,
    weights: str | None = None,
    inputs: tuple[str, ...] | None = None,
    settings: Mapping[str, Any] | None = None,
    description: ModelDescription | None = None,
) -> Options:
    """Options for the checker, which finds files through the runtime."""
    return Options(model, weights, inputs, dict(settings or {}), description, handed.expanded)


def optimize(program: Program, *, speeds: Speeds | None = None, force: Force | None = None) -> Program:
    """The same pages from fewer passes. Applying it twice changes nothing.

    speeds: of the device that it will run on, where they were measured. force: forward or reverse mode wherever both
    would do, for doubt.
    """
    if not isinstance(program, Program):
        givens.wrong("program", program, "a program", "`check(parse(text))` gives one")
    if force not in (None, "forward", "reverse"):
        givens.wrong("force", force, "`forward`, `reverse` or None")
    return optimize_program(program, speeds=speeds, force=force)


def plan(program: Program) -> Plan:
    """The passes in order, with what each costs and who asked for it. Raises `BbiError` where a program that was read
    back needs an operation or a style that is not installed here."""
    if not isinstance(program, Program):
        givens.wrong("program", program, "a program", "`check(parse(text))` gives one")
    known = registry()
    for node in walk(*(element.node for element in program.elements)):
        for group, name in (("operations", node.op), *((("styles", node["style"]),) if node.op == "present" else ())):
            if known.find(group, name) is None:
                help = "install the plugin that brings it"
                raise BbiError(Diagnostic("E210", f"the program needs `{name}`, which is not known here", help=help))
    return plan_program(program)


def execute(
    steps: Plan,
    *,
    model: Any = None,
    input: Any = None,
    device: str = "auto",
    draft: bool = False,
    cache: Any = None,
    progress: RunListener | None = None,
    recall: bool = True,
    measure: bool = False,
    early: Early | None = None,
) -> Results:
    """Run a plan: numbers and icons. ``model`` and ``input`` as in `run`; left out, the program's own are loaded.

    recall: what the cache holds is not computed again. Without it every pass runs, so that it can be measured, and
    only icons come from the cache; ``cache=False`` uses none at all. measure: each step's peak memory too, for which
    nothing is recalled. early: told of the numbers before icons are made, and of each icon (`bbi watch`).
    """
    from bbilang.runtime.recall.incremental import Own, Work
    from bbilang.runtime.recall.incremental import execute as execute_work

    if not isinstance(steps, Plan):
        givens.wrong("steps", steps, "a plan", "`plan(check(parse(text)))` gives one")
    device, progress, draft = givens.device_name(device), givens.listener(progress), givens.flag("draft", draft)
    if isinstance(model, PathLike):
        model = givens.file_name("model", model)
    store = _cache(cache)
    if store is not None and recall and not measure:
        return execute_work(Work(steps, store, model, input, device, draft, progress, early))
    program = steps.program
    adapter = model.adapter if isinstance(model, Own) else _loaded(program, model, input, device)
    given = handed.pictures(input, program.inputs, handed.rank_of(program.description))
    pictures = [_picture(program, item, name, adapter) for item, name in given]
    return _run(steps, adapter, pictures, draft, store, progress, measure)


def _run(
    steps: Plan, adapter: Adapter, pictures: list[Any], draft: bool, cache: Any, progress: RunListener | None,
    measure: bool = False,
) -> Results:  # fmt: skip
    """Every pass of a plan."""
    from bbilang.runtime.execution.execute import execute as execute_plan

    recipe = _recipe(steps.program, draft)
    icons = partial(_icons, recipe=recipe, cache=cache, progress=progress)
    results = execute_plan(steps, registry(), adapter, pictures, icons=icons, listener=progress, measure=measure)
    return replace(results, recipe=recipe, draft=draft)


def _picture(program: Program, item: Any, name: str, adapter: Any) -> Any:
    """One input, read; a file that cannot be read is reported where the text names it."""
    try:
        return handed.picture_of(item, name, adapter, program.setting("show.channels"))
    except BbiError as error:
        spans = [
            file.span
            for statement in _inputs_of(program)
            for file in statement.files
            if isinstance(item, str) and item.endswith(file.value)
        ]
        found = [replace(d, span=d.span or (spans[0] if spans else None)) for d in error.diagnostics]
        raise BbiError(found, program.source) from error


def _inputs_of(program: Program) -> list[ast.Input]:
    if program.source is None:
        return []
    return [s for s in parse_source(program.source).statements if isinstance(s, ast.Input)]


def _icons(
    adapter: Any, objectives: Any, counter: Any, *, recipe: Any, cache: Any, progress: RunListener | None,
    take: Any = None,
) -> list[Any]:  # fmt: skip
    """Icons, with word before and while they are made."""
    from bbilang.runtime.featvis.engine import visualize

    if progress is None:
        return visualize(adapter, objectives, recipe, cache, None, counter, None, take)
    making = 0

    def announce(count: int, seconds: float) -> None:
        nonlocal making
        making = count
        progress(Event("estimate", f"{recipe.size} px, {recipe.steps} steps", len(objectives) - count, count, seconds))

    def tell(done: int, total: int, left: float) -> None:
        if making:
            progress(Event("icons", "", done, total, left))

    return visualize(adapter, objectives, recipe, cache, tell, counter, announce, take)


def _recipe(program: Program, draft: bool) -> Any:
    from bbilang.runtime.featvis.icon import Recipe

    names = ("size", "steps", "rate", "batch", "parametrization", "transparency")
    chosen = {name: program.setting(f"featvis.{name}", default(f"featvis.{name}")) for name in names}
    recipe = Recipe(**chosen, seed=program.setting("seed", 0), plain=not program.optimized)
    return recipe.draft() if draft else recipe


def _cache(cache: Any) -> Any:
    """None and True: that of the reader; False: none; a folder: one there."""
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


def _adapter(model: Any, input: Any, input_size: Any = None) -> Adapter:
    """A caller's module as an adapter, for the tensor or the picture that it comes with."""
    from bbilang.runtime.models.adapter import Adapter

    size = givens.size_of(input_size)
    if isinstance(model, Adapter):
        return model if size in (None, model.description.input_size) else model.with_preprocess(crop=size)
    from bbilang.runtime.models.adapt import adapted, module_of

    module_of(model)
    first = next(iter(handed.listed(input) or ()), None)
    numbers = handed.is_values(first)
    shape = tuple(map(int, first.shape)) if numbers else None
    if isinstance(first, np.ndarray) and shape is not None and len(shape) == 3:
        shape = None if first.dtype == np.uint8 and shape[2] == 3 else _channel_first(shape, model)
    return adapted(model, size, shape=shape, picture=first is not None and shape is None)


def _channel_first(shape: tuple[int, ...], module: Any) -> tuple[int, ...]:
    """The shape of an array (y, x, channel) as that of a tensor; it stays where only its first axis has as many
    channels as the module takes."""
    from bbilang.runtime.models.input_probe import entrance

    channels = entrance(module, (1, 1)).channels
    return shape if shape[0] == channels != shape[2] else (shape[2], shape[0], shape[1])


def _nameable(name: str) -> bool:
    """Whether a model can be had by its name, from the registry or another library."""
    from bbilang.runtime.models.sources.source import source_of

    return name in registry().models() or source_of(name) is not None


def _loaded(program: Program, model: Any, input: Any, device: str) -> Adapter:
    from bbilang.runtime.models.adapter import device_named
    from bbilang.runtime.models.loading import load

    slot = program.models[0]
    if model is not None and not isinstance(model, str):
        described = program.description
        size = described.input_size if described is not None and described.reads == "image" else None
        adapter = _adapter(model, input, size)
        if device != "auto":
            device_named(device)
            adapter.to(device)
    elif slot.name == "module" or (program.description is not None and not _nameable(slot.name)):
        help = "pass it again: `execute(plan, model=module)`"
        message = f"this program was made for a module of the caller's, `{slot.name}`"
        raise BbiError(Diagnostic("E408", message, help=help))
    else:
        adapter = load(slot.name or DEFAULT_MODEL, slot.weights, device, seed=program.setting("seed", 0))
    changes = {key: program.setting(f"preprocess.{key}") for key in ("size", "crop", "mean", "std")}
    changes = {key: value for key, value in changes.items() if value is not None}
    if changes:
        adapter = adapter.with_preprocess(**changes)
    return adapter.described_as(program.description) if program.description is not None else adapter


def view(results: Results, title: str = "", whole: bool = False) -> View:
    """The view model: what each element shows in each state, in plain numbers, strings and images. ``whole``: with
    every number of maps that a page shows as pictures only, for a table."""
    from bbilang.runtime.execution.results import Results

    if not isinstance(results, Results):
        givens.wrong("results", results, "results", "`execute(plan)` gives them")
    givens.words("title", title)
    from bbilang.runtime.view.build import view as build
    from bbilang.runtime.view.provenance import provenance_of

    return build(results, registry(), provenance_of(results), title, whole)


def render(page: View) -> str:
    """The standalone HTML page of a view model."""
    from bbilang.runtime.view.model import View

    if not isinstance(page, View):
        givens.wrong("page", page, "a view", "`view(execute(plan))` gives one, and `Page.html()` renders a page")
    from bbilang.runtime.page.html import render as render_page

    return render_page(page, registry().styles)


def explain(
    text: str | Source | Path,
    *,
    model: Any = None,
    input: Any = None,
    weights: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    input_size: int | Sequence[int] | None = None,
    force: Literal["forward", "reverse"] | None = None,
) -> Explanation:
    """The plan before and after the optimizer: `print` it, `.to_svg()` it, or let a notebook show it. Nothing runs.

    force: forward or reverse mode wherever both would do, for doubt.
    """
    from bbilang.compiler.explain.explain import Explanation

    if force not in (None, "forward", "reverse"):
        givens.wrong("force", force, "`forward`, `reverse` or None")
    program = check(parse(text), model=model, input=input, weights=weights, settings=settings, input_size=input_size)
    return Explanation(plan(program), plan(optimize(program, force=force)), (), operation_defaults())

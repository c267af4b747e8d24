"""The stages, one function each, and `run`, their chain.

text -> AST -> typed IR -> optimized IR -> physical plan -> results -> view model -> HTML
   parse   check      optimize        plan            execute    view          render
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import bbilang.inputs as handed
from bbilang.compiler.check import DEFAULT_MODEL, Options
from bbilang.compiler.check import check as check_file
from bbilang.compiler.ir import Program, walk
from bbilang.compiler.optimize import optimize
from bbilang.compiler.plan import Plan
from bbilang.compiler.plan import plan as plan_program
from bbilang.compiler.settings import default
from bbilang.deciding import decided, learn
from bbilang.grammar import ast
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.parse import parse as parse_source
from bbilang.grammar.source import Source
from bbilang.page import Page
from bbilang.registry import charts, operation_defaults, registry
from bbilang.runtime.progress import Event, Listener

if TYPE_CHECKING:
    from bbilang.compiler.description import ModelDescription
    from bbilang.compiler.explain import Explanation
    from bbilang.recalling import Early
    from bbilang.runtime.adapter import Adapter
    from bbilang.runtime.execute import Results
    from bbilang.runtime.viewmodel import View

__all__ = ["check", "execute", "explain", "optimize", "parse", "plan", "render", "run", "view"]


def run(
    text: str | Source,
    *,
    model: Any = None,
    input: Any = None,
    weights: str | None = None,
    device: str = "auto",
    settings: Mapping[str, Any] | None = None,
    optimized: bool = True,
    draft: bool = False,
    cache: Any = None,
    progress: Listener | None = None,
    title: str = "",
) -> Page:
    """Compile a .bbi text to a page.

    model: a name (`bbi models`), a torch.nn.Module or an adapter (`bbilang.adapt`); the text's own, or the default,
    unless said. input: file names, PIL pictures, uint8 arrays (y, x, 3), or tensors (3, y, x) in [0, 1]; one or a list.
    weights: a file, `random`, or `download` (kept afterwards). device: `auto`, `cpu`, `cuda`, `mps`.
    settings: `{"featvis.steps": 64}`.
    draft: small icons of few steps, marked on the page. cache: False for none. Raises `BbiError` with everything wrong.
    """
    file = parse(text)
    if model is not None and not isinstance(model, str):
        model = _adapter(model, input)  # described once, for both stages that need it
    program = check(file, model=model, input=input, weights=weights, settings=settings)
    kept = _cache(cache)
    steps = plan(decided(program, kept, device) if optimized else program)
    results = execute(steps, model=model, input=input, device=device, draft=draft, cache=cache, progress=progress)
    if optimized:
        learn(steps.program, kept, results.adapter.device)
    return Page(view(results, title=title), results, steps)


def parse(text: str | Source, name: str = "<text>") -> ast.File:
    """The syntax tree of a text. Raises `BbiError` with every syntax error in it."""
    return parse_source(text if isinstance(text, Source) else Source(text, name))


def check(
    file: ast.File,
    *,
    model: Any = None,
    input: Any = None,
    weights: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Program:
    """The typed program: every name resolved, every field typed, every axis spent. Nothing runs; no torch, unless the
    model is a module of the caller's. Raises `BbiError` with everything that is wrong."""
    name, description = None, None
    if isinstance(model, str):
        name = model
    elif model is not None:
        description = _adapter(model, input).description_for(handed.listed(input) or ())
    inputs = handed.names_of(handed.listed(input))
    return check_file(file, registry(), options(name, weights, inputs, settings, description))


def options(
    model: str | None = None,
    weights: str | None = None,
    inputs: tuple[str, ...] | None = None,
    settings: Mapping[str, Any] | None = None,
    description: ModelDescription | None = None,
) -> Options:
    """Options for the checker, which finds files through the runtime."""
    return Options(model, weights, inputs, dict(settings or {}), description, handed.expanded)


def plan(program: Program) -> Plan:
    """The passes in order, with what each costs and who asked for it. Raises `BbiError` where a program that was read
    back needs an operation or a style that is not installed here."""
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
    progress: Listener | None = None,
    recall: bool = True,
    measure: bool = False,
    early: Early | None = None,
) -> Results:
    """Run a plan: numbers and icons. ``model`` and ``input`` as in `run`; left out, the program's own are loaded.

    recall: what the cache holds is not computed again. Without it every pass runs, so that it can be measured, and
    only icons come from the cache; ``cache=False`` uses none at all. measure: each step's peak memory too, for which
    nothing is recalled. early: told of the numbers before icons are made, and of each icon (`bbi watch`).
    """
    from bbilang.recalling import Own, Work
    from bbilang.recalling import execute as execute_work

    store = _cache(cache)
    if store is not None and recall and not measure:
        return execute_work(Work(steps, store, model, input, device, draft, progress, early))
    program = steps.program
    adapter = model.adapter if isinstance(model, Own) else _loaded(program, model, input, device)
    pictures = [_picture(program, item, name, adapter) for item, name in handed.pictures(input, program.inputs)]
    return _run(steps, adapter, pictures, draft, store, progress, measure)


def _run(
    steps: Plan, adapter: Adapter, pictures: list[Any], draft: bool, cache: Any, progress: Listener | None,
    measure: bool = False,
) -> Results:  # fmt: skip
    """Every pass of a plan."""
    from bbilang.runtime.execute import execute as execute_plan

    recipe = _recipe(steps.program, draft)
    icons = partial(_icons, recipe=recipe, cache=cache, progress=progress)
    results = execute_plan(steps, registry(), adapter, pictures, icons=icons, watch=_watch(progress), measure=measure)
    results.adapter, results.recipe, results.draft = adapter, recipe, draft
    return results


def _watch(progress: Listener | None) -> Any:
    def watch(words: str, done: int, total: int, left: float | None) -> None:
        if progress:
            progress(Event("pass" if left is None else "work", words, done, total, left))

    return watch


def _picture(program: Program, item: Any, name: str, adapter: Any) -> Any:
    """One input, read; a file that cannot be read is reported where the text names it."""
    try:
        return handed.picture_of(item, name, adapter)
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
    adapter: Any, objectives: Any, counter: Any, *, recipe: Any, cache: Any, progress: Listener | None,
    take: Any = None,
) -> list[Any]:  # fmt: skip
    """Icons, with word before and while they are made."""
    from bbilang.runtime.visualize import visualize

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
    from bbilang.runtime.icon import Recipe

    names = ("size", "steps", "rate", "batch", "parametrization", "transparency")
    chosen = {name: program.setting(f"featvis.{name}", default(f"featvis.{name}")) for name in names}
    recipe = Recipe(**chosen, seed=program.setting("seed", 0), plain=not program.optimized)
    return recipe.draft() if draft else recipe


def _cache(cache: Any) -> Any:
    if cache is False:
        return None
    from bbilang.runtime.cache import Cache

    return cache if isinstance(cache, Cache) else Cache()


def _adapter(model: Any, input: Any) -> Adapter:
    """A caller's module as an adapter; its input size is that of the tensor it comes with, else 224 pixels."""
    from bbilang.runtime.adapter import Adapter
    from bbilang.runtime.model import adapt

    if isinstance(model, Adapter):
        return model
    if not hasattr(model, "named_modules"):
        help = "give a name, a torch.nn.Module or `bbilang.adapt(module, ...)`"
        raise BbiError(Diagnostic("E408", f"a {type(model).__name__} is no model", help=help))
    first = next(iter(handed.listed(input) or ()), None)
    size = tuple(first.shape[-2:]) if handed.is_tensor(first) else (224, 224)
    return adapt(model, (int(size[0]), int(size[1])))


def _nameable(name: str) -> bool:
    """Whether a model can be had by its name, from the registry or another library."""
    from bbilang.runtime.model import source_of

    return name in registry().models() or source_of(name) is not None


def _loaded(program: Program, model: Any, input: Any, device: str) -> Adapter:
    from bbilang.runtime.adapter import device_named
    from bbilang.runtime.model import load

    slot = program.models[0]
    if model is not None and not isinstance(model, str):
        adapter = _adapter(model, input)
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
    return replace(adapter, description=program.description) if program.description is not None else adapter


def view(results: Results, title: str = "", whole: bool = False) -> View:
    """The view model: what each element shows in each state, in plain numbers, strings and images. ``whole``: with
    every number of maps that a page shows as pictures only, for a table."""
    from bbilang.runtime.provenance import provenance_of
    from bbilang.runtime.view import view as build

    return build(results, registry(), provenance_of(results), title, whole)


def render(page: View) -> str:
    """The standalone HTML page of a view model."""
    from bbilang.runtime.page import render as render_page

    return render_page(page, charts())


def explain(
    text: str | Source,
    *,
    model: Any = None,
    input: Any = None,
    weights: str | None = None,
    settings: Mapping[str, Any] | None = None,
    force: Literal["forward", "reverse"] | None = None,
) -> Explanation:
    """The plan before and after the optimizer: `print` it, `.to_svg()` it, or let a notebook show it. Nothing runs.

    force: forward or reverse mode wherever both would do, for doubt.
    """
    from bbilang.compiler.explain import Explanation

    program = check(parse(text), model=model, input=input, weights=weights, settings=settings)
    return Explanation(plan(program), plan(optimize(program, force=force)), (), operation_defaults())

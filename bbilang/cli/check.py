"""`bbi check`: report every diagnostic of some texts, without running them. `bbi names`: the names that a text gives
to channels, and for which weights."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bbilang.cli.console import plural, report, result, result_json, result_table, tell
from bbilang.cli.errors import FINE, WRONG, misuse
from bbilang.cli.files import named, source_of
from bbilang.compiler.plan.limits import NO_LIMITS, Limits
from bbilang.given_models import of_words
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.holes import HOLE, holes
from bbilang.grammar.parse import parse_recovering
from bbilang.texts import read

if TYPE_CHECKING:
    from bbilang.cli.request import CommandLine
    from bbilang.pipeline import Pipeline
    from bbilang.runtime.recall.atom_names import NameState


def check(
    files: Sequence[str],
    pipe: str | None,
    inputs: Sequence[str] | None,
    models: Sequence[str] | None,
    settings: Mapping[str, Any],
    json: bool,
    root: str | None = None,
    data: Mapping[str, str] | None = None,
    limits: Limits = NO_LIMITS,
) -> int:
    """Report every diagnostic of every text. ``limits``: what the plan of each may take."""
    from bbilang.cli.request import SOME_PICTURE, root_of
    from bbilang.compiler.check_text import names_its_input
    from bbilang.pipeline import Pipeline, Request

    if not files and pipe is None:
        misuse("no text to check", "give files (`bbi check page.bbi`), a pipe (`-e '...'`), or `-` for stdin")
    model, weights = of_words(models)
    listed: list[dict[str, Any]] = []
    errors = warnings = wrong = fine = open_holes = 0
    last = "the text"
    for name in (None, *files) if pipe is not None else files:
        try:
            texts = [source_of(None, pipe)] if name is None else [read(one) for one in named([name])]
        except BbiError as error:
            diagnostics, texts = error.diagnostics, []
            listed += error.to_json()
            errors, wrong = errors + len(diagnostics), wrong + 1
            if not json:
                report(diagnostics)
        if len(files) + len(texts) > 2:
            gc.enable()
        for text in texts:
            last = "the text" if text.name.startswith("<") else text.name
            shown = inputs or (None if names_its_input(text) else SOME_PICTURE)
            folder = root_of(root)
            request = Request(
                text, model=model, weights=weights, input=shown, settings=settings, root=folder, data=data or {},
                limits=limits,
            )  # fmt: skip
            diagnostics = _diagnostics(Pipeline(request))
            listed += [d.to_json(text) for d in diagnostics]
            open_holes += len(holes(parse_recovering(text)[0])) if HOLE in text.text else 0
            count = sum(d.severity == "error" for d in diagnostics)
            errors, warnings = errors + count, warnings + len(diagnostics) - count
            wrong, fine = wrong + bool(count), fine + (not count)
            if not json:
                report(diagnostics, text)
    if json:
        result_json(listed)
    elif errors:
        more = f" and {plural(warnings, 'warning')}" if warnings else ""
        where = f" in {wrong} of {wrong + fine} texts" if wrong + fine > 1 else ""
        tell(f"{plural(errors, 'error')}{more}{where}")
    else:
        more = f", with {plural(warnings, 'warning')}" if warnings else ""
        more += f"; {plural(open_holes, 'hole')}, and `bbi complete` lists what fits" if open_holes else ""
        result(f"{last} is fine{more}" if fine == 1 else f"all {fine} texts are fine{more}")
    return WRONG if errors else FINE


def _diagnostics(pipeline: Pipeline) -> tuple[Diagnostic, ...]:
    """Return what is wrong with a text, and where its plan is beyond the limits."""
    from bbilang.compiler.optimize.rules import optimize
    from bbilang.compiler.plan.plan import plan
    from bbilang.registry import registry

    diagnostics: tuple[Diagnostic, ...] = ()
    try:
        program, diagnostics = pipeline.checked
        if program is not None and pipeline.request.limits:
            pipeline.request.limits.check(plan(optimize(program), registry()), program.source)
    except BbiError as error:  # of the limits
        return (*diagnostics, *error.diagnostics)
    return diagnostics


# --- `bbi names` ------------------------------------------------------------------------------------------------------


def names(line: CommandLine, keeping: bool, json: bool) -> int:
    """List the names of a text. ``keeping``: keep them for the weights in use. The exit code is 1 where a name stays
    stale or could not be kept."""
    from bbilang.cli.fetch import prepare
    from bbilang.cli.request import reported
    from bbilang.runtime.recall.atom_names import keep, path_for, states

    pipeline = line.pipeline()
    program = reported(pipeline, line.source)
    if not program.names:
        result_json([]) if json else result("the text names nothing")
        return FINE
    prepare(line, program)
    job, weights = pipeline.job, pipeline.fingerprints
    lost = keep(job, states(job, weights, every=True), again=True) if keeping else ()
    report([Diagnostic("warning", words, severity="warning") for words in lost])
    found = states(job, weights, every=True)
    if json:
        result_json([_entry(state, str(path_for(state.name, program) or "")) for state in found])
    else:
        _show(found)
    return WRONG if lost or any(state.stale for state in found) else FINE


def _entry(state: NameState, path: str) -> dict[str, object]:
    given = state.given
    return {
        "atom": state.name.key, "name": state.name.name, "state": _state(state), "file": path,
        "model": given.model if given else "", "weights": given.weights if given else "",
        **({"made": given.made} if given and given.made else {}),
    }  # fmt: skip


def _state(state: NameState) -> str:
    return "stale" if state.stale else "kept" if state.given else "new"


def _show(found: tuple[NameState, ...]) -> None:
    from bbilang.cli.tables import table

    made = table(("atom", "left"), ("name", "left"), ("state", "left"))
    for state in found:
        words, given = _state(state), state.given
        if state.stale and given is not None:
            words += (f": given for weights {given.weights[:8]} of {given.model}" if state.other_weights
                      else ": what makes it cannot be known" if state.made is None
                      else ": given for one that was made otherwise")  # fmt: skip
        made.add_row(state.name.key, f'"{state.name.name}"', words)
    result_table(made)
    if stale := sum(state.stale for state in found):
        other = all(state.other_weights for state in found if state.stale)
        what = "weights" if other else "weights, groups or directions"
        result(f"{plural(stale, 'name')} given for other {what}: look again, then `bbi names FILE --keep`")

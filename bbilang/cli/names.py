"""`bbi names`: the names that a text gives to atoms, and for which weights."""

from __future__ import annotations

from bbilang.cli.console import plural, report, result, result_json, result_table
from bbilang.cli.errors import FINE, WRONG
from bbilang.cli.fetch import prepare
from bbilang.cli.request import CommandLine, reported
from bbilang.grammar.diagnostic import Diagnostic
from bbilang.runtime.recall.atom_names import NameState, keep, path_for, states


def names(line: CommandLine, keeping: bool, json: bool) -> int:
    """List the names of a text. ``keeping``: keep them for the weights in use. The exit code is 1 where a name stays
    stale or could not be kept."""
    pipeline = line.pipeline()
    program = reported(pipeline, line.source)
    if not program.names:
        result_json([]) if json else result("the text names nothing")
        return FINE
    prepare(line, program)
    weights = pipeline.fingerprint
    lost = keep(program, weights, again=True) if keeping else ()
    report([Diagnostic("warning", words, severity="warning") for words in lost])
    found = states(program, weights)
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
    }  # fmt: skip


def _state(state: NameState) -> str:
    return "stale" if state.stale else "kept" if state.given else "new"


def _show(found: tuple[NameState, ...]) -> None:
    from bbilang.cli.tables import table

    made = table(("atom", "left"), ("name", "left"), ("state", "left"))
    for state in found:
        words, given = _state(state), state.given
        if state.stale and given is not None:
            words += f": given for weights {given.weights[:8]} of {given.model}"
        made.add_row(state.name.key, f'"{state.name.name}"', words)
    result_table(made)
    if stale := sum(state.stale for state in found):
        result(f"{plural(stale, 'name')} given for other weights: look again, then `bbi names FILE --keep`")

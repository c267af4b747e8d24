"""A plan comparison for tools: JSON that plan.schema.json beside this file describes. Plans are written, never read."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from bbilang.compiler.contract import Trains
from bbilang.compiler.explain.comparison import PlanComparison
from bbilang.compiler.explain.logical import Defaults, entries, lines_of, type_words
from bbilang.compiler.explain.units import Measured
from bbilang.compiler.ir.program import Program
from bbilang.compiler.ir.types import Axis
from bbilang.compiler.plan.plan import Plan
from bbilang.compiler.plan.steps import served, stretch
from bbilang.grammar.source import Span

FORMAT, VERSION = "bbilang-plan", 1


def to_json(comparison: PlanComparison) -> dict[str, Any]:
    """Return the comparison as dictionaries, lists, numbers, strings and None."""
    if comparison.before.parts:
        models = {name: to_json(own) for name, own in comparison.of_models.items()}
        return {
            "format": FORMAT, "version": VERSION, "title": comparison.title, "models": models,
            "saved": _saved(comparison),
        }  # fmt: skip
    program = comparison.before.program
    description = program.description
    plans = {"before": comparison.before, "after": comparison.after}
    return {
        "format": FORMAT,
        "version": VERSION,
        "source": program.source.name if program.source else None,
        "title": comparison.title,
        "optimized": comparison.optimized,
        "model": {
            "name": description.name, "title": description.title, "flops": description.flops,
            "input_size": {"y": description.input_size[0], "x": description.input_size[1]},
            "classes": description.classes,
        } if description else None,
        "inputs": list(program.inputs),
        "elements": [
            {"id": e.id, "style": e.node["style"], "title": e.title, "states": e.node.type.state_count}
            for e in program.elements
        ],
        "logical": {name: _nodes(plan.program, comparison.defaults) for name, plan in plans.items()},
        **{name: _steps(plan, comparison if name == "after" else None) for name, plan in plans.items()},
        "saved": _saved(comparison),
    }  # fmt: skip


def _saved(comparison: PlanComparison) -> list[dict[str, str | int]]:
    return [{"name": s.name, "before": s.before, "after": s.after} for s in comparison.savings()]


def _nodes(program: Program, defaults: Defaults) -> list[dict[str, Any]]:
    logical = entries(program, defaults)
    number = {id(entry.node): entry.number for entry in logical}
    written: dict[int, list[dict[str, Any]]] = {}  # equal nodes share one tuple, with the span of every occurrence

    def requesters(spans: tuple[Span, ...]) -> list[dict[str, Any]]:
        if id(spans) not in written:
            written[id(spans)] = _lines_of_spans(program, spans)
        return written[id(spans)]

    return [
        {
            "number": entry.number,
            "operation": entry.node.op,
            "words": entry.words,
            "needs": list(dict.fromkeys(number[id(child)] for child in entry.node.children)),
            "element": entry.element.id if entry.element else None,
            "type": type_words(entry.node.type),
            "content": entry.node.type.content,
            "atom": entry.node.type.atom,
            "layers": list(entry.node.type.layers),
            "axes": [_axis(axis) for axis in entry.node.type.axes],
            "states": [_axis(axis) for axis in entry.node.type.states],
            "asked": requesters(program.spans(entry.node)),
        }
        for entry in logical
        if not entry.again
    ]


def _axis(axis: Axis) -> dict[str, Any]:
    return {"name": axis.name, "size": axis.size, "exact": axis.exact}


def _steps(plan: Plan, comparison: PlanComparison | None) -> list[dict[str, Any]]:
    measured = comparison.measured if comparison else {}
    needed = served(plan)
    steps = []
    for step in plan.steps:
        reach = stretch(plan.program, step)
        entry: dict[str, Any] = {
            "kind": step.kind,
            "what": step.words,
            "passes": step.passes,
            "least": step.least,
            "bound": step.bound,
            "flops": step.flops,
            "bytes": step.bytes,
            "from": reach.start if reach else None,
            "to": reach.end if reach else None,
            "returns": reach.returns if reach else False,
            "layers": list(reach.layers) if reach else [],
            "elements": list(needed[step.key]),
            "asked": _lines_of_spans(plan.program, step.requested_by),
            "frees": [str(free) for free in step.frees],
            "alternatives": [
                {
                    "mode": way.mode, "passes": way.passes, "flops": way.flops, "bytes": way.bytes,
                    "seconds": way.seconds, "chosen": way.chosen,
                }
                for way in step.alternatives
            ],
        }  # fmt: skip
        entry |= {"resumes": step.resumes} if step.resumes else {}
        entry |= {"training": _training(step.trains)} if step.trains else {}
        steps.append(entry | (_measured(measured[step.key]) if step.key in measured else {}))
    return steps


def _training(trains: Trains) -> dict[str, str | int]:
    return {
        "layer": trains.layer, "examples": trains.examples, "trained": trains.trained, "measured": trains.measured,
        "epochs": trains.epochs, "steps": trains.steps, "passes": trains.training,
        "passes_of_measurements": trains.measuring,
    }  # fmt: skip


def _measured(measured: Measured) -> dict[str, Any]:
    return {
        "seconds": measured.seconds,
        "peak_bytes": measured.peak,
        "counted_passes": measured.passes,
        "icons_made": measured.made,
        "icons_cached": measured.cached,
    }


def _lines_of_spans(program: Program, spans: tuple[Span, ...]) -> list[dict[str, Any]]:
    return [
        {"start": span.start, "end": span.end, "line": next(iter(lines_of(program, (span,))), None)} for span in spans
    ]


@cache
def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of `to_json`."""
    loaded: dict[str, Any] = json.loads(Path(__file__).with_name("plan.schema.json").read_text(encoding="utf-8"))
    return loaded

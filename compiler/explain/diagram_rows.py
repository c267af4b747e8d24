"""The rows of a plan's picture: one for each step that runs the network, few enough for a slide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bbilang.compiler.explain.units import Measured, passes_words, seconds_words, si
from bbilang.compiler.ir.program import Program
from bbilang.compiler.plan.plan import Plan, Step
from bbilang.compiler.plan.steps import INPUT, OUTPUT, Stretch, served, stretch
from bbilang.grammar.frozen import frozen

MOST_ROWS = 12
PREDICTIONS = "\0predictions"  # stands for an element; no element can have this name


@frozen
class Row:
    """A step, or several similar ones. ``head``: the coloured beginning of the words. ``stretch``: None for
    passes that an element runs on what it finds, and in the last row, which sums up the steps that have no room."""

    kind: str
    head: str
    words: str
    stretch: Stretch | None
    passes: int
    flops: int
    bound: bool
    elements: tuple[str, ...]
    notes: tuple[str, ...] = ()
    measured: Measured | None = None


def rows(plan: Plan, measured: Callable[[Step], Measured | None], page: int) -> list[Row]:
    """Return the steps in order; beyond ``MOST_ROWS``, similar ones share a row, then the cheapest do.

    ``page``: the index of the forward pass that yields the page's predictions.
    """
    needed = served(plan)
    shown = []
    for step in plan.steps:
        reach = stretch(plan.program, step)
        if step.kind == "draw" and step.passes:
            shown.append(_of_an_element(step, needed[step.key], measured(step)))
        if reach is not None:
            head, words = _words(plan.program, step, reach)
            own = (PREDICTIONS,) if step.kind == "forward" and step.index == page else ()
            bound = step.bound and step.least != step.passes
            elements = (*own, *needed[step.key])
            notes, took = _notes(step, reach), measured(step)
            shown.append(Row(step.kind, head, words, reach, step.passes, step.flops, bound, elements, notes, took))
    if len(shown) > MOST_ROWS:
        shown = _merge_similar(shown)
    return _cheapest_last(shown) if len(shown) > MOST_ROWS else shown


def _of_an_element(step: Step, elements: tuple[str, ...], measured: Measured | None) -> Row:
    """Return the row of passes that an element runs on what it finds, or trains by: no one stretch of the network."""
    words = step.words.partition("; ")[2]
    if trains := step.trains:
        each = trains.steps // trains.epochs
        words = f"training on {trains.trained:,} examples, {trains.epochs} epochs of {each} steps"
    head = f"{passes_words(step)} passes"
    return Row("more", head, f": {words}", None, step.passes, step.flops, step.bound, elements, (), measured)


def _words(program: Program, step: Step, reach: Stretch) -> tuple[str, str]:
    count = passes_words(step)
    times = f"{count} × " if step.passes != 1 else ""
    target = "the scores" if reach.end == OUTPUT else reach.end
    listed = _listed(reach.layers)
    match step.kind:
        case "scan":
            return f"{count} passes", f" over {step.words.partition(': ')[0]} to {target}"
        case "forward":
            keeps = ", and keeps it" if reach.layers == (reach.end,) else f", keeps {listed}" if listed else ""
            baseline = " of the baseline" if program.forwards[step.index].picture else ""
            above = f" above {reach.start}" if step.resumes else ""
            return f"{times}forward", f"{baseline}{above} to {target}{keeps}"
        case "backward":
            start = "" if reach.start == OUTPUT else f" from {reach.start}"
            further = reach.end == INPUT and INPUT not in reach.layers
            return f"{times}backward", f"{start} to {f'the picture, past {listed}' if further else listed}"
        case "tangents":
            return f"{count} tangent{'s' if step.passes != 1 else ''}", f" from {reach.start} to {target}"
        case "reruns":
            whole = " from the picture on" if reach.start == INPUT else f" above {reach.start}"
            return f"{times}the network", whole + ("" if reach.end == OUTPUT else f", to {target}")
    return f"{count} icon{'s' if step.passes != 1 else ''}", f" of {listed}, {step.words}"


def _listed(layers: tuple[str, ...]) -> str:
    """Name at most two layers, or one where the names are long."""
    shown = 2 if len(", ".join(layers[:2])) <= 20 else 1
    return ", ".join(layers[:shown]) + (f" and {len(layers) - shown} more" if len(layers) > shown else "")


def _notes(step: Step, reach: Stretch) -> tuple[str, ...]:
    """Note which part of a forward is another model's, and the estimated cost of the mode that was not chosen, if there
    was a choice."""
    if step.resumes:
        return (f"up to {reach.start} it is the forward of {step.resumes}",)
    ways = step.alternatives
    other = min((way for way in ways if not way.chosen), key=lambda way: way.seconds, default=None)
    chosen = next((way for way in ways if way.chosen), None)
    if other is None or chosen is None:
        return ()
    cost = f"{other.passes:,} passes, {si(other.flops, 'FLOP')}, {seconds_words(other.seconds)}"
    return (f"estimated {seconds_words(chosen.seconds)} in {chosen.mode} mode; {other.mode}: {cost}",)


def _merge_similar(shown: list[Row]) -> list[Row]:
    """Merge rows of equal wording."""
    groups: dict[tuple[object, ...], Row] = {}
    for row in shown:
        key = (row.kind, row.words, row.stretch)
        if key in groups:
            first = groups[key]
            passes = first.passes + row.passes
            elements = tuple(dict.fromkeys((*first.elements, *row.elements)))
            groups[key] = replace(
                first, passes=passes, flops=first.flops + row.flops, elements=elements, notes=(), measured=None,
                bound=first.bound or row.bound, head=_times(row.kind, passes, first.bound or row.bound),
            )  # fmt: skip
        else:
            groups[key] = row
    return list(groups.values())


def _times(kind: str, passes: int, bound: bool) -> str:
    count = f"{'up to ' if bound else ''}{passes:,}"
    match kind:
        case "tangents" | "icons":
            return f"{count} {kind}"
        case "reruns":
            return f"{count} × the network"
        case "scan" | "more":
            return f"{count} passes"
    return f"{count} × {kind}"


def _cheapest_last(shown: list[Row]) -> list[Row]:
    largest = sorted(shown, key=lambda row: (row.kind == "icons", row.flops), reverse=True)[: MOST_ROWS - 1]
    rest = [row for row in shown if not any(row is other for other in largest)]
    numbers = [row for row in rest if row.kind != "icons"]
    passes = sum(row.passes for row in numbers)
    elements = tuple(dict.fromkeys(name for row in rest for name in row.elements))
    bound = any(row.bound for row in rest)
    words = f"and {passes:,} more passes in {len(rest)} steps"
    more = Row("more", words, "", None, passes, sum(row.flops for row in numbers), bound, elements)
    return [row for row in shown if any(row is other for other in largest)] + [more]

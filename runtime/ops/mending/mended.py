"""What became of a network in which some evidence counts less: before and after, on examples that it never saw."""

from __future__ import annotations

import numpy as np

from bbilang.compiler.contract import Demand, Operation, Registry, Run, Trains, bound
from bbilang.compiler.ir.program import Node
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.fields.prose import p_value, percent
from bbilang.runtime.fields.statements import Line, Statements
from bbilang.runtime.mending.recipe import SCALED_ON, TURNS, Recipe
from bbilang.runtime.mending.report import AGREE, FOOLED, OPEN, UNSEEN, Comparison, Mean, Report, Side
from bbilang.runtime.ops.mending.discourage import Discourage, atoms_of, called, mended_by
from bbilang.runtime.statistics.intervals import FEW

Span = tuple[float, float, float]  # a number, and its interval
FALLS = 0.8  # of the epoch before: contributions that fell to less would have fallen on
VERDICTS = {
    AGREE: ("counts less", "holds", "less", "by both methods"),
    FOOLED: ("not by another method", "fails", "less", "by the method that it was trained on, and not by another"),
    UNSEEN: (
        "not by another method",
        "open",
        "less",
        "by the method that it was trained on; exchanging it changes too "
        "little of what the layer does for another opinion",
    ),
    OPEN: ("counts as before", "open", "about as much as before", ""),
}


class Mended(Operation):
    """The evidence, another method's opinion and the accuracy, a row each."""

    name = "mended"
    head = True

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        change: Node = node["change"]
        recipe, shown = Recipe(**dict(change["training"])), change["evidence"].node
        method, parameters = bound(registry, shown["method"])
        count, others = (0 if data is None else data.type.axes[0].size for data in (change["data"], change["test"]))
        trained = count if change["split"] else count - round(recipe.held_out * count)  # a column may say so of any
        held = count if change["split"] else count - trained
        classes = shown["to"].type.axis("class")
        return (
            Trains(
                shown.type.layers[0], count + others, trained, held + others, recipe.epochs, recipe.batch,
                method.differentiated_at(parameters), 1 if classes is None else classes.size,
                min(SCALED_ON, trained), TURNS, change.digest,
            ),
        )  # fmt: skip

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        change: Node = node["change"]
        report = mended_by(change, run).report
        who, score = atoms_of(change), _score(change, run)
        sides = [each for each in (report.held_out, report.other) if each is not None]
        rows = [row for each in sides for row in _rows(each, who, report)]
        values = Named(("claim", "measure"), np.array([numbers for _, numbers in rows], np.float32))
        names = np.array([name for name, _ in rows], object)
        labels = {"claim": names, "measure": np.array(Discourage.measures, object)}
        stated = (_counts(report, who, score), *(_accuracy(each, report) for each in sides), _trained(report, change))
        return Statements(
            node.type,
            values,
            {name: Named((name,), np.arange(size)) for name, size in values.sizes.items()},
            {name: Named((name,), array) for name, array in labels.items()},
            title="Before and after",
            finding=_finding(report, who, score),
            formats=(".1%",) * len(Discourage.measures),
            stated=stated,
            leads=True,
        )


def _rows(compared: Comparison, who: str, report: Report) -> list[tuple[str, list[float]]]:
    """Return three rows of the table: shares of the score's standard deviation, and the accuracy."""
    where, sides = _where(compared, report), (compared.before, compared.after)
    rows = {
        f"contribution of {who}": [_share(side.evidence, side) for side in sides],
        f"change of the score where {who} is exchanged": [_share(side.effect, side) for side in sides],
        "accuracy": [(side.accuracy.value, side.accuracy.low, side.accuracy.high) for side in sides],
    }
    return [(f"{name}, on {where}", [number for span in spans for number in span]) for name, spans in rows.items()]


def _share(mean: Mean, side: Side) -> Span:
    """Return a mean as a share of the score's standard deviation."""
    scale = 1 / side.spread if side.spread else float("nan")
    return scale * mean.value, scale * mean.low, scale * mean.high


def _score(change: Node, run: Run) -> str:
    """Return what a page calls the score: "square"."""
    kind, *rest = change["evidence"].node["to"]["which"]
    return run.adapter.description.label(rest[0][0]) if kind == "classes" else "the label of each picture"


def _where(compared: Comparison, report: Report) -> str:
    held = "held-out " if compared is report.held_out else ""
    return f"{compared.count:,} {held}examples of {compared.words}"


def _finding(report: Report, who: str, score: str) -> str:
    compared = report.other if report.other is not None else report.held_out
    before, after = (percent(side.accuracy.value) for side in (compared.before, compared.after))
    _, _, much, how = VERDICTS[report.verdict]
    counts = f"{_first(who)} counts {much} for {score}{' ' if how else ''}{how}"
    return f"{counts}; the accuracy on {_where(compared, report)} is {before} before and {after} after."


def _counts(report: Report, who: str, score: str) -> Line:
    word, kind, _, _ = VERDICTS[report.verdict]
    own, other = report.held_out, report.other
    lines = [
        f"contribution, which the training made small: {_change(own, 'evidence')}",
        f"change of the score where it is exchanged for that of a picture of another class: {_change(own, 'effect')}",
        f"both as shares of the score's standard deviation, mean over {_where(own, report)}",
    ]
    if other is not None:
        lines.append(f"on {_where(other, report)}: {_change(other, 'evidence')}; {_change(other, 'effect')}")
    return word, kind, f"{_first(who)}, as evidence for {score}", _plain(lines)


def _change(compared: Comparison, name: str) -> str:
    (before, _, _), (after, low, high) = (
        _share(getattr(side, name), side) for side in (compared.before, compared.after)
    )
    return f"{percent(before)} before, {percent(after)} after ({percent(low)} to {percent(high)})"


def _accuracy(compared: Comparison, report: Report) -> Line:
    rose = compared.gained > compared.lost and compared.p < 0.05
    word, kind = ("fell", "fails") if compared.worse else ("rose", "holds") if rose else ("no clear change", "open")
    if compared.count < FEW:
        word, kind = "too few to tell", "open"
    before, after = (
        f"{percent(side.accuracy.value)} ({percent(side.accuracy.low)} to {percent(side.accuracy.high)})"
        for side in (compared.before, compared.after)
    )
    lines = [
        f"{before} before, {after} after",
        f"right only after: {compared.gained:,}, only before: {compared.lost:,}; {p_value(compared.p)}",
        f"{compared.changed:,} {'is' if compared.changed == 1 else 'are'} called by another class than before",
    ]
    return word, kind, f"Accuracy on {_where(compared, report)}", _plain(lines)


def _falling(report: Report) -> bool:
    """Return whether the training ended while what it makes small still fell."""
    return len(report.penalties) > 1 and report.penalties[-1] < FALLS * report.penalties[-2]


def _trained(report: Report, change: Node) -> Line:
    (layer,) = change["evidence"].node.type.layers
    lines = [
        f"{report.epochs} epochs, {_duration(report.seconds)}; the mean loss of the last is {report.losses[-1]:.2g}"
    ]
    if report.verdict == FOOLED and _falling(report):
        before, after = (percent(penalty) for penalty in report.penalties[-2:])
        lines.append(
            f"in the last epoch the contributions still fell, from {before} to {after} of their mean square before; "
            f"more epochs may reach the exchange too, `set training(epochs={2 * report.epochs})`"
        )
    if report.way == "whole":
        lines.append("the whole network ran for each batch")
    if report.left_out:
        lines.append(f"{report.left_out:,} examples have no label that is a class, and were left out")
    if report.unreadable:
        lines.append(f"{report.unreadable:,} could not be read")
    if report.near:
        lines.append(f"{report.near:,} of the held-out examples nearly equal one that was trained on")
    lines.append("other atoms may carry the same evidence: this is about these alone")
    data = called(change["data"])
    sentence = f"{report.parameters:,} weights above {layer}, on {report.trained:,} examples of {data}"
    return "trained", "open", sentence, _plain(lines)


def _plain(lines: list[str]) -> tuple[tuple[str, str], ...]:
    return tuple(("", words) for words in lines)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def _first(words: str) -> str:
    return words[0].upper() + words[1:]


OPERATIONS = (Mended(),)

"""The budget line of an element, in words, for every state: what is shown, what all of it adds up to, the score, and
what removing the layer does to it. And whether a complete method misses what it promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np

from bbilang.compiler.contract import Registry, bound
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.score_kinds import LOGITS, SIGMOID, VALUE
from bbilang.compiler.ir.types import Axis
from bbilang.compiler.optimize.budget import MOST_CLASSES, Budgeted, budgeted, of_probability
from bbilang.runtime.fields.field import Field, Linked, Named
from bbilang.runtime.fields.prose import PLURALS
from bbilang.runtime.inputs.baseline_words import activation_for, zero_words
from bbilang.runtime.view.budget.effects import with_effects
from bbilang.runtime.view.budget.flows import flow_lines
from bbilang.runtime.view.budget.numbers import digits_of, plain, signed
from bbilang.runtime.view.drawing import Drawing, Index
from bbilang.runtime.view.model import Panel

MISSED = 0.05  # of the difference of the scores: what a method that promises completeness may miss
KEPT = 0.05  # of the score: a change below it leaves the score as it was
APART = ("layer", "input", "method", "class")  # facets with budgets of their own; what others show is added up
CLASS, LAYER, MEASURE, METHOD = "class", "layer", "measure", "method"


def with_budgets(
    drawing: Drawing, panels: tuple[Panel, ...], lines: Lines | None, registry: Registry
) -> tuple[tuple[Panel, ...], tuple[str, ...]]:
    """Return the panels with the budget line of each state, and warnings where a method violates its completeness.
    ``lines``: the element's own; a flow has others."""
    if drawing.field.beside:
        return with_effects(drawing, panels), ()
    flow = flow_lines(drawing, registry) if isinstance(drawing.field, Linked) else None
    if of_probability(drawing.node, registry) or (flow is None and lines is None):
        return _offering_log_odds(drawing, panels, registry), ()
    by_state = []
    for number, state in enumerate(drawing.each_state()):
        budgets = []
        for facet, panel in enumerate(panels):
            at = drawing.index(state, facet)
            if flow is not None:
                budgets.append((flow(at), True))
            elif lines is not None:
                budgets.append(lines.words(at, facet, panel.frames[number].series))
        by_state.append(_joined(budgets, [panel.labels[number] if panel.labels else panel.label for panel in panels]))
    made = tuple(
        replace(it, frames=tuple(replace(frame, budget=b[i]) for frame, b in zip(it.frames, by_state, strict=True)))
        for i, it in enumerate(panels)
    )
    return made, lines.warnings() if flow is None and lines is not None else ()


def _joined(budgets: list[tuple[str, bool]], labels: list[str]) -> list[str]:
    """Return the budget of each panel as a sentence; where panels differ, each continues its panel's label. The flag
    says that a budget begins with a name, which keeps its case."""
    differ = len({words for words, _ in budgets if words}) > 1
    return [
        f"{label}: {words}" if differ and label and words else words if named else words[:1].upper() + words[1:]
        for (words, named), label in zip(budgets, labels, strict=True)
    ]


LOG_ODDS = {
    LOGITS: "A probability is not a sum of contributions; the log-odds of two classes are: output[a] - output[b].",
    SIGMOID: "A probability is not a sum of contributions; its log-odds are: output[a], without score=probability.",
}


def _offering_log_odds(drawing: Drawing, panels: tuple[Panel, ...], registry: Registry) -> tuple[Panel, ...]:
    """Put a hint in place of the budget if the target is a probability; none if the network itself ends in a softmax or
    sigmoid, so that the text cannot ask for log-odds."""
    words = LOG_ODDS.get(drawing.results.kind, "")
    if not words or not of_probability(drawing.node, registry):
        return panels
    return tuple(replace(it, frames=tuple(replace(frame, budget=words) for frame in it.frames)) for it in panels)


@dataclass(frozen=True)
class Sums:
    """The numbers of one line; NaN for what is not known."""

    score: float
    removed: float = np.nan
    total: float = np.nan
    baseline: float = np.nan
    shown: float = np.nan
    drawn: float = np.nan  # number of atoms

    @property
    def missed(self) -> float:
        """Return the completeness error of the contributions, relative to the score's difference from the baseline."""
        difference = self.score - self.baseline
        return abs(self.total - difference) / max(abs(difference), 1e-12)


@dataclass
class Lines:
    """The numbers of one element's budget, over (states, facet, series): classes, or inputs side by side."""

    drawing: Drawing
    registry: Registry
    known: Budgeted
    table: dict[str, np.ndarray]  # name of a field of `Sums` -> its numbers
    layers: np.ndarray  # number of the layer, over (states, facet)
    atoms: tuple[int, ...]  # how many each layer has
    series: int
    reads: str

    @classmethod
    def of(cls, drawing: Drawing, registry: Registry) -> Lines | None:
        """Return the element's budget; None if it has none, or shows axes that its budget does not have."""
        budget, known = drawing.results.budgets.get(drawing.element.id), budgeted(drawing.node, registry)
        description = drawing.results.program.description
        if (
            description is None
            or known is None
            or budget is None
            or drawing.field.type.layers not in ((), known.layers)
        ):
            return None
        layer = drawing.field.coords.get(LAYER, Named((), np.array(0)))
        parts = {name: budget[name] for name in ("score", "removed", "total", "baseline") if name in budget}
        parts |= _shown(drawing) if "total" in budget else {}
        if drawing.field.type.content != known.attribution.type.content:  # a measure's curve
            if not drawing.field.type.unit:  # of something else than scores
                return None
            parts = {name: parts[name] for name in ("score", "removed") if name in parts}
        try:
            axis = _series_axis(drawing, budget.get("classes"))
            table = {name: _over(drawing, part, layer, axis) for name, part in parts.items()}
            layers = drawing.grid(layer)
        except ValueError:
            return None
        atoms = tuple(budget["atoms"].data.tolist()) if "atoms" in budget else ()
        return cls(drawing, registry, known, table, layers, atoms, table["score"].shape[-1], description.reads)

    def sums(self, at: Index, number: int) -> Sums:
        return Sums(**{name: float(table[(*at, number)]) for name, table in self.table.items()})

    def words(self, at: Index, facet: int, series: Sequence[str]) -> tuple[str, bool]:
        """Return the lines of one frame, in lower case, and whether they begin with a name."""
        every = [self.sums(at, number) for number in range(self.series)]
        if not any(isfinite(sums.score) for sums in every) or self._silent(at, every):
            return "", False
        layer = self.known.layers[int(self.layers[at])]
        curve = self.drawing.field.type.content != self.known.attribution.type.content
        lines = [] if curve else [self._line(sums, facet, int(self.layers[at])) for sums in every]
        if self.series > 1:
            lines = [f"{name}: {line}" for name, line in zip(series, lines, strict=False)]
        words = "\n".join(filter(None, [*dict.fromkeys(lines), self._place(layer, every, curve)]))
        return words, (self.series > 1 and not curve) or words.startswith(f"{layer} ")

    def _silent(self, at: Index, every: Sequence[Sums]) -> bool:
        """Return whether the line is left out: a facet's method has no sum, others beside it do and state the score."""
        axis, total = self.drawing.facet, self.table.get("total")
        if axis is None or axis.name != METHOD or total is None or any(isfinite(sums.total) for sums in every):
            return False
        return bool(np.isfinite(total[at[:-1]]).any())

    def _line(self, sums: Sums, facet: int, layer: int) -> str:
        """Write a line: "shown +1.2; all channels −1.4; score 9.2; removing the layer −0.03"."""
        node = self._method(facet)
        digits = digits_of([sums.score, sums.total, sums.baseline, sums.removed])
        some = isfinite(sums.shown) and isfinite(sums.total) and self.atoms and sums.drawn < self.atoms[layer]
        some = some and signed(sums.shown, digits) != signed(sums.total, digits)
        parts = [f"shown {signed(sums.shown, digits)}"] if some else []
        score = f"{self._score} {plain(sums.score, digits)}"
        method, parameters = bound(self.registry, node["method"])
        if isfinite(sums.baseline):
            start = activation_for(method.baseline(parameters) or "", self.known.layers[layer], self.reads)
            reached = sums.baseline + sums.total
            ends = score if self._exact(sums) else f"{plain(reached, digits)}, {_percent(sums.missed)} off; {score}"
            contributions = plain(sums.total, digits)
            parts.append(f"baseline {plain(sums.baseline, digits)} ({start}) + contributions {contributions} = {ends}")
        else:
            plural = PLURALS.get(self.known.attribution.type.atom, "atoms")
            every = plural if plural.startswith("the ") else f"all {plural}"
            absorbs, total = method.absorbs(parameters), f"{every} {signed(sums.total, digits)}"
            if absorbs and 0 <= sums.total / (sums.score or np.nan) < 1 - MISSED:
                parts.append(f"{total} of {score} ({absorbs} absorb the rest)")
            else:
                parts += [total, score] if isfinite(sums.total) else [score]
        if isfinite(sums.removed):
            parts.append(f"{self._removing(self.known.layers[layer])} {signed(sums.removed, digits)}")
        return "; ".join(parts)

    def _place(self, layer: str, every: Sequence[Sums], curve: bool) -> str:
        """Write the effect of a removal: "block5c.expand is a side branch: removing it whole changes the score by −0.03
        of 9.17"."""
        description = self.drawing.results.program.description
        if description is None or not all(isfinite(sums.removed) for sums in every):
            return ""
        place = description.place(layer)
        if place == "unknown" or (place == "cut" and not curve) or layer == "input":
            return ""
        if len(every) > 2:  # each has a line of its own
            return f"{layer} is a side branch: something goes past it." if place == "branch" else ""
        pairs = []
        for sums in every:
            digits = digits_of([sums.score, sums.removed])
            pairs.append(f"{signed(sums.removed, digits)} of {plain(sums.score, digits)}")
        by, scores = " and ".join(pairs), self._score if len(every) == 1 else f"{self._score}s"
        subject = f"{layer} is a side branch: removing it whole" if place == "branch" else f"removing all of {layer}"
        if curve and all(abs(sums.removed) < KEPT * abs(sums.score) for sums in every):
            return f"{subject} leaves the {scores} as {'it was' if len(every) == 1 else 'they were'} ({by})."
        joint = len(self.known.layers) > 1 and description.place(*self.known.layers) == "cut"
        alone = joint and all(description.place(name) == "branch" for name in self.known.layers)
        return f"{subject} changes the {scores} by {by}.{' Together these layers are a cut.' if alone else ''}"

    def warnings(self) -> tuple[str, ...]:
        """Return a warning for each complete method with a large completeness error."""
        missing: dict[str, int] = {}
        every: dict[str, int] = {}
        for at in np.ndindex(self.layers.shape):
            facet = at[-1] if self.drawing.facet else 0
            method, parameters = bound(self.registry, self._method(facet)["method"])
            for number in range(self.series if method.completes else 0):
                sums = self.sums(at, number)
                if isfinite(sums.baseline) and isfinite(sums.total):
                    name = method.shown(parameters)
                    every[name] = every.get(name, 0) + 1
                    missing[name] = missing.get(name, 0) + (sums.missed > MISSED and not self._exact(sums))
        return tuple(
            f"{name} promises that its numbers add up to the difference of the scores, and "
            f"{'here' if count == every[name] else f'in {count} of {every[name]} cases'} they do not: take more steps. "
            "The line below the picture says by how much."
            for name, count in missing.items()
            if count
        )

    @staticmethod
    def _exact(sums: Sums) -> bool:
        """Return whether baseline plus contributions equals the score as printed, up to one unit in the last place."""
        return abs(sums.baseline + sums.total - sums.score) < 1.01 * 10 ** -digits_of(
            [sums.score, sums.total, sums.baseline, sums.removed]
        )

    def _method(self, facet: int) -> Node:
        """Return the attribution of a facet's method."""
        axis = self.drawing.facet
        return self.known.each[facet if axis is not None and axis.name == METHOD else 0]

    @property
    def _score(self) -> str:
        """What the target is: one score, or a difference or sum of several."""
        target = self.known.attribution["to"]
        while target.op == "stack":
            target = target.inputs[0]
        if target.op != "combine":
            return "output" if self.drawing.results.kind == VALUE else "score"
        return "difference" if target["sign"] < 0 else "sum"

    def _removing(self, layer: str) -> str:
        return f"{zero_words(self.reads)} instead" if layer == "input" else "removing the layer"


def _series_axis(drawing: Drawing, classes: Named | None) -> Axis | None:
    """Return the axis of series that have a line each: the target's classes, or inputs. Raises ValueError for ranked
    classes, which are not those of the budget, and for more inputs than get a line each."""
    axis, own, series = drawing.field.type.axis(CLASS), drawing.field.names.get(CLASS), drawing.series_axis
    if series is not None and series.name == "input" and series.size > MOST_CLASSES:
        raise ValueError("too many inputs")
    if axis is None:
        return series if series is not None and series.name == "input" else None
    if own is None or classes is None or set(own.dims) != set(classes.dims):
        raise ValueError("classes of their own")
    if not np.array_equal(own.data, classes.ordered(own.dims).data):
        raise ValueError("other classes")
    return axis if drawing.series_axis is not None and drawing.series_axis.name == CLASS else None


def _over(drawing: Drawing, part: Named, layer: Named, axis: Axis | None) -> np.ndarray:
    """Return numbers over (states, facet, series). Raises ValueError if they differ along other axes."""
    own = part.take(LAYER, layer) if LAYER in part.dims else part
    return drawing.grid(own, axis) if axis is not None else drawing.grid(own)[..., None]


def _shown(drawing: Drawing) -> dict[str, Named]:
    """Return the sum and the number of the drawn atoms in each state."""
    field: Field = drawing.results.fields[drawing.element.id]  # before each method is scaled to its own maximum
    values = field.values
    if MEASURE in values.dims:
        values = values.take(MEASURE, Named((), np.array(0)))
    apart = {axis.name for axis in (*drawing.states, *([drawing.facet] if drawing.facet else []))}
    own = {"input", CLASS, *(name for name in apart if name in APART or name in drawing.results.selections)}
    spent = tuple(number for number, dim in enumerate(values.dims) if dim not in own)
    dims = tuple(dim for dim in values.dims if dim in own)
    present = ~np.isnan(values.data)
    total = np.where(present, values.data, 0).sum(spent, dtype=np.float64)
    return {"shown": Named(dims, total), "drawn": Named(dims, present.sum(spent))}


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.0995 else f"{100 * share:.2g} %"

"""`deletion` and `insertion`: the score while atoms are removed or added in the order of the attribution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.trust.case import Case
from bbilang.runtime.trust.measure import Cost, Finding, Measure
from bbilang.runtime.trust.numbers import area, mean_of, number, over, unordered

if TYPE_CHECKING:
    from torch import Tensor

STEPS = 20
ORDERS = 4  # random orders to compare with


class Curve(Measure):
    """A curve of the score over the share of atoms removed or added; its measure is the area below."""

    curve = True
    source = "Petsiuk, Das, Saenko 2018"
    removes = True

    def cost(self, n: int) -> Cost:
        return Cost(rows=(STEPS + 1) * ORDERS, each=STEPS + 1)

    def fill(self, case: Case) -> Tensor:
        """Return the values of removed atoms, (input, *layer axes)."""
        return case.baseline

    def filled(self, case: Case) -> str:
        return case.baseline_words

    def find(self, case: Case) -> Finding:
        best = np.argsort(-case.attributions, axis=-1, kind="stable")  # (input, target, atom)
        random = np.random.default_rng([case.seed, 5])
        chance = [np.broadcast_to(random.permutation(case.atoms), (case.inputs, 1, case.atoms)) for _ in range(ORDERS)]
        scores = np.stack([self.along(case, order) for order in (best, *chance)])  # (order, input, target, step)
        areas = area(scores)
        own, chance = areas[0], areas[1:].mean(0)
        unit = "probability" if self.probable(case) else case.attribution["to"].type.unit or "score"
        verb, kind = "removed" if self.removes else "added", "probability" if unit == "probability" else "score"
        words = (
            f"the area under the curve is {over(own)}, and {over(chance)} in random order ({case.atoms_words} {verb} "
            f"from the strongest on; {self.filled(case)} in place of the missing ones)"
        )
        warning = ""
        gain = np.where(unordered(case.attributions), np.nan, own - chance)
        if np.isnan(gain).all():
            words += "; all numbers are equal, so the attribution gives no order"
        fails = mean_of(gain) >= 0 if self.removes else mean_of(gain) <= 0
        if fails:
            what = "lowers the score no faster" if self.removes else "raises the score no faster"
            warning = (
                f"This attribution fails {self.name}: its order {what} than a random order does (areas "
                f"{number(mean_of(own))} and {number(mean_of(chance))})."
            )
        lines = {"by the attribution": scores[0], "in random order": scores[1:].mean(0)}
        lines = {word: np.moveaxis(line, -1, 0) for word, line in lines.items()}
        steps = [f"{round(100 * i / STEPS)} %" for i in range(STEPS + 1)]
        field = curve_field(case, lines, steps, f"{kind} while {case.atoms_words} are {verb}", unit)
        return Finding(words, warning, curve=field, values={"scores": scores, "area": own, "random": chance})

    def probable(self, case: Case) -> bool:
        """Return whether the curve is of the class's probability, as Petsiuk's are; for sums and differences of
        classes, and for values, it is of the scores themselves."""
        return case.reports_probability

    def along(self, case: Case, order: np.ndarray) -> np.ndarray:
        """Return the score with the first atoms of an order removed or added, (input, target, step).

        order: (input, target, atom), or (input, 1, atom) where all targets share a row.
        """
        import torch

        inputs, columns, atoms = order.shape
        targets = case.index.shape[1]
        rank = np.empty(order.shape, np.int64)
        np.put_along_axis(rank, order, np.broadcast_to(np.arange(atoms), order.shape), -1)
        base, count = self.fill(case), inputs * columns * (STEPS + 1)

        def make(start: int, stop: int) -> tuple[Tensor, Tensor]:
            rows = np.arange(start, stop)
            owner, column, step = rows // (columns * (STEPS + 1)), rows // (STEPS + 1) % columns, rows % (STEPS + 1)
            changed = rank[owner, column] < np.round(step * atoms / STEPS)[:, None]
            retained = torch.from_numpy(~changed if self.removes else changed).to(case.activation)
            owners = torch.from_numpy(owner)
            return case.mixed(retained, owners, base), owners

        curves = np.empty((inputs, targets, STEPS + 1))
        for start, scores, owners in case.scores(make, count):
            values = case.values(scores, owners, self.probable(case)).cpu().numpy()  # (row, target)
            for row, row_values in enumerate(values, start):
                owner, column, step = row // (columns * (STEPS + 1)), row // (STEPS + 1) % columns, row % (STEPS + 1)
                curves[owner, slice(None) if columns == 1 else column, step] = (
                    row_values if columns == 1 else row_values[column]
                )
        return curves


class Deletion(Curve):
    """The score while atoms are removed, highest attribution first: a low area is good."""

    name = "deletion"
    title = "deletion"
    formula = "area under score(share of atoms at the baseline, the most attributed first), by trapezoids"
    means = (
        "a curve that falls at once: the atoms ranked first matter to the score, though others may matter too; with "
        "atoms removed the network sees something unnatural"
    )


class Insertion(Curve):
    """The score while atoms are inserted, highest attribution first: a high area is good. At the input they are
    inserted into the blurred picture, elsewhere into the baseline."""

    name = "insertion"
    title = "insertion"
    removes = False
    formula = "area under score(share of atoms at their value, the most attributed first), by trapezoids"
    means = (
        "a curve that rises at once: the atoms ranked first are enough for the score, though others might do as well"
    )

    def fill(self, case: Case) -> Tensor:
        return case.picture("blur") if case.name == "input" else case.baseline

    def filled(self, case: Case) -> str:
        return "the blurred picture" if case.name == "input" else case.baseline_words


def curve_field(case: Case, lines: Mapping[str, np.ndarray], steps: Sequence[str], what: str, unit: str = "") -> Field:
    """Make the field that `present(curve)` draws: lines, each (step, input, target), over axes `step` and `measure`.
    ``what``: the quantity in words."""
    data = np.stack([np.asarray(line, np.float32) for line in lines.values()], -1)
    data = data.reshape(len(steps), case.inputs, *case.target_sizes, len(lines))
    dims = ("step", "input", *case.targets, "measure")
    own = case.frame.type
    type = FieldType(
        what, "whole", (), (*(a for a in own.axes if a.name in ("input", "class")), Axis("step", len(steps)),
        Axis("measure", len(lines))), own.states, own.model, signed=bool((data < 0).any()), unit=unit,
    )  # fmt: skip
    names = {"step": Named(("step",), _words(steps)), "measure": Named(("measure",), _words(list(lines)))}
    if "class" in case.targets and "class" in case.full.names:
        names["class"] = case.full.names["class"]
    return Field(type, Named(dims, data), {}, names)


def _words(words: Sequence[str]) -> np.ndarray:
    array = np.empty(len(words), dtype=object)
    array[:] = words
    return array


MEASURES = (Deletion(), Insertion())

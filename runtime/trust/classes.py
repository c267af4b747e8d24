"""`class_sensitivity`: compare the attribution to a class with those to other classes."""

from __future__ import annotations

import numpy as np

from bbilang.runtime.fields.field import TERM, Field, Named
from bbilang.runtime.trust.case import Case
from bbilang.runtime.trust.measure import Cost, Finding, Measure
from bbilang.runtime.trust.numbers import mean_of, number, over, rank_correlation, ratio
from bbilang.runtime.trust.reattribute import Reattribution

FAILS = 0.9
OTHER = "other*"  # the axis of other classes


class ClassSensitivity(Measure):
    """Rank correlation of the attribution to the class with those to other classes, drawn at random."""

    name = "class_sensitivity"
    title = "class sensitivity"
    source = "Sixt, Granz, Landgraf 2020, random logit"
    formula = "mean over random other classes d of Spearman's rank correlation over atoms of A(class) and A(d)"
    means = (
        "near 1: the attribution is nearly the same for any class, so it does not explain this one; near 0: it is "
        "about this class, which does not make it right"
    )

    def cost(self, n: int) -> Cost:
        return Cost(again=1, classes=n)

    def find(self, case: Case) -> Finding:
        total = case.run.adapter.description.classes
        own = case.attributions
        n = min(case.n, total - 1)
        if n < 1:
            return Finding(
                "this network has no other class to compare with", values={"correlation": own[None, ..., 0][:0]}
            )
        others = other_classes(case, n)  # (input, target, other)
        again = Reattribution(case, target=with_classes(case, others)).attributions(OTHER)[
            0
        ]  # (input, target, other, atom)
        alike = np.moveaxis(rank_correlation(own[:, :, None], again), -1, 0)  # (other, input, target)
        mean = ratio(np.nansum(alike, 0), (~np.isnan(alike)).sum(0))
        words = f"the average rank correlation with the attributions to {n} other classes is {over(mean)}"
        warning = ""
        if mean_of(mean) >= FAILS:
            warning = (
                f"This attribution hardly depends on the class: for other classes it is nearly the same (rank "
                f"correlation {number(mean_of(mean))}). It does not explain why the network chose this one."
            )
        return Finding(words, warning, values={"correlation": alike, "others": others})


def other_classes(case: Case, n: int) -> np.ndarray:
    """Draw classes that the target is not made of, (input, target, other)."""
    total = case.run.adapter.description.classes
    random = np.random.default_rng([case.seed, 11])
    order = random.permutation(total)
    others = np.empty((*case.index.shape[:2], n), np.int64)
    for index in np.ndindex(*others.shape[:2]):
        own = set(case.index[index].tolist())
        free = [c for c in order.tolist() if c not in own] or order.tolist()
        others[index] = [free[i % len(free)] for i in range(n)]
    return others


def with_classes(case: Case, classes: np.ndarray) -> Field:
    """Replace each of the target's classes by others: classes (input, target, other)."""
    target = case.target
    dims = ("input", *case.targets, OTHER)
    data = classes.reshape(case.inputs, *case.target_sizes, classes.shape[-1])
    index = Named((*dims, TERM), data[..., None])
    return Field(
        target.type, target.values, {c: a for c, a in target.coords.items() if c != "class"}, target.names, index,
        Named((*dims, TERM), np.ones((*data.shape, 1), np.float32)), target.notes,
    )  # fmt: skip


MEASURES = (ClassSensitivity(),)

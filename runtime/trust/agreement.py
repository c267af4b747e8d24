"""`agreement`: rank correlation with the attributions of other methods."""

from __future__ import annotations

import numpy as np

from bbilang.runtime.trust.case import Case
from bbilang.runtime.trust.measure import Finding, Measure
from bbilang.runtime.trust.numbers import mean_of, number, over, rank_correlation

OTHERS = (
    "linear",
    ("integrated_gradients", (("n_steps", 16),)),
)  # the methods to compare with, except the attribution's own
FAILS = 0.0


class Agreement(Measure):
    """The rank correlation of the attribution with those of other methods, for the same atoms and target."""

    name = "agreement"
    title = "agreement"
    source = "Krishna et al. 2022, rank correlation; Spearman 1904"
    formula = "Spearman's rank correlation over atoms of A and the attribution of another method"
    means = (
        "near 1: both methods rank the parts alike, which makes neither right; near 0: the ranking depends on the "
        "choice of method"
    )

    def find(self, case: Case) -> Finding:
        own, correlations = case.attributions, {}
        for node in case.node["others"]:
            method = node["method"]
            name = method if isinstance(method, str) else method[0]
            correlations[name] = rank_correlation(own, case.flat(case.run.value(node).values))
        words = "the rank correlation " + " and ".join(
            f"with `{name}` is {over(value)}" for name, value in correlations.items()
        )
        warning = ""
        low = {name: value for name, value in correlations.items() if mean_of(value) <= FAILS}
        if low:
            name, value = next(iter(low.items()))
            warning = (
                f"Methods disagree: `{name}` ranks the same atoms differently, or even the other way round (rank "
                f"correlation {number(mean_of(value))})."
            )
        return Finding(words, warning, values={name: np.asarray(value) for name, value in correlations.items()})


MEASURES = (Agreement(),)

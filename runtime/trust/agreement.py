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
        "near 1: the order of the atoms does not hang on the choice of method; that two methods agree does not say "
        "that either is right"
    )

    def find(self, case: Case) -> Finding:
        own, correlations = case.attributions, {}
        for node in case.node["others"]:
            method = node["method"]
            name = method if isinstance(method, str) else method[0]
            correlations[name] = rank_correlation(own, case.flat(case.run.value(node).values))
        words = "rank correlation with " + ", ".join(f"`{name}`: {over(value)}" for name, value in correlations.items())
        warning = ""
        low = {name: value for name, value in correlations.items() if mean_of(value) <= FAILS}
        if low:
            name, value = next(iter(low.items()))
            warning = (
                f"Methods disagree: `{name}` orders the same atoms in another, even contrary way (rank correlation "
                f"{number(mean_of(value))})."
            )
        return Finding(words, warning, values={name: np.asarray(value) for name, value in correlations.items()})


MEASURES = (Agreement(),)

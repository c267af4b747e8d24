"""`competitive_input_x_gradient`: what no other class claims more of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bbilang.compiler.contract import Method, Parameter


class Competitive(Method):
    """activation x gradient, kept where it is positive and the highest among all classes, or negative and the lowest;
    0 elsewhere. The competition is entry by entry of the layer, before the sum over an atom's part.

    To classes, at every layer. It demands one backward for every class that competes, above the layer, in batches:
    `rivals` bounds them to those with the highest scores, at a price in truth (the paper takes all).
    """

    name = "competitive_input_x_gradient"
    axioms = ("sensitivity_b", "implementation_invariance", "symmetry")
    reruns = True
    parameters = (
        Parameter("rivals", "integer", "how many classes compete; all unless said", None, minimum=1, maximum=1_000_000),
    )
    source = "Gupta and Arora 2019, A simple saliency method that passes the sanity checks"

    def contribution(self, activation: Any, gradient: Any) -> Any:
        return activation * gradient

    def additive(self, parameters: Mapping[str, Any]) -> bool:
        return False

    def rivals(self, parameters: Mapping[str, Any], classes: int) -> int:
        return min(parameters["rivals"] or classes, classes)

    def gather(self, parameters: Mapping[str, Any], activation: Any, baseline: Any) -> Any:
        from bbilang.runtime.attribution.accumulators import Single

        return Single(self)

    def compete(self, contribution: Any, highest: Any, lowest: Any) -> Any:
        wins = ((contribution > 0) & (contribution >= highest)) | ((contribution < 0) & (contribution <= lowest))
        return contribution * wins


METHODS = (Competitive(),)

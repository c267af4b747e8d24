"""`competitive_input_x_gradient`: contributions that are larger for the target than for any other class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbilang.compiler.contract import Parameter, Parameters
from bbilang.runtime.attribution.kinds import CompetitiveMethod

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.attribution.accumulators import Accumulator


class Competitive(CompetitiveMethod):
    """activation x gradient, kept where it is positive and the highest among all classes, or negative and the lowest; 0
    elsewhere. Classes compete at each entry of the layer, before the sum over an atom's part.

    Defined for classes, at every layer. It runs one backward above the layer for every competing class, in batches.
    `rivals` limits the competition to the classes with the highest scores, which is an approximation: the paper takes
    all classes.
    """

    name = "competitive_input_x_gradient"
    title = "Competitive input × gradient"
    axioms = ("sensitivity_b", "implementation_invariance", "symmetry")
    parameters = (
        Parameter("rivals", "integer", "how many classes compete; all by default", None, minimum=1, maximum=1_000_000),
    )
    source = "Gupta and Arora 2019, A simple saliency method that passes the sanity checks"

    def additive(self, parameters: Parameters) -> bool:
        return False

    def rivals(self, parameters: Parameters, classes: int) -> int:
        return min(parameters["rivals"] or classes, classes)

    def accumulator(self, parameters: Parameters, activation: Tensor, baseline: Tensor | None) -> Accumulator:
        from bbilang.runtime.attribution.accumulators import Single

        return Single(lambda point, gradient: point * gradient)

    def compete(self, contribution: Tensor, highest: Tensor, lowest: Tensor) -> Tensor:
        wins = ((contribution > 0) & (contribution >= highest)) | ((contribution < 0) & (contribution <= lowest))
        return contribution * wins


METHODS = (Competitive(),)

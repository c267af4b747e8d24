"""`gradient`: the derivative of the target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbilang.runtime.attribution.kinds import DerivativeMethod

if TYPE_CHECKING:
    from torch import Tensor


class GradientMethod(DerivativeMethod):
    """d target / d activation, summed over an atom's part: how fast the target changes with the activation, not how
    large the activation is.

    The plain sensitivity map. The papers show its magnitude (`| abs`), or the largest of the three colours. Defined at
    every layer. It takes one backward pass for each class. Captum: `Saliency(abs=False)`.
    """

    name = "gradient"
    known_as = ("saliency", "vanilla_gradient", "sensitivity_map", "backprop")
    twice = True
    unit = "score per unit of activation"
    axioms = ("sensitivity_b", "implementation_invariance", "linearity", "symmetry")
    source = "Simonyan, Vedaldi, Zisserman 2014; Baehrens et al. 2010"

    def contribution(self, activation: Tensor, gradient: Tensor) -> Tensor:
        return gradient


METHODS = (GradientMethod(),)

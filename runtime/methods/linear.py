"""`linear`: activation x gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbilang.runtime.attribution.kinds import DerivativeMethod

if TYPE_CHECKING:
    from torch import Tensor


class Linear(DerivativeMethod):
    """activation x d target / d activation, summed over an atom's part: the first-order effect of removing it.

    Also called gradient x activation, or, at the input, input x gradient.
    """

    name = "linear"
    known_as = ("activation_x_gradient", "taylor", "layer_gradient_x_activation")
    linear = True
    twice = True
    formula = "activation x gradient"
    axioms = ("sensitivity_b", "implementation_invariance", "linearity", "symmetry")
    source = "Olah et al., The Building Blocks of Interpretability, Distill 2018; Shrikumar et al. 2016 at the input"

    def contribution(self, activation: Tensor, gradient: Tensor) -> Tensor:
        return activation * gradient


METHODS = (Linear(),)

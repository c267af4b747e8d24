"""`linear`: activation x gradient."""

from __future__ import annotations

from typing import Any

from bbilang.compiler.contract import Method


class Linear(Method):
    """activation x d target / d activation, summed over an atom's part: the first-order effect of removing it.

    Also called gradient x activation, or, at the input, input x gradient.
    """

    name = "linear"
    known_as = ("activation_x_gradient", "taylor", "layer_gradient_x_activation")
    linear = True
    axioms = ("sensitivity_b", "implementation_invariance", "linearity", "symmetry")
    source = "Olah et al., The Building Blocks of Interpretability, Distill 2018; Shrikumar et al. 2016 at the input"

    def contribution(self, activation: Any, gradient: Any) -> Any:
        return activation * gradient


METHODS = (Linear(),)

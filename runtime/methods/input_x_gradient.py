"""`input_x_gradient`: `linear` under its usual name at the input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbilang.runtime.attribution.kinds import DerivativeMethod

if TYPE_CHECKING:
    from torch import Tensor


class InputXGradient(DerivativeMethod):
    """activation x d target / d activation: the same as `linear`, under the name that is usual at the input.

    Contributions add up to the score where the network is piecewise linear without biases. Defined at every layer; here
    the input is the picture in [0, 1], before the model's normalization. Captum: `InputXGradient`.
    """

    name = "input_x_gradient"
    title = "Input × gradient"
    known_as = ("gradient_x_input", "grad_x_input", "input_times_gradient")
    axioms = ("sensitivity_b", "implementation_invariance", "linearity", "symmetry")
    linear = True
    twice = True
    source = "Shrikumar et al. 2016"

    def contribution(self, activation: Tensor, gradient: Tensor) -> Tensor:
        return activation * gradient


METHODS = (InputXGradient(),)

"""Methods made of one gradient, or of many noisy ones: their parameters, with the literature's names and defaults."""

from __future__ import annotations

from bbilang.compiler.op import Method, Parameter

OF = Parameter("of", "method", "the method whose result is averaged", "gradient")
SAMPLES = Parameter("n_samples", "integer", "how many noisy samples", 20, minimum=1, maximum=100_000)
NOISE = Parameter(
    "noise", "number", "standard deviation of the noise", 0.15, unit="of the range of values", minimum=0, maximum=10
)


class SmoothGrad(Method):
    """The mean over noisy copies of the input."""

    name = "smoothgrad"
    available = False
    parameters = (OF, SAMPLES, NOISE)
    source = "Smilkov et al. 2017"


class VarGrad(Method):
    """The variance over noisy copies of the input."""

    name = "vargrad"
    available = False
    parameters = (OF, SAMPLES, NOISE)
    source = "Adebayo et al. 2018"


class Competitive(Method):
    """Input x gradient, kept where this class claims more than every other."""

    name = "competitive_input_x_gradient"
    available = False
    source = "Gupta and Arora 2019"


METHODS = (SmoothGrad(), VarGrad(), Competitive())

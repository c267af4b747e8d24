"""Methods that follow a path from a baseline, or relax a pool: their parameters."""

from __future__ import annotations

from bbilang.compiler.op import Method, Parameter

CHECKERBOARD = Parameter(
    "checkerboard", "flag", "blend neighbours, so that strided layers leave no checkerboard", False
)


class IntegratedGradients(Method):
    """The gradient's integral along a straight line from a baseline; complete: it sums to the score's difference."""

    name = "integrated_gradients"
    available = False
    parameters = (
        Parameter("n_steps", "integer", "steps along the path", 50, minimum=1, maximum=100_000),
        Parameter("baselines", "word", "where the path starts", "zero", choices=("zero", "mean", "blur", "noise")),
    )
    source = "Sundararajan, Taly, Yan 2017"


class SmoothPool(Method):
    """The gradient of avgpool(x^2) / (.01 + avgpool(|x|)) in place of each max pool's: the article's notebook."""

    name = "smooth_pool"
    available = False
    maps_only = True
    parameters = (CHECKERBOARD,)
    source = "Olah et al. 2018, the notebooks"


class RelaxedPool(Method):
    """A max pool's gradient shared among a window's inputs in proportion to their activation: the article's text."""

    name = "relaxed_pool"
    available = False
    maps_only = True
    parameters = (CHECKERBOARD,)
    source = "Olah et al. 2018"


METHODS = (IntegratedGradients(), SmoothPool(), RelaxedPool())

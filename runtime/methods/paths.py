"""Methods that relax a pool: their parameters."""

from __future__ import annotations

from bbilang.compiler.op import Method, Parameter

CHECKERBOARD = Parameter(
    "checkerboard", "flag", "blend neighbours, so that strided layers leave no checkerboard", False
)


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


METHODS = (SmoothPool(), RelaxedPool())

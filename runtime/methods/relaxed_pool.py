"""`relaxed_pool` and `smooth_pool`: a max pool passes the gradient to the whole window, not only to its maximum."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from bbilang.compiler.contract import Parameter, Parameters
from bbilang.runtime.attribution.kinds import DerivativeMethod

if TYPE_CHECKING:
    from torch import Tensor


CHECKERBOARD = Parameter(
    "checkerboard", "flag", "average neighbours, so that strided layers leave no checkerboard pattern", False
)


class _Pools(DerivativeMethod):
    """Activation x gradient with another derivative of max pools; with `checkerboard`, each pool's gradient is blended:
    a quarter its own, half the mean of the four neighbours, a quarter the mean of the diagonal ones."""

    maps_only = True
    axioms = ("sensitivity_b", "implementation_invariance", "linearity", "symmetry")
    rule = True
    linear = True
    parameters = (CHECKERBOARD,)

    def contribution(self, activation: Tensor, gradient: Tensor) -> Tensor:
        return activation * gradient

    def around(self, parameters: Parameters) -> AbstractContextManager[object]:
        from bbilang.runtime.relevance.pools import Pools

        return Pools(self.name, bool(parameters["checkerboard"]))


class SmoothPool(_Pools):
    """The gradient with that of each max pool replaced by the gradient of avgpool(x^2) / (.01 + avgpool(|x|)), as in
    the article's notebooks."""

    name = "smooth_pool"
    source = "Olah et al. 2018, the notebooks"


class RelaxedPool(_Pools):
    """The gradient with that of each max pool distributed over the window's inputs in proportion to their activations,
    as in the text of the article."""

    name = "relaxed_pool"
    source = "Olah et al. 2018"


METHODS = (SmoothPool(), RelaxedPool())

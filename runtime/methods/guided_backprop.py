"""`guided_backprop`: backward signals pass a ReLU where both signal and activation are positive."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, ClassVar

from bbilang.compiler.contract import Parameters
from bbilang.runtime.attribution.kinds import DerivativeMethod

if TYPE_CHECKING:
    from torch import Tensor


class GuidedBackprop(DerivativeMethod):
    """The gradient with every ReLU's derivative replaced: max(0, signal) where the unit was active, else 0.

    ReLU6 passes the signal where 0 < unit < 6, and so do `clamp`, `maximum`, `where` and other ways to write either
    function. Functions that are not rectifiers (sigmoid, tanh, softmax) keep their derivative. SiLU, GELU, ELU, and
    other smooth, leaky or shifted rectifiers, for which the paper has no rule, are refused, as are functions with a
    custom backward and compiled parts, which may contain one. Defined at every layer, for classes, differences and
    atoms of later layers. It runs one forward with these derivatives, shared by all attributions with this method, and
    one backward for each score. Captum: `GuidedBackprop`.
    """

    name = "guided_backprop"
    known_as: ClassVar[tuple[str, ...]] = ("guided_backpropagation", "guided_grad_cam")
    unit = "score per unit of activation, by the method's rule"
    axioms = ("sensitivity_b", "implementation_invariance", "symmetry")
    rule = True
    insensitive = (
        "Guided backprop draws much the same map for every class, and hardly changes when the upper layers get random "
        "weights: it recovers edges of the picture more than reasons for a class (Adebayo et al. 2018; Nie, Zhang, "
        "Patel 2018; Sixt, Granz, Landgraf 2020)."
    )
    source = "Springenberg, Dosovitskiy, Brox, Riedmiller 2015"

    def contribution(self, activation: Tensor, gradient: Tensor) -> Tensor:
        return gradient

    def additive(self, parameters: Parameters) -> bool:
        return False

    def around(self, parameters: Parameters) -> AbstractContextManager[object]:
        from bbilang.runtime.relevance.rectifiers import Rectifiers

        return Rectifiers(self.name)


METHODS = (GuidedBackprop(),)

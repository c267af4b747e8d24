"""`deconvnet`: backward signals pass a ReLU where they are positive, whatever the activation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bbilang.compiler.op import Method


class Deconvnet(Method):
    """The gradient with every ReLU's derivative replaced: max(0, signal), whether the unit was active or not.

    ReLU6 is treated alike. Max pools send the signal to their maximum (the switches of the paper). Functions that are
    no rectifier (sigmoid, tanh, softmax) keep their derivative; SiLU, GELU, ELU and other smooth rectifiers, for which
    the paper has no rule, are refused. Defined at every layer, to classes, differences and atoms of later layers. It
    demands one forward with these derivatives, shared with others of the method, and one backward for each score.
    Captum: `Deconvolution`.
    """

    name = "deconvnet"
    unit = "score per unit of activation, by the method's rule"
    axioms = ("sensitivity_b", "implementation_invariance", "symmetry")
    rule = True
    insensitive = (
        "Deconvnet draws much the same map for every class, and for random weights: it recovers edges of the picture "
        "more than reasons for a class (Nie, Zhang, Patel 2018; Sixt, Granz, Landgraf 2020)."
    )
    source = "Zeiler and Fergus 2014"

    def contribution(self, activation: Any, gradient: Any) -> Any:
        return gradient

    def additive(self, parameters: Mapping[str, Any]) -> bool:
        return False

    def around(self, parameters: Mapping[str, Any]) -> Any:
        from bbilang.runtime.passes.rectifiers import Rectifiers

        return Rectifiers(self.name)


METHODS = (Deconvnet(),)

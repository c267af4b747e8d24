"""`integrated_gradients`: the gradient's mean along a straight line from a baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bbilang.compiler.op import Method, Parameter
from bbilang.runtime.baselines import WORDS


class IntegratedGradients(Method):
    """(a - a') x the mean gradient on the straight line from a' to a. Complete: contributions add up to the difference
    of the scores at both ends.

    a' is what the layer makes of the baseline picture, and what bypasses the layer stays the picture's own. The mean is
    taken at the nodes of a Gauss-Legendre quadrature, as Captum's `LayerIntegratedGradients` does.
    """

    name = "integrated_gradients"
    reruns = True
    completes = True
    axioms = (
        "sensitivity_a", "sensitivity_b", "implementation_invariance", "completeness", "linearity", "symmetry",
    )  # fmt: skip
    parameters = (
        Parameter("n_steps", "integer", "steps along the path", 50, minimum=1, maximum=100_000),
        Parameter("baselines", "word", "the picture that the path starts from", "zero", choices=WORDS),
    )
    source = "Sundararajan, Taly, Yan 2017"

    def visits(self, parameters: Mapping[str, Any]) -> int:
        return int(parameters["n_steps"])

    def baseline(self, parameters: Mapping[str, Any]) -> str:
        return str(parameters["baselines"])

    def visit(self, parameters: Mapping[str, Any], start: int, stop: int, activation: Any, baseline: Any) -> Any:
        along = activation.new_tensor(quadrature(self.visits(parameters))[0][start:stop])
        return baseline + along.view(-1, *[1] * activation.dim()) * (activation - baseline)

    def weights(self, parameters: Mapping[str, Any]) -> Any:
        return quadrature(self.visits(parameters))[1]

    def finish(self, parameters: Mapping[str, Any], total: Any, activation: Any, baseline: Any) -> Any:
        return total * (activation - baseline)


def quadrature(count: int) -> tuple[Any, Any]:
    """(places in [0, 1], weights that add up to 1) of the Gauss-Legendre rule with this many nodes."""
    import numpy as np

    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1) / 2, weights / 2


METHODS = (IntegratedGradients(),)

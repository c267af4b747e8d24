"""`integrated_gradients`: the mean gradient along a straight line from a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bbilang.compiler.contract import Batch, Fail, Parameter, Parameters
from bbilang.compiler.ir.program import Node
from bbilang.runtime.attribution.kinds import PathMethod
from bbilang.runtime.inputs.baselines import WORDS

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from bbilang.runtime.attribution.accumulators import Accumulator

AUTO = tuple(8 * 2**k for k in range(7))  # steps that `n_steps=auto` tries: 8 to 512
RULES = ("gausslegendre", "riemann_left", "riemann_right", "riemann_middle", "riemann_trapezoid")


class IntegratedGradients(PathMethod):
    """(a - a') x the mean gradient on the straight line from a' to a. Complete: contributions add up to the difference
    of the scores at the two ends; the legend gives the relative error.

    a' is the layer's activation for the baseline picture; branches that bypass the layer keep the values of the picture
    itself. The mean is taken at the nodes of a quadrature, as in Captum's `LayerIntegratedGradients`. `n_steps=auto`
    starts with 8 steps and doubles them until the error is below `tolerance`, up to 512, separately for each class.
    Defined at every layer, for classes, differences and atoms of later layers. It runs the network above the layer once
    for each step, a backward through it for each step and class, and one forward for the score at the baseline.
    """

    name = "integrated_gradients"
    known_as = ("ig", "shap", "gradient_shap", "expected_gradients", "aumann_shapley", "deep_shap")
    axioms = (
        "sensitivity_a", "sensitivity_b", "implementation_invariance", "completeness",
        "linearity", "symmetry", "conservation",
    )  # fmt: skip
    completes = True
    parameters = (
        Parameter(
            "n_steps", "integer", "steps along the path; `auto`: until the completeness error is below `tolerance`", 50,
            choices=("auto",), minimum=1, maximum=100_000,
        ),
        Parameter("baselines", "word", "the picture that the path starts from", "zero", choices=WORDS),
        Parameter("quadrature", "word", "where the steps are, by Captum's names", RULES[0], choices=RULES),
        Parameter(
            "tolerance", "number", "completeness error below which `n_steps=auto` stops", 0.01,
            unit="of the scores' difference", minimum=1e-6, maximum=1,
        ),
    )  # fmt: skip
    source = "Sundararajan, Taly, Yan 2017"

    def attempts(self, parameters: Parameters) -> Sequence[Parameters]:
        if parameters["n_steps"] != "auto":
            return (parameters,)
        return tuple({**parameters, "n_steps": steps} for steps in AUTO)

    def visits(self, parameters: Parameters) -> int:
        return sum(int(own["n_steps"]) for own in self.attempts(parameters))

    def baseline(self, parameters: Parameters) -> str:
        return str(parameters["baselines"])

    def visit(
        self, parameters: Parameters, start: int, stop: int, activation: Tensor, baseline: Tensor | None
    ) -> Tensor:
        assert baseline is not None
        nodes = quadrature(int(parameters["n_steps"]), parameters["quadrature"])[0]
        along = activation.new_tensor(nodes[start:stop])
        return baseline + along.view(-1, *[1] * activation.dim()) * (activation - baseline)

    def accumulator(self, parameters: Parameters, activation: Tensor, baseline: Tensor | None) -> Accumulator:
        from bbilang.runtime.attribution.accumulators import WeightedSum

        assert baseline is not None
        weights = quadrature(int(parameters["n_steps"]), parameters["quadrature"])[1]
        difference = activation - baseline
        return WeightedSum(weights, lambda total: total * difference)

    def differentiated_at(self, parameters: Parameters) -> int:
        return self.visits(parameters)

    def differentiable(self, parameters: Parameters, target: Node, layer: str, batch: Batch) -> Tensor:
        if parameters["n_steps"] == "auto" or parameters["baselines"] != "zero":
            raise Fail("E480", "a penalty integrates from zero, in a fixed number of steps",
                       "as in `method=integrated_gradients(n_steps=8)`")  # fmt: skip
        nodes, weights = quadrature(int(parameters["n_steps"]), parameters["quadrature"])
        activation, baseline = batch.activation(layer), batch.activation_of_zeros(layer)
        shape = (-1, *[1] * activation.dim())
        difference = activation - baseline
        visits = baseline + activation.new_tensor(nodes).view(shape) * difference
        gradients = batch.gradients_at(target, layer, visits)
        return (activation.new_tensor(weights).view(shape) * gradients).sum(1) * difference


def quadrature(count: int, rule: str = RULES[0]) -> tuple[np.ndarray, np.ndarray]:
    """Return (nodes in [0, 1], weights), each (node,), of a quadrature rule as in Captum: the weights of its
    trapezoids, which are count - 1 of width 1 / (count - 1), add up to (count - 1) / count."""
    import numpy as np

    if rule == "gausslegendre":
        nodes, weights = np.polynomial.legendre.leggauss(count)
        return (nodes + 1) / 2, weights / 2
    width = 1 / count
    weights = np.full(count, width)
    if rule == "riemann_trapezoid":
        weights[[0, -1]] /= 2
        return np.linspace(0, 1, count), weights
    first = {"riemann_left": 0.0, "riemann_middle": width / 2, "riemann_right": width}[rule]
    return first + np.arange(count) * width, weights


METHODS = (IntegratedGradients(),)

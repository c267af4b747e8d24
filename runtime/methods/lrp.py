"""`lrp`: layer-wise relevance propagation."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from bbilang.compiler.contract import Parameter, Parameters
from bbilang.runtime.attribution.kinds import DerivativeMethod
from bbilang.runtime.relevance.composites import COMPOSITES, RULES, composite_of

if TYPE_CHECKING:
    from torch import Tensor

_DEFAULT = "the composite's by default"


class Lrp(DerivativeMethod):
    """The score, redistributed from the output towards the input: each operation distributes the relevance of its
    result among its inputs, by a rule that conserves the sum. A composite selects the rule for each kind of layer.

    The relevance at a layer adds up to the score, minus the shares that biases (`bias=false`: none) and stabilizers
    absorb; a unit that no input raised passes nothing on. Rules, composites and defaults are those of zennit. Batch
    norms are folded into the layer before them (`canonize=false`: relevance passes through them); sums distribute in
    proportion; max pools give everything to the maximum; average pools distribute by value; activation functions pass
    relevance on. Attention weights and the scale of a layer norm are treated as constants (Ali et al. 2022), and a gate
    (sigmoid or softmax, times a signal) gives everything to the signal (Arras et al. 2019). An operation without a rule
    is an error that names it. A pixel has the relevance of its normalized value.
    """

    name = "lrp"
    known_as = ("layerwise_relevance_propagation", "deeplift", "deep_lift", "deep_taylor", "epsilon_plus")
    axioms = ("sensitivity_b", "implementation_invariance", "linearity", "symmetry", "conservation")
    rule = True
    redistributes = True
    parameters = (
        Parameter(
            "composite",
            "quoted",
            "which rule is applied where: epsilon for linear layers; z_plus, gamma or alpha_beta for "
            "convolutions; z_box or flat for the layer that reads the picture",
            "epsilon_plus",
            choices=tuple(COMPOSITES),
        ),
        Parameter("epsilon", "number", "stabilizer of the epsilon rule", 1e-6, minimum=0, maximum=100),
        Parameter("gamma", "number", "weight of the positive part in the gamma rule", 0.25, minimum=0, maximum=100),
        Parameter(
            "alpha",
            "number",
            "weight of positive contributions in the alpha_beta rule; beta = alpha - 1",
            2,
            minimum=1,
            maximum=100,
        ),
        Parameter("stabilizer", "number", "stabilizer of all other rules", 1e-6, minimum=0, maximum=100),
        Parameter("convolution", "word", f"rule of convolutions; {_DEFAULT}", None, choices=RULES),
        Parameter("linear", "word", f"rule of linear layers; {_DEFAULT}", None, choices=RULES),
        Parameter("first", "word", f"rule of the layers that read the picture; {_DEFAULT}", None, choices=RULES),
        Parameter("bias", "flag", "biases absorb their share of the relevance", True),
        Parameter("canonize", "flag", "fold batch norms into the layer before them", True),
    )
    source = "Bach et al. 2015; Montavon et al. 2019; Anders et al. 2021 (zennit)"

    def shown(self, parameters: Parameters) -> str:
        return f"LRP ({parameters['composite'].replace('_', '-')})"

    def absorbs(self, parameters: Parameters) -> str:
        return "biases and stabilizers" if parameters["bias"] else "stabilizers"

    def contribution(self, activation: Tensor, gradient: Tensor) -> Tensor:
        return gradient

    def around(self, parameters: Parameters) -> AbstractContextManager[object]:
        from bbilang.runtime.relevance.handlers import HANDLERS
        from bbilang.runtime.relevance.mode import Relevance
        from bbilang.runtime.relevance.rules import BY_NAME, Options

        every = {p.name: p.default for p in self.parameters} | dict(parameters)
        composite = composite_of(every)
        options = Options(
            epsilon=every["epsilon"], gamma=every["gamma"], alpha=every["alpha"], stabilizer=every["stabilizer"],
            bias=every["bias"], canonize=every["canonize"], positive=False,
        )  # fmt: skip
        return Relevance(self.name, lambda kind, raw: BY_NAME[composite.rule(kind, raw)], options, HANDLERS)


METHODS = (Lrp(),)

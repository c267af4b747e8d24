"""`excitation_backprop`: the probability that an entry wins in a probabilistic winner-take-all process from the target
down."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from bbilang.compiler.contract import Parameter, Parameters
from bbilang.runtime.attribution.kinds import DerivativeMethod

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.relevance.rules import Options


SUMS = Parameter(
    "sums",
    "word",
    "how sums of branches and average pools distribute: in proportion to each input with its sign, or to its positive "
    "part only, so that probabilities stay between 0 and 1",
    "signed",
    choices=("signed", "positive"),
)


def options(parameters: Parameters) -> Options:
    """Return the options of the rules, with those that weight contributions at values without effect."""
    positive = dict(parameters).get("sums", SUMS.default) == "positive"
    return {
        "epsilon": 0.0, "gamma": 0.0, "alpha": 1.0, "stabilizer": 0.0, "bias": False, "canonize": True,
        "positive": positive,
    }  # fmt: skip


class ExcitationBackprop(DerivativeMethod):
    """P(j) = sum over i of x_j w_ij+ P(i) / (sum over k of x_k w_ik+), from P = 1 at the target: each unit distributes
    its probability of winning among its inputs, in proportion to activation x positive weight.

    Biases receive nothing. Inputs of layers with weights count where they are not negative. Sums and average pools
    distribute in proportion, max pools give everything to the maximum, and activation functions pass it on. Batch norms
    are folded first (TorchRay passes through them, which is the same where their scale is positive). Probabilities add
    up to 1 if every unit has an excitatory input. A hidden target starts in proportion to the activation of its
    entries.
    """

    name = "excitation_backprop"
    known_as = ("mwp",)
    axioms = ("sensitivity_b", "implementation_invariance", "symmetry", "conservation")
    rule = True
    redistributes = True
    unit = "chance of winning"
    insensitive = (
        "Excitation backprop draws much the same map for every class: products of non-negative matrices forget what "
        "they started from (Sixt, Granz, Landgraf 2020). `contrastive_excitation_backprop` is its cure (Zhang et al. "
        "2016)."
    )
    parameters = (SUMS,)
    source = "Zhang et al. 2016, equation 5; TorchRay"

    def contribution(self, activation: Tensor, gradient: Tensor) -> Tensor:
        return gradient

    def around(self, parameters: Parameters) -> AbstractContextManager[object]:
        from bbilang.runtime.relevance.handlers import HANDLERS
        from bbilang.runtime.relevance.mode import Relevance
        from bbilang.runtime.relevance.rules import excitation

        return Relevance(self.name, lambda kind, raw: excitation, options(parameters), HANDLERS, excites=True)


METHODS = (ExcitationBackprop(),)

"""Methods that redistribute the score layer by layer: their parameters."""

from __future__ import annotations

from bbilang.compiler.op import Method, Parameter

COMPOSITES = (
    "epsilon_plus", "epsilon_gamma_box", "epsilon_alpha2_beta1", "epsilon_plus_flat", "epsilon_alpha2_beta1_flat",
)  # fmt: skip


class Lrp(Method):
    """Layer-wise relevance propagation with a rule for each kind of layer."""

    name = "lrp"
    available = False
    parameters = (
        Parameter("composite", "quoted", "which rule goes where", "epsilon_plus", choices=COMPOSITES),
        Parameter("epsilon", "number", "stabilizer of the epsilon rule", 1e-6, minimum=0, maximum=1),
        Parameter("gamma", "number", "weight of the positive part in the gamma rule", 0.25, minimum=0, maximum=100),
    )
    source = "Bach et al. 2015; Montavon et al. 2019"


class ExcitationBackprop(Method):
    """A probabilistic winner-take-all: only excitatory connections share the score."""

    name = "excitation_backprop"
    available = False
    source = "Zhang et al. 2016"


class ContrastiveExcitationBackprop(Method):
    """Excitation backprop of the class minus that of its opposite."""

    name = "contrastive_excitation_backprop"
    available = False
    source = "Zhang et al. 2016"


METHODS = (Lrp(), ExcitationBackprop(), ContrastiveExcitationBackprop())

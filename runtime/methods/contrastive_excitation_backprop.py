"""`contrastive_excitation_backprop`: excitation backprop of a target, minus that of its opposite."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from bbilang.compiler.contract import Parameters
from bbilang.runtime.attribution.kinds import DerivativeMethod
from bbilang.runtime.methods.excitation_backprop import SUMS, options

if TYPE_CHECKING:
    from torch import Tensor


class ContrastiveExcitationBackprop(DerivativeMethod):
    """Excitation backprop from the target, minus that from its opposite, a unit with the weights -w: positive where the
    evidence is for this target rather than for everything else.

    At the target's own layer P(j) = x_j w_j+ / (sum of x w+) - x_j (-w_j)+ / (sum of x (-w)+); from there down as
    `excitation_backprop`, which is linear, so that both go in one pass. Positive and negative values cancel to 0 where
    both have excitatory inputs. The paper's map is the positive part of the sum over channels.
    """

    name = "contrastive_excitation_backprop"
    known_as = ("c_mwp",)
    axioms = ("sensitivity_b", "implementation_invariance", "symmetry")
    rule = True
    redistributes = True
    unit = "difference of chances of winning"
    parameters = (SUMS,)
    source = "Zhang et al. 2016, section 3.3; TorchRay"

    def contribution(self, activation: Tensor, gradient: Tensor) -> Tensor:
        return gradient

    def around(self, parameters: Parameters) -> AbstractContextManager[object]:
        from bbilang.runtime.relevance.handlers import HANDLERS
        from bbilang.runtime.relevance.mode import Relevance
        from bbilang.runtime.relevance.rules import contrast, excitation

        own = options(parameters)
        return Relevance(self.name, lambda kind, raw: excitation, own, HANDLERS, excites=True, contrast=contrast)


METHODS = (ContrastiveExcitationBackprop(),)

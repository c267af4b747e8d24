"""The method `taylor_magnitude` for bbilang. Importing it loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bbilang.runtime.attribution.kinds import DerivativeMethod

if TYPE_CHECKING:
    from torch import Tensor


class TaylorMagnitude(DerivativeMethod):
    """|activation x gradient|: the magnitude of the change of the target if an entry is set to zero, to first order. A
    criterion for pruning.
    """

    name = "taylor_magnitude"
    source = "Molchanov, Tyree, Karras, Aila, Kautz 2017"
    axioms = ("sensitivity_b", "implementation_invariance", "symmetry")
    signed = False
    unit = "magnitude of the change"

    def additive(self, parameters: Mapping[str, Any]) -> bool:
        """The magnitude of a difference of classes is not the difference of the magnitudes."""
        return False

    def contribution(self, activation: Tensor, gradient: Tensor) -> Tensor:
        """activation (input, *layer axes); gradient and the result (target, input, *layer axes)."""
        return (activation * gradient).abs()

    def note(self, parameters: Mapping[str, Any]) -> str:
        """What the legend says about these values."""
        return "magnitudes: contributions for and against the class are not distinguished"


METHODS = (TaylorMagnitude(),)

"""`grad_cam`: maps weighted by the mean gradient of each channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbilang.compiler.contract import Parameter, Parameters
from bbilang.runtime.attribution.kinds import DerivativeMethod

if TYPE_CHECKING:
    from torch import Tensor


LAYER = Parameter(
    "layer", "layer", "the layer whose maps are weighted; at the input, the last with positions by default", None
)


class GradCam(DerivativeMethod):
    """max(0, sum over channels k of w_k A_k[y, x]), with w_k the mean over positions of d target / d A_k.

    At the input, the map is that of the last layer with positions below the target (or of `layer=`), resized bilinearly
    to the picture; at a hidden layer, that of the layer itself unless `layer=` names another. Defined for positions:
    `.spatial` and `input.pixel`. It needs the layer's activation and, for each score, one backward that stops at the
    layer. Captum: `LayerGradCam` with `relu_attributions=True`.
    """

    name = "grad_cam"
    title = "Grad-CAM"
    axioms = ("implementation_invariance",)
    maps_only = True
    layered = True
    signed = False
    atoms = ("pixel", "spatial")
    parameters = (LAYER,)
    source = "Selvaraju et al. 2017, equations 1 and 2"

    def additive(self, parameters: Parameters) -> bool:
        return False

    def maps(self, activation: Tensor, gradient: Tensor) -> Tensor:
        return (gradient.mean((-2, -1), keepdim=True) * activation).sum(-3).clamp_min(0)


METHODS = (GradCam(),)

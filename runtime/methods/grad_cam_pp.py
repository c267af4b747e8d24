"""`grad_cam_pp`: Grad-CAM with weights from higher derivatives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbilang.runtime.methods.grad_cam import GradCam

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1e-6  # of pytorch-grad-cam, whose numbers these are


class GradCamPlusPlus(GradCam):
    """max(0, sum over channels k of w_k A_k[y, x]), with w_k = sum over positions of a_k max(0, g_k), g the gradient of
    the target and a_k = g_k^2 / (2 g_k^2 + (sum over positions of A_k) g_k^3 + 1e-6), 0 where g_k is 0.

    Equation 19 of the paper, which assumes the exponential of the score. The 1e-6 is that of pytorch-grad-cam; it makes
    the map depend on the score's unit where gradients are below 0.001. It is defined where `grad_cam` is, and runs the
    same passes.
    """

    name = "grad_cam_pp"
    title = "Grad-CAM++"
    known_as = ("grad_cam_plus_plus", "gradcamplusplus")
    source = "Chattopadhay, Sarkar, Howlader, Balasubramanian 2018"

    def maps(self, activation: Tensor, gradient: Tensor) -> Tensor:
        square = gradient.square()
        total = activation.sum((-2, -1), keepdim=True)
        share = square / (2 * square + total * square * gradient + EPSILON) * (gradient != 0)
        weights = (share * gradient.clamp_min(0)).sum((-2, -1), keepdim=True)
        return (weights * activation).sum(-3).clamp_min(0)


METHODS = (GradCamPlusPlus(),)

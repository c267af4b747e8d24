"""`cam`: maps weighted by the class's row of the linear layer after global average pooling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbilang.compiler.contract import Parameters
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.runtime.attribution.kinds import PathMethod
from bbilang.runtime.methods.grad_cam import LAYER

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.compiler.ir.model_description import LayerDescription
    from bbilang.runtime.attribution.accumulators import Accumulator

AGREE = 1e-4  # of the largest: how equal gradients are that should be one


class Cam(PathMethod):
    """sum over channels k of w_k A_k[y, x], with w the class's row of the linear layer that follows the mean over all
    positions: the mean of the map, plus the bias, is the score.

    Defined where the score is that function of the layer. This is checked: the gradient must be w_k / (y x) at every
    position, both at the activation and at half of it; any other network is refused (E515). It is resized like
    `grad_cam` and defined for the same atoms. It runs the network above the layer twice, with one backward through it
    for each class.
    """

    name = "cam"
    title = "CAM"
    known_as = ("class_activation_map",)
    axioms = ("implementation_invariance", "linearity")
    maps_only = True
    layered = True
    atoms = ("pixel", "spatial")
    parameters = (LAYER,)
    source = "Zhou, Khosla, Lapedriza, Oliva, Torralba 2016"

    def visits(self, parameters: Parameters) -> int:
        return 2

    def visit(
        self, parameters: Parameters, start: int, stop: int, activation: Tensor, baseline: Tensor | None
    ) -> Tensor:
        import torch

        return torch.stack([activation, activation / 2])[start:stop]

    def accumulator(self, parameters: Parameters, activation: Tensor, baseline: Tensor | None) -> Accumulator:
        return _ClassWeights(parameters["at"], activation)


class _ClassWeights:
    """Takes the gradients here and at half the activation, which have to be one row of weights."""

    def __init__(self, layer: LayerDescription, activation: Tensor):
        self.layer, self.activation = layer, activation
        self.gradients: list[Tensor] = []

    def add(self, visit: int, point: Tensor, gradient: Tensor) -> None:
        self.gradients.append(gradient)

    def result(self) -> Tensor:
        axes = [axis - len(self.layer.axes) for axis, name in enumerate(self.layer.axes) if name != "channel"]
        here, half = self.gradients
        rows = here.mean(axes, keepdim=True)
        largest = float(here.abs().amax())
        if max(float((here - rows).abs().amax()), float((half - rows).abs().amax())) > AGREE * largest:
            raise BbiError(
                Diagnostic(
                    "E515",
                    f"`cam` is not defined here: the score is no linear function of the mean of `{self.layer.name}`",
                    help="`grad_cam` is, and gives the same where `cam` is defined, up to its ReLU and a factor",
                )
            )
        return rows * (here.numel() / rows.numel()) * self.activation


METHODS = (Cam(),)

"""`cam`: maps weighted by the class's row of the linear layer after global average pooling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bbilang.compiler.contract import Method
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.runtime.methods.grad_cam import LAYER

AGREE = 1e-4  # of the largest: how equal gradients are that should be one


class Cam(Method):
    """sum over channels k of w_k A_k[y, x], with w the class's row of the linear layer that follows the mean over all
    positions: the mean of the map, plus the bias, is the score.

    Defined where the score is that function of the layer, which is checked: its gradient is w_k / (y x) at every
    position, there and at half the activation; another network is refused (E515). Resized as `grad_cam` is, and for the
    same atoms. It demands the network above the layer twice, and one backward of it for each class.
    """

    name = "cam"
    known_as = ("class_activation_map",)
    axioms = ("implementation_invariance", "linearity")
    maps_only = True
    reruns = True
    layered = True
    atoms = ("pixel", "spatial")
    parameters = (LAYER,)
    source = "Zhou, Khosla, Lapedriza, Oliva, Torralba 2016"

    def visits(self, parameters: Mapping[str, Any]) -> int:
        return 2

    def visit(self, parameters: Mapping[str, Any], start: int, stop: int, activation: Any, baseline: Any) -> Any:
        import torch

        return torch.stack([activation, activation / 2])[start:stop]

    def gather(self, parameters: Mapping[str, Any], activation: Any, baseline: Any) -> Any:
        return _Rows(parameters["at"], activation)


class _Rows:
    def __init__(self, layer: Any, activation: Any):
        self.layer, self.activation = layer, activation
        self.gradients: list[Any] = []

    def add(self, visit: int, point: Any, gradient: Any) -> None:
        self.gradients.append(gradient)

    def result(self) -> Any:
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

"""What a differentiable evaluation of a pipe may use: one batch of examples in the network that is being trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bbilang.compiler.ir.model_description import LayerDescription
from bbilang.compiler.ir.program import Node
from bbilang.grammar.frozen import frozen

if TYPE_CHECKING:
    from torch import Tensor


@frozen
class TensorField:
    """A field as one tensor with a graph. ``dims``: its axes after the first, which is the example."""

    dims: tuple[str, ...]
    data: Tensor


class Batch(Protocol):
    """A batch of examples that the network has run on. Every tensor keeps its graph down to the parameters."""

    def layer(self, name: str) -> LayerDescription:
        """Return the description of a layer."""

    def activation(self, layer: str) -> Tensor:
        """Return (example, *layer axes)."""

    def activation_of_zeros(self, layer: str) -> Tensor:
        """Return (1, *layer axes): the activation for an input of zeros."""

    def gradient(self, target: Node, layer: str) -> Tensor:
        """Return d target / d activation, (target, example, *layer axes): one target, or each class of several."""

    def gradients_at(self, target: Node, layer: str, visits: Tensor) -> Tensor:
        """Return d target / d activation where the layer has other activations: ``visits`` (visit, example, *layer
        axes), the result (target, visit, example, *layer axes)."""

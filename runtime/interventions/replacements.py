"""What can replace an atom's part: for each word, the values of the whole layer that atoms are taken from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.ir.program import Node
from bbilang.grammar.frozen import frozen

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.interventions.layer import ChangedLayer

DRAWS = 8


@frozen
class Replacement:
    """``values``: (draw, input, *layer axes), 1 for what all have in common. ``words`` follow "with" and the atoms."""

    values: Callable[[Node, ChangedLayer], Tensor]
    words: str
    draws: int = 1


def zero(node: Node, layer: ChangedLayer) -> Tensor:
    import torch

    return torch.zeros_like(layer.activation)[None]


def position_mean(node: Node, layer: ChangedLayer) -> Tensor:
    activation = layer.activation
    dims = layer.spread_positions("position_mean")
    return activation.mean(dims, keepdim=True).expand_as(activation)[None]


def noise(node: Node, layer: ChangedLayer) -> Tensor:
    """Return normal noise, the same for an input whatever other inputs there are."""
    import torch

    activation = layer.activation
    dims = layer.spread_positions("noise")
    mean, deviation = activation.mean(dims, keepdim=True), activation.std(dims, correction=0, keepdim=True)
    random = np.random.default_rng([layer.seed, 5])
    normal = random.standard_normal((DRAWS, 1, *activation.shape[1:]), np.float32)
    return mean + deviation * torch.from_numpy(normal).to(activation)


VALUES = {
    "zero": Replacement(zero, "set to zero"),
    "position_mean": Replacement(position_mean, "set to their mean over positions"),
    "noise": Replacement(noise, "replaced by noise", DRAWS),
}

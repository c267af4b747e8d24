"""Permuted and rescaled copies of networks, with the permutation that was planted."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from bbilang.runtime.matching.groups import Symmetries
from bbilang.runtime.matching.trace import channels_of
from bbilang.runtime.matching.weight_matching import Matched, match


class Unknown(nn.Module):
    """An operation along the channels that nothing is known of stands behind the first layer."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.three = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 4, 3)

    def forward(self, x):
        x = torch.cumsum(self.one(x), 1)
        return self.three(functional.relu(self.two(x))).mean((2, 3))


@dataclass
class Copy:
    """partner: the channel of the copy that each of the network's is at. difference: of their results, as a share."""

    symmetries: Symmetries
    own: dict[str, np.ndarray]
    state: dict[str, np.ndarray]
    partner: np.ndarray
    module: nn.Module
    difference: float

    def matched(self) -> Matched:
        return match(self.symmetries, self.own, self.state)


def state_of(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.detach().numpy().copy() for name, tensor in module.state_dict().items()}


def permuted(adapter, seed: int = 0, rescale: bool = True, noise: float = 0.0) -> Copy:
    """Permute every group of channels, and rescale every wire that may be, by factors from 1/e to e."""
    symmetries, random = Symmetries.of(channels_of(adapter)), np.random.default_rng(seed)
    moved = symmetries.identity()
    for group in symmetries.groups:
        moved[group] = random.permutation(group)
    factors = np.ones(len(symmetries.known.wires.parent))
    free = symmetries.free_wires()
    factors[free] = np.exp(random.uniform(-1, 1, len(free)))
    own = state_of(adapter.module)
    state = symmetries.changed(own, moved, factors if rescale else None)
    if noise:
        state = {name: array + noise * array.std() * random.standard_normal(array.shape).astype(array.dtype)
                 if array.ndim > 1 else array for name, array in state.items()}  # fmt: skip
    module = copy.deepcopy(adapter.module)
    module.load_state_dict({name: torch.from_numpy(np.asarray(array)) for name, array in state.items()})
    images = torch.rand(2, *adapter.description.input.shape, generator=torch.Generator().manual_seed(seed)) - 0.5
    with torch.no_grad():
        before, after = adapter.module(images), module.eval()(images)
    difference = float((before - after).abs().max() / before.abs().max())
    return Copy(symmetries, own, state, np.argsort(moved), module, difference)

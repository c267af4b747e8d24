"""The network between a cut and a unit's layer: what drives a response, and what remains without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bbilang.runtime import passes
from bbilang.runtime.featvis.ascent import channel_axis
from bbilang.runtime.featvis.dissociation.scan import channel_means
from bbilang.runtime.models.adapter import Adapter
from bbilang.runtime.passes.above import NetworkAbove

STEPS = 4  # of the path integral from the mean activation


@dataclass
class Section:
    """The network between a cut and a layer. ``upper``: the network above the cut; its rows are pictures.
    ``directions`` (row, channel of the layer): each row's unit. ``mean`` (channel of the cut,): the value that an
    ablated channel is set to, at every position."""

    adapter: Adapter
    upper: NetworkAbove
    layer: str
    directions: Tensor
    mean: np.ndarray

    def __post_init__(self) -> None:
        axis = channel_axis(self.adapter, self.upper.layer)
        activations = self.upper.activations
        shape = [1] * activations.dim()
        shape[axis] = len(self.mean)
        self._axis = axis
        self._mean = torch.tensor(self.mean).to(activations).view(shape)
        self._others = [n for n in range(1, activations.dim()) if n != axis]

    def responses(self, numbers: np.ndarray, ablated: np.ndarray | None = None) -> np.ndarray:
        """Return the response (row,) of the unit of each picture ``numbers`` (row,) with the channels ``ablated`` (row,
        channel) at their means."""
        owners = torch.tensor(numbers)
        masks = None if ablated is None else torch.tensor(ablated)

        def make(start: int, stop: int) -> tuple[Tensor, Tensor]:
            own = owners[start:stop]
            activations = self.upper.activations[own]
            if masks is not None:
                shape = [stop - start] + [1] * (activations.dim() - 1)
                shape[self._axis] = masks.shape[1]
                mask = masks[start:stop].to(activations.device).view(shape)
                activations = torch.where(mask, self._mean, activations)
            return activations, own

        return self._values(make, len(numbers))

    def bases(self) -> np.ndarray:
        """Return the response (picture,) of each picture's unit with every channel at its mean."""
        count = len(self.upper.activations)

        def make(start: int, stop: int) -> tuple[Tensor, Tensor]:
            own = torch.arange(start, stop)
            return self._mean.expand(stop - start, *self.upper.activations.shape[1:]), own

        return self._values(make, count)

    def _values(self, make: Callable[[int, int], tuple[Tensor, Tensor]], count: int) -> np.ndarray:
        responses = np.empty(count, np.float64)
        chunks = passes.value_chunks(self.upper, make, count, self.layer)
        axis = channel_axis(self.adapter, self.layer)
        for start, value, own in chunks:
            means = channel_means(value, axis)
            responses[start : start + len(value)] = (
                (means * self.directions[own].to(means)).sum(1).double().cpu().numpy()
            )
        return responses

    def contributions(self) -> np.ndarray:
        """Return (picture, channel of the cut): the path integral of the unit's gradient from the mean activation to
        the picture's (Sundararajan, Taly, Yan 2017), summed over positions; they add up to the response above the
        base."""
        activations = self.upper.activations
        axis = channel_axis(self.adapter, self.layer)
        difference = activations - self._mean
        total = torch.zeros_like(activations)

        def cotangents(value: Tensor, own: Tensor) -> Tensor:
            shape = [len(value)] + [1] * (value.dim() - 1)
            shape[axis] = value.shape[axis]
            positions = value[0].numel() // value.shape[axis]
            seeds = self.directions[own].to(value).view(shape) / positions
            return seeds.expand_as(value)[None]

        for step in range(STEPS):
            point = self._mean + difference * ((step + 0.5) / STEPS)
            for start, gradients in passes.rerun_gradient_chunks(self.upper, point, None, cotangents, self.layer):
                total[start : start + gradients.shape[1]] += gradients[0]
        product = (total * difference / STEPS).double()
        return (product.sum(self._others) if self._others else product).cpu().numpy()

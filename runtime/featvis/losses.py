"""Objectives of gradient ascent: a number for each picture of a batch, from a layer's activation.

- A direction, averaged over all positions or at one position, or its negative; a class is a direction of the scores:
  Olah, Mordvintsev, Schubert, "Feature Visualization", Distill 2017, sections "Optimization Objectives" and "What do
  examples show that optimization does not"; Erhan, Bengio, Courville, Vincent, "Visualizing Higher-Layer Features of a
  Deep Network", 2009.
- Diversity: the same paper, section "Diversity": several pictures of one direction, each pushed away from the others'
  style, the cosine between Gram matrices of the layer's channels.
- Dream: the mean square of a layer: Mordvintsev, Olah, Tyka, "Inceptionism: Going Deeper into Neural Networks", 2015;
  guided by another picture, the mean over positions of the largest inner product with one of the guide's feature
  vectors, whose gradient at a position is the vector that fits best (the notebook google/deepdream, 2015).
- Caricature: <activations, the start picture's> times a power of their cosine, so that the features of a
  picture are exaggerated (Lucid's `dot_compare` with `cossim_pow`; Carter et al., "Activation Atlas", Distill 2019,
  appendix).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from bbilang.runtime.errors import error
from bbilang.runtime.featvis.icon import Objective

DIVERSITY_WEIGHT = 1.0  # the share of its objective that a picture loses if it is identical to another
PAIRS = 1 << 22  # inner products of positions of a dream and of its guide held in memory at a time
POWER = 2.0  # of the cosine in a caricature


class Response:
    """The objectives of a batch of slots at one layer, all of one `family`.

    ``shape``: of the activation, without the batch. ``axis``: that of the channels, counting the batch axis.
    """

    def __init__(self, shape: tuple[int, ...], axis: int, batch: int, objective: Objective, device: torch.device):
        self.axis = axis % (len(shape) + 1)
        self.channels = shape[self.axis - 1]
        self.grid = tuple(n for i, n in enumerate(shape) if i != self.axis - 1)
        self.kind, self.pictures, self.positioned = objective.kind, objective.pictures, objective.at is not None
        if self.positioned and len(self.grid) != 2:
            text = f"`{objective.layer}` has no rows and columns, so a position in it has no meaning"
            raise error("E510", text, "leave out the position, or name a layer with positions")
        self.directions = torch.zeros(batch, self.channels, device=device)
        self.position_masks = (
            torch.zeros(batch, self.grid[0] * self.grid[1], device=device) if self.positioned else None
        )
        self.targets = torch.zeros(batch, *shape, device=device) if self.kind == "caricature" else None
        self.guide: Tensor | None = None  # (channel, position)
        self._channels: list[int | None] = [0] * batch  # the one channel of each slot's objective
        self.only: Tensor | None = None  # (batch,): those, where every slot has one and no more are needed

    def put(self, slot: int, objective: Objective, target: Tensor | None = None) -> None:
        """Set the objective of a slot. ``target``: the activation of the start picture, for a caricature."""
        if self.kind == "direction":
            self.directions[slot] = objective.vector(self.channels).to(self.directions)
            self._channels[slot] = objective.direction if isinstance(objective.direction, int) else None
            known = [channel for channel in self._channels if channel is not None]
            narrow = len(known) == len(self._channels) and self.axis == 1 and self.pictures == 1
            self.only = torch.tensor(known, device=self.directions.device) if narrow else None
        if self.position_masks is not None and objective.at is not None:
            y, x = (min(int(s * n), n - 1) for s, n in zip(objective.at, self.grid, strict=True))
            self.position_masks[slot] = 0.0
            self.position_masks[slot, y * self.grid[1] + x] = 1.0
        if self.targets is not None and target is not None:
            self.targets[slot] = target

    def guide_by(self, activation: Tensor) -> None:
        """Guide dreams by the activation of another picture, a batch of one."""
        self.guide = self._flat(activation)[0].detach()

    def check(self, objective: Objective) -> None:
        """Check that the direction fits the layer. Raises BbiError E510."""
        if self.kind == "direction":
            objective.vector(self.channels)

    def measured(self, activation: Tensor) -> Tensor:
        """Return the objectives in the layer's own units, (batch,)."""
        return self._of(activation, self.directions)

    def surrogate(self, activation: Tensor) -> Tensor:
        """Return the surrogate objective whose gradient is followed, (batch,): along directions of length 1, minus the
        penalty for similar pictures."""
        length = self.directions.norm(dim=1, keepdim=True).clamp_min(1e-20)
        values = self._of(activation, self.directions / length)
        if self.pictures > 1:
            values = values - DIVERSITY_WEIGHT * values.detach().abs() * self._similarity(activation)
        return values

    def _of(self, activation: Tensor, directions: Tensor) -> Tensor:
        if self.kind == "dream" and self.guide is not None:
            return self._guided(self._flat(activation), self.guide)
        if self.kind == "dream":
            return activation.flatten(1).square().mean(1)
        if self.targets is not None:
            current, target = activation.flatten(1), self.targets.flatten(1)
            product = (current * target).mean(1)
            cosine = torch.nn.functional.cosine_similarity(current, target, dim=1)
            return product * cosine.detach().clamp_min(0.1) ** POWER + product.detach().abs() * cosine
        flat = self._flat(activation)
        if self.only is not None and flat.shape[1] == 1:
            directions = directions.gather(1, self.only[:, None])
        if self.position_masks is not None:
            return torch.einsum("bcp,bc,bp->b", flat, directions, self.position_masks)
        return (flat.mean(2) * directions).sum(1)

    def _guided(self, flat: Tensor, guide: Tensor) -> Tensor:
        """Return the mean over positions of the largest inner product with a vector of the guide, (batch,)."""
        chunk = max(PAIRS // (guide.shape[1] * len(flat)), 1)
        with torch.no_grad():
            best = torch.cat([(part.mT @ guide).argmax(2) for part in flat.split(chunk, 2)], 1)
        return (flat * guide[:, best].movedim(0, 1)).sum(1).mean(1)

    def _flat(self, activation: Tensor) -> Tensor:
        """Flatten to (batch, channel, position)."""
        return by_position(activation, self.axis)

    def _similarity(self, activation: Tensor) -> Tensor:
        """Return the mean cosine between a picture's Gram matrix and those of the others made with it, (batch,)."""
        flat = self._flat(activation)
        gram = torch.nn.functional.normalize((flat @ flat.mT).flatten(1), dim=1)
        result = []
        for start in range(0, len(gram) - self.pictures + 1, self.pictures):
            own = gram[start : start + self.pictures]
            result.append((own @ own.mT).fill_diagonal_(0.0).sum(1) / (self.pictures - 1))
        rest = len(gram) - len(result) * self.pictures
        return torch.cat([*result, gram.new_zeros(rest)])


def by_position(activation: Tensor, axis: int) -> Tensor:
    """Return (batch, channel, position) of a layer's activation, whose axis of channels counts the batch."""
    return activation.movedim(axis, 1).flatten(2) if activation.dim() > 2 else activation[:, :, None]


def by_family(objectives: Iterable[Objective]) -> list[list[Objective]]:
    """Group objectives by their family, in the order of the first of each."""
    groups: dict[tuple[object, ...], list[Objective]] = {}
    for objective in objectives:
        groups.setdefault(family(objective), []).append(objective)
    return list(groups.values())


def family(objective: Objective) -> tuple[object, ...]:
    """Return the family of an objective; objectives of one family and layer share batches."""
    return objective.layer, objective.kind, objective.at is not None, objective.pictures, objective.on_pixels

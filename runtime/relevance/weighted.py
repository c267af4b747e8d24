"""The backward of a layer with weights, with the batch norm that reads its result folded in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from bbilang.runtime.relevance.marks import Mark
from bbilang.runtime.relevance.redistribute import Prepared, Redistribution
from bbilang.runtime.relevance.rules import Layer, Options, Rule

LayerFunction = Callable[[Tensor, Tensor, Tensor | None], Tensor]


class WeightedLayer(Redistribution):
    """A convolution or linear layer. Batch norms and readers become known during the forward, so its rule is applied
    when the backward begins.

    ``axis``: the output axis of the weight, for folding; None where no norm can be folded in. ``contrast``:
    replaces ``rule`` for a target's own layer in contrastive excitation backprop. ``mark``: of x.
    """

    def __init__(
        self,
        call: LayerFunction,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        axis: int | None,
        groups: int,
        rule: Rule,
        contrast: Rule | None,
        options: Options,
        mark: Mark,
    ):
        super().__init__(lambda leaf: call(leaf, weight, bias), (x,))
        self.weighted, self.weight, self.bias = call, weight.detach(), None if bias is None else bias.detach()
        self.axis, self.split = axis, groups
        self.rule, self.contrast, self.options, self.mark = rule, contrast, options, mark
        self.readers = 0  # operations that read its result
        self.norm: tuple[Tensor, Tensor] | None = None  # (scale, shift) by channel of a batch norm that reads it
        self.contrasts = False
        self._prepared_for: dict[bool, Prepared] = {}  # by `contrasts`

    def layer(self) -> Layer:
        """Return the layer as rules read it: its linear map, input, weight and bias, with the batch norm folded in."""
        weight, bias = self.folded()
        seen = bias if self.options["bias"] else None
        x, (low, high) = self.sources[0], self.mark.pixels or (None, None)
        ones = torch.ones_like(x) if self.mark.present is None else self.mark.present
        return Layer(self.weighted, x, weight, bias, seen, ones, low, high)

    def folded(self) -> tuple[Tensor, Tensor | None]:
        """Return weight and bias with the batch norm folded in, where nothing else read the result (Guillemot et al.
        2020)."""
        if self.norm is None or self.readers != 1 or self.axis is None or not self.options["canonize"]:
            return self.weight, self.bias
        scale, shift = self.norm
        bias = shift if self.bias is None else self.bias * scale + shift
        weight = self.weight
        if self.axis == 0 or self.split == 1:
            shape = [1] * weight.dim()
            shape[self.axis] = -1
            return weight * scale.view(shape), bias
        wide = weight.unflatten(0, (self.split, -1))  # transposed convolutions in groups: (group, from, to, ...)
        scale = scale.view(self.split, 1, -1, *[1] * (weight.dim() - 2))
        return (wide * scale).flatten(0, 1), bias

    def prepare(self) -> None:
        """Compute the linear maps of the rule, once for each of the rule and its contrast."""
        if self.contrasts not in self._prepared_for:
            rule = self.contrast if self.contrasts and self.contrast else self.rule
            with torch.no_grad():
                groups = rule(self.layer(), self.options)
            self._prepared_for[self.contrasts] = self._prepared(groups)
        self.prepared = self._prepared_for[self.contrasts]

    def back(self, relevance: Tensor) -> Sequence[Tensor | None]:
        self.prepare()
        assert self.prepared is not None
        return self._pull(self.prepared, relevance)


def scale_and_shift(
    mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor]:
    """Return (scale, shift) by channel of a batch norm in eval mode."""
    scale = (variance + eps).rsqrt() if weight is None else weight / (variance + eps).sqrt()
    shift = -mean * scale
    return scale.detach(), (shift if bias is None else shift + bias).detach()

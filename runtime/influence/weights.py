"""The weights that influence is measured on: those of convolutions and linear layers, each as one matrix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bbilang.runtime.errors import error
from bbilang.runtime.passes.autograd import grad

Matrices = Mapping[str, Tensor]
"""Name of a weighted layer -> (row, out, in): a number for each weight, the bias as the last column."""

Kind = nn.Linear | nn.Conv1d | nn.Conv2d


@dataclass(frozen=True)
class Weighted:
    """A convolution or linear layer. Its weights as a matrix are (out, in): of a convolution, ``in`` runs over the
    channels of a group and the positions of the kernel; a bias is one more column."""

    name: str
    module: Kind

    @property
    def bias(self) -> bool:
        return self.module.bias is not None

    @property
    def shape(self) -> tuple[int, int]:
        out = self.module.weight.shape[0]
        return out, self.module.weight[0].numel() + self.bias

    @property
    def groups(self) -> int:
        return 1 if isinstance(self.module, nn.Linear) else self.module.groups

    @property
    def parameters(self) -> tuple[nn.Parameter, ...]:
        module: nn.Module = self.module
        return tuple(p for p in (module.weight, module.bias) if isinstance(p, nn.Parameter))

    def matrix(self, gradients: Sequence[Tensor | None]) -> Tensor:
        """Return gradients of `parameters` as a matrix (out, in); zeros where there is none."""
        parts = [
            (torch.zeros_like(own) if given is None else given).reshape(len(own), -1)
            for own, given in zip(self.parameters, gradients, strict=True)
        ]
        return torch.cat(parts, 1)


def weighted_layers(module: nn.Module) -> list[Weighted]:
    """Return the convolutions and linear layers of a network. Raises BbiError E590 where there is none."""
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d)
    known: dict[int, Weighted] = {}
    for name, child in module.named_modules():
        plain = isinstance(child, kinds) and getattr(child, "padding_mode", "zeros") == "zeros"
        if plain and child.weight.is_floating_point():
            known.setdefault(id(child), Weighted(name, child))
    if not known:
        raise error(
            "E590", "the network has no convolution and no linear layer, whose weights influence is measured on"
        )
    return list(known.values())


@dataclass(frozen=True)
class Coverage:
    """How many of the network's parameters influence is measured on."""

    layers: int
    weights: int
    parameters: int

    @classmethod
    def of(cls, module: nn.Module, layers: Sequence[Weighted]) -> Coverage:
        weights = sum(p.numel() for layer in layers for p in layer.parameters)
        return cls(len(layers), weights, sum(p.numel() for p in module.parameters()))


@contextmanager
def requiring_gradients(layers: Sequence[Weighted]) -> Iterator[list[nn.Parameter]]:
    """Let autograd follow the weights of some layers for a while."""
    parameters = [p for layer in layers for p in layer.parameters]
    before = [p.requires_grad for p in parameters]
    try:
        for p in parameters:
            p.requires_grad_(True)
        yield parameters
    finally:
        for p, required in zip(parameters, before, strict=True):
            p.requires_grad_(required)


def gradients_of(values: Tensor, layers: Sequence[Weighted]) -> dict[str, Tensor]:
    """Return d value / d weights, (row, out, in) for each layer, of values (row,) with a graph; zeros where a value
    does not depend on a layer. Call it inside of `requiring_gradients`."""
    parameters = [p for layer in layers for p in layer.parameters]
    rows: dict[str, list[Tensor]] = {layer.name: [] for layer in layers}
    for value in values:
        own: list[Tensor | None] = [None] * len(parameters)
        if value.requires_grad:
            own = list(grad(value, parameters, retain_graph=True, allow_unused=True))
        for layer in layers:
            count = len(layer.parameters)
            rows[layer.name].append(layer.matrix(own[:count]))
            own = own[count:]
    return {name: torch.stack(matrices) for name, matrices in rows.items()}

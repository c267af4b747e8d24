"""The curvature of the loss, in the eigenvectors of Kronecker factors (EKFAC, George et al. 2018, Grosse et al. 2023).

A layer's block of the Fisher information is approximated by A x S: A is the covariance of the layer's inputs, S that of
the gradients at its outputs. In the basis of their eigenvectors the diagonal is then measured exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bbilang.runtime.influence.gradients import per_example
from bbilang.runtime.influence.weights import Matrices, Weighted

DAMPING = 0.1  # of a layer's mean eigenvalue, which is added to each (Grosse et al. 2023)
Pairs = Sequence[tuple[Tensor, Tensor]]
Batches = Callable[[], Iterable[Iterable[tuple[Weighted, Pairs]]]]
"""Each call runs over the examples anew, a batch at a time: layers with (inputs, gradients at the outputs)."""


@dataclass(frozen=True)
class Block:
    """One layer. of_inputs (in, eigenvector), of_outputs (out, eigenvector), diagonal (out, in): the mean over examples
    of the squared gradient in that basis."""

    of_inputs: Tensor
    of_outputs: Tensor
    diagonal: Tensor
    relative: float = DAMPING

    @property
    def damping(self) -> Tensor:
        return self.relative * self.diagonal.mean()

    def rotated(self, matrices: Tensor) -> Tensor:
        """Return matrices (row, out, in) in the basis of the eigenvectors."""
        return self.of_outputs.to(matrices).T @ matrices @ self.of_inputs.to(matrices)

    def solved(self, matrices: Tensor) -> Tensor:
        """Multiply matrices (row, out, in) by the inverse of the damped curvature."""
        inside = self.rotated(matrices) / (self.diagonal + self.damping).clamp_min(torch.finfo(matrices.dtype).tiny)
        return self.of_outputs.to(inside) @ inside @ self.of_inputs.to(inside).T


class Curvature:
    """The blocks of all layers, by their names, and the number of examples that they are measured on."""

    def __init__(self, blocks: dict[str, Block], examples: int):
        self.blocks, self.examples = blocks, examples

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what the cache keeps."""
        kinds = ("of_inputs", "of_outputs", "diagonal")
        return {f"{name} {kind}": getattr(block, kind).numpy() for name, block in self.blocks.items() for kind in kinds}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray], examples: int, damping: float) -> Curvature:
        """Make it of what `arrays` returned."""
        parts: dict[str, dict[str, Tensor]] = {}
        for key, array in arrays.items():
            name, _, kind = key.rpartition(" ")
            parts.setdefault(name, {})[kind] = torch.from_numpy(np.ascontiguousarray(array))
        return cls({name: Block(**own, relative=damping) for name, own in parts.items()}, examples)

    def solve(self, matrices: Matrices) -> dict[str, Tensor]:
        """Multiply by the inverse of the damped curvature. A layer that no loss depends on has none, and gives 0."""
        return {
            name: self.blocks[name].solved(rows.cpu()) if name in self.blocks else torch.zeros_like(rows)
            for name, rows in matrices.items()
        }


def measured(batches: Batches, examples: int, damping: float = DAMPING) -> Curvature:
    """Measure the curvature in two runs over the examples: the factors, then the diagonal. damping: what is added to
    each eigenvalue of a layer, as a part of their mean."""
    inputs: dict[str, Tensor] = {}
    outputs: dict[str, Tensor] = {}
    for layers in batches():
        for layer, pairs in layers:
            for given, gradient in pairs:
                _add(inputs, layer.name, given)
                _add(outputs, layer.name, _all_outputs(gradient))
    bases = {name: (_eigenvectors(inputs[name]), _eigenvectors(outputs[name])) for name in inputs}
    inputs.clear()
    outputs.clear()
    squares: dict[str, Tensor] = {}
    for layers in batches():
        for layer, pairs in layers:
            of_inputs, of_outputs = bases[layer.name]
            each = per_example(pairs)
            rotated = of_outputs.to(each).T @ each @ of_inputs.to(each)
            own = rotated.square().sum(0).cpu()
            squares[layer.name] = squares[layer.name] + own if layer.name in squares else own
    blocks = {name: Block(*bases[name], squares[name] / examples, damping) for name in squares}
    return Curvature(blocks, examples)


def _all_outputs(gradient: Tensor) -> Tensor:
    """Return (example, 1, place, out) of all groups side by side."""
    return gradient.transpose(1, 2).flatten(2).unsqueeze(1)


def _add(sums: dict[str, Tensor], name: str, rows: Tensor) -> None:
    """Add to the sum over examples, groups and places of the outer products of rows (..., n)."""
    flat = rows.flatten(0, -2)
    own = (flat.T @ flat).double().cpu()
    sums[name] = sums[name] + own if name in sums else own


def _eigenvectors(covariance: Tensor) -> Tensor:
    symmetric = (covariance + covariance.T) / 2
    return torch.linalg.eigh(symmetric)[1].float()

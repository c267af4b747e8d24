"""An intervention as a part of a network: what a layer gives is changed whenever the network runs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor, nn

from bbilang.compiler.contract import LayerChange
from bbilang.compiler.contract import Run as KernelRun
from bbilang.compiler.ir.program import Node
from bbilang.runtime.attribution.target_slots import atom_numbers
from bbilang.runtime.errors import error
from bbilang.runtime.interventions.intervention import Intervention
from bbilang.runtime.interventions.layer import ChangedLayer

if TYPE_CHECKING:
    from bbilang.runtime.execution.context import Run


_numbers = count()


class _Held:
    """A change and its run, as an attribute of a module: as state of the network they are one number
    (`passes.module.digest`)."""

    def __init__(self, run: Run, change: Node):
        self.run, self.change, self.live_number = run, change, next(_numbers)


class ChangedAtoms(nn.Module):
    """Changes atoms of a layer, all together: (row, *layer axes) -> the same. ``atoms``: their numbers in the layer."""

    def __init__(self, run: Run, change: Node, layer: str, atoms: np.ndarray, amount: float):
        super().__init__()
        self.held, self.layer, self.atoms, self.amount = _Held(run, change), layer, atoms, amount

    def __deepcopy__(self, memo: dict[int, object]) -> ChangedAtoms:
        return self  # it has no tensors, and a run cannot be copied

    def forward(self, activation: Tensor) -> Tensor:
        """Raises BbiError E547 where positions change and the layer has others, as for an icon of another size."""
        layer = ChangedLayer(self.held.run, self.held.change, self.layer, activation)
        rows = len(activation)
        self._check_positions(layer, activation.shape[1:])
        device = activation.device
        own, draws = torch.arange(rows, device=device), torch.zeros(rows, dtype=torch.long, device=device)
        amounts = torch.full((rows,), self.amount, dtype=torch.float64)
        return layer.rows([self.atoms] * rows, own, draws, amounts)

    def _check_positions(self, layer: ChangedLayer, shape: Sequence[int]) -> None:
        if layer.atom in ("channel", "whole", "direction") or tuple(shape) == tuple(layer.layer.shape):
            return
        has, now = (" x ".join(map(str, size)) for size in (layer.layer.shape, shape))
        message = f"{layer.atom} atoms of `{self.layer}` ({has}) change, and here it is {now}"
        raise error("E547", message, "change channels, which a layer has at every size of its input")


def changed_layer(node: Node, run: KernelRun) -> LayerChange:
    """Return the change of a node that stands in a `model` statement."""
    frame = run.value(node.inputs[0])
    (layer,) = frame.type.layers
    operation = run.registry.operations[node.op]
    assert isinstance(operation, Intervention)
    atoms = np.unique(atom_numbers(frame, run.layer(layer), layer).data)
    amount = float(operation.amounts(node, run).data)
    return LayerChange(layer, ChangedAtoms(cast("Run", run), node, layer, atoms[atoms >= 0], amount))

"""One layer whose atoms change: its activation, what stands instead of it, and the rows that mix both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.ir.program import Node
from bbilang.runtime.errors import error
from bbilang.runtime.fields import directions
from bbilang.runtime.fields.atoms import axes_of_atoms, masks_over, numpy_of, reduce_part
from bbilang.runtime.fields.groups import group_parts
from bbilang.runtime.interventions import along, stand_ins
from bbilang.runtime.interventions.intervention import Intervention

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.compiler.ir.model_description import LayerDescription
    from bbilang.runtime.execution.context import Run


@dataclass
class ChangedLayer:
    """A layer under an intervention. ``activation``: (input, *layer axes), as the network computed it."""

    run: Run
    change: Node
    name: str
    activation: Tensor
    random_directions: int = 0  # how many are known beside those of the field, after them

    @cached_property
    def layer(self) -> LayerDescription:
        return self.run.layer(self.name)

    @property
    def atom(self) -> str:
        return self.change.type.atom

    @property
    def frame(self) -> Node:
        """The node whose atoms change."""
        return self.change.inputs[0]

    @cached_property
    def operation(self) -> Intervention:
        operation = self.run.registry.operations[self.change.op]
        assert isinstance(operation, Intervention)
        return operation

    @property
    def seed(self) -> int:
        return int(self.run.program.setting("seed", 0))

    @cached_property
    def draws(self) -> int:
        repeats = self.operation.repeats(self.change)
        return repeats if repeats == 1 else min(repeats, len(self.difference))  # a dataset may have fewer examples

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The sizes of the axes that number the layer's atoms."""
        if self.atom == "group":
            return (len(self.of_groups),)
        if self.atom == directions.ATOM:
            return (self.units.shape[1] - self.random_directions,)
        layer = self.layer.as_map if self.atom == "spatial" else self.layer
        return tuple(layer.sizes[axis] for axis in axes_of_atoms(self.atom, self.layer))

    @property
    def atoms(self) -> int:
        return int(np.prod(self.sizes, dtype=np.int64))

    # --- what changes ----------------------------------------------------------------------------------------------

    @cached_property
    def difference(self) -> Tensor:
        """(draw, input, *layer axes), or 1 draw or input: what each entry is more than it was, if it changes."""
        outside = stand_ins.difference(self)
        own = self.operation.difference(self.change, self) if outside is None else outside
        return own.to(self.activation)

    @cached_property
    def of_groups(self) -> Tensor:
        """(group, input, *layer axes): the same for each group."""
        return self.operation.of_groups(self.change, self).to(self.activation)

    @cached_property
    def units(self) -> Tensor:
        """(input, direction, channel): the directions, at length 1, and random ones after them."""
        import torch

        return torch.cat([along.units(self), along.random_units(self, self.random_directions)], 1)

    @cached_property
    def steps(self) -> Tensor | None:
        """(direction, input, *layer axes): what is added along each direction; None where the component of the
        difference along it changes."""
        steps = self.operation.of_directions(self.change, self)
        return None if steps is None else steps.to(self.activation)

    @cached_property
    def parts(self) -> Tensor:
        """(group, input, *layer axes): the parts of the activation that the groups explain."""
        axis = self.frame.type.axis("group") or next(a for a in self.frame.type.states if "group" in a.components)
        total = self.run.value(_groups(self.frame)).values.sizes["group"]
        return group_parts(self.frame, self.layer, range(max(total, axis.size)), self.run)

    @property
    def positions(self) -> tuple[int, ...]:
        """The dimensions of (input, *layer axes) that are positions."""
        return tuple(1 + n for n, axis in enumerate(self.layer.axes) if axis != "channel")

    def spread_positions(self, what: str) -> tuple[int, ...]:
        """Return the dimensions of positions, of which there are several. Raises BbiError E540."""
        positions = self.positions
        if int(np.prod([self.activation.shape[n] for n in positions])) < 2:
            message = f"`{self.name}` has a single position, over which `{what}` would be taken"
            raise error("E540", message, "use `mean` with a dataset: `ablate(mean, source=photos)`")
        return positions

    # --- rows ------------------------------------------------------------------------------------------------------

    def rows(
        self,
        sets: Sequence[np.ndarray],
        inputs: Tensor,
        draws: Tensor,
        amounts: Tensor,
        likes: Sequence[np.ndarray] | None = None,
    ) -> Tensor:
        """Return the layer with sets of atoms changed, (row, *layer axes). inputs, draws, amounts (row,). likes: of
        directions, the sets whose norm of the change each row is scaled to."""
        own = self.activation[inputs]
        factor = amounts.to(own).view(-1, *[1] * (own.dim() - 1))
        if self.atom == "group":
            return own + factor * self._sum(self.of_groups, sets, inputs)
        if self.atom == directions.ATOM and self.steps is not None:
            return own + factor * self._along(sets, inputs, None, likes)
        difference = self.difference
        at = (draws if len(difference) > 1 else draws * 0, inputs if difference.shape[1] > 1 else inputs * 0)
        if self.atom == directions.ATOM:
            off = difference[at]
            if self.operation.keeps:
                return own + factor * (off - along.component(self, sets, inputs, off))
            return own + factor * self._along(sets, inputs, off, likes)
        mask = own.new_zeros(len(sets), self.atoms)
        for row, atoms in enumerate(sets):
            mask[row, atoms.tolist()] = 1
        changed = masks_over(mask, self.layer, self.atom)
        if self.operation.keeps:
            changed = 1 - changed
        return own + factor * changed * difference[at]

    def _along(
        self, sets: Sequence[np.ndarray], inputs: Tensor, off: Tensor | None, likes: Sequence[np.ndarray] | None
    ) -> Tensor:
        change = along.change(self, sets, inputs, off)
        if not self.random_directions or likes is None:
            return change
        return along.of_like_norm(change, along.change(self, likes, inputs, off))

    def _sum(self, parts: Tensor, sets: Sequence[np.ndarray], inputs: Tensor) -> Tensor:
        """Return the sum of the parts (atom, input, *layer axes) that are in each row's set."""
        chosen = self.activation.new_zeros(len(parts), len(sets))
        for row, atoms in enumerate(sets):
            chosen[atoms.tolist(), row] = 1
        each = parts[:, inputs.to(parts.device)] if parts.shape[1] > 1 else parts
        return (chosen.reshape(*chosen.shape, *[1] * (each.dim() - 2)) * each).sum(0)

    @cached_property
    def norms(self) -> np.ndarray:
        """(input, atom): the L2 norm of what changes with each atom, by which random atoms are matched."""
        inputs = len(self.activation)
        if self.atom == "group":
            norms = self.of_groups.flatten(2).norm(dim=2).T
        elif self.atom == directions.ATOM:
            norms = along.norms(self)
        else:
            squares = self.difference.square().mean(0)
            norms = reduce_part(squares, self.layer, self.atom, "sum").reshape(len(squares), -1).sqrt()
        return np.broadcast_to(numpy_of(norms), (inputs, norms.shape[1]))


def _groups(node: Node) -> Node:
    from bbilang.runtime.fields.groups import origin

    return origin(node)

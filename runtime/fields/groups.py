"""Groups as atoms: the factors of a factorization, and the inner products of groups with gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bbilang.compiler.contract import Activations, Scores
from bbilang.compiler.ir.model_description import LayerDescription
from bbilang.compiler.ir.program import Node, walk
from bbilang.runtime.fields.atoms import gather
from bbilang.runtime.fields.field import Field, Named

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class Groups(Field):
    """What `factorize` gives: a field over (input, states of the factorization, group) with the value |W_g| |H_g|, and
    the factors. A group that a state does not have is NaN throughout.

    spatial: W over (*apart, group, positions of the layer). channel: H over (*apart, group, channel). left_out: share
    of the squared norm of what is factorized that the groups leave out, over ``apart``: the input (not for
    `along=input`) and the states. ``apart`` comes first in every array.
    """

    spatial: Named | None = None
    channel: Named | None = None
    left_out: Named | None = None

    @property
    def states(self) -> tuple[str, ...]:
        """The axes of states on which the groups depend."""
        return tuple(d for d in self.values.dims if d not in ("input", "group"))


def origin(node: Node) -> Node:
    """The factorization that the groups of a field come from. Raises ValueError for a field without groups."""
    while node.op != "factorize":
        if not node.inputs:
            raise ValueError(f"`{node.op}` has no groups")
        node = node.inputs[0]
    return node


def positions_of(layer: LayerDescription) -> tuple[str, ...]:
    """The axes of a layer that are not channels, in its order."""
    return tuple(axis for axis in layer.axes if axis != "channel")


# --- inner products with gradients ------------------------------------------------------------------------------------


def reduce_groups(node: Node, layer: LayerDescription, slopes: Tensor, run: Any) -> Tensor:
    """<W_g outer H_g, slopes> for every group: (..., input, *layer axes) -> (..., input, *states, group).

    Where the factorization itself waits for gradients, the slopes as they are: `group_maps` goes on with them.
    """
    return slopes if waits(node, run) else contract(slopes, layer, run.value(origin(node)))


def slopes_of(contribution: Tensor, activation: Tensor) -> Tensor:
    """A method's contributions (..., input, *layer axes) per unit of activation, 0 where nothing is active: what a
    group's part of the activation is multiplied with. Of `linear` that is the gradient."""
    safe = activation.where(activation != 0, activation.new_ones(()))
    return (contribution / safe).where(activation != 0, contribution.new_zeros(()))


def group_maps(node: Node, run: Any, place: str = "output") -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """(layer -> (slot, input, *states, group), the names of the axes before `group`): what `run.maps` holds for a node
    of group atoms. A gradient is per unit of the group's value."""
    import torch

    maps: dict[str, np.ndarray] = run.maps(node, place)
    groups = run.value(origin(node))
    if waits(node, run):
        maps = {name: contract(torch.as_tensor(a), run.layer(name), groups).numpy() for name, a in maps.items()}
    if node.type.content == "gradient":
        sizes = groups.values.spread(("input", *groups.states, "group"))
        maps = {name: a / np.where(sizes > 0, sizes, np.nan) for name, a in maps.items()}
    return maps, ("slot", "input", *groups.states)


def group_parts(node: Node, layer: LayerDescription, atoms: Sequence[int], run: Any) -> Tensor:
    """W_g outer H_g of the groups with these numbers, (atom, input, *layer axes), for a factorization without states.

    With these as tangents, forward mode finds what `reduce_groups` finds with cotangents.
    """
    spatial, channel = factors(run.value(origin(node)), layer, run.adapter.device)
    index = list(map(int, atoms))
    parts = spatial[:, index].unsqueeze(-1) * channel[:, index].unsqueeze(2)  # input, atom, position, channel
    parts = parts.transpose(0, 1).reshape(len(index), -1, *_sizes(layer), channel.shape[-1])
    inputs = len(run.images)
    return parts.expand(-1, inputs, *parts.shape[2:]).movedim(-1, 2 + layer.axes.index("channel"))


def waits(node: Node, run: Any) -> bool:
    """True where the groups are found in gradients, which may be computed together with those asked for here."""
    return any(
        not isinstance(demand, Activations | Scores)
        for child in walk(*origin(node).children)
        for demand in run.registry.operations[child.op].demands(child, run.registry)
    )


def contract(entries: Tensor, layer: LayerDescription, groups: Groups) -> Tensor:
    """(..., input, *layer axes) -> (..., input, *states, group)."""
    import torch

    states = groups.states
    spatial, channel = factors(groups, layer, entries.device)
    channels = entries.dim() - len(layer.axes) + layer.axes.index("channel")
    flat = entries.movedim(channels, -1).float()
    flat = flat.reshape(
        *flat.shape[: flat.dim() - len(layer.axes)], -1, flat.shape[-1]
    )  # ..., input, position, channel
    inner = torch.einsum("...ipc,iac->...iap", flat, channel.expand(flat.shape[-3], *channel.shape[1:]))
    summed = (inner * spatial).sum(-1)  # ..., input, state and group
    return summed.reshape(*summed.shape[:-1], *(groups.values.sizes[d] for d in (*states, "group")))


def factors(groups: Groups, layer: LayerDescription, device: Any) -> tuple[Tensor, Tensor]:
    """W (input, state and group, position) and H (input or 1, state and group, channel), 0 where there is no group."""
    import torch

    rest = (*groups.states, "group")
    spatial = groups.spatial.ordered(("input", *rest, *positions_of(layer))).data
    channel = groups.channel.spread(("input", *rest, "channel"))
    count = int(np.prod([groups.values.sizes[d] for d in rest]))
    found = spatial.reshape(len(spatial), count, -1), channel.reshape(len(channel), count, -1)
    return tuple(torch.as_tensor(np.nan_to_num(a), dtype=torch.float32, device=device) for a in found)


def _sizes(layer: LayerDescription) -> tuple[int, ...]:
    return tuple(layer.sizes[axis] for axis in positions_of(layer))


def sizes_of_groups(frame: Field, node: Node, run: Any) -> Named:
    """|W_g| |H_g| of a frame's own groups."""
    groups = run.value(origin(node))
    values = groups.values.ordered((*(d for d in groups.values.dims if d != "group"), "group"))
    return gather(frame, {node.type.layers[0]: values.data}, {"": run.layer(node.type.layers[0])}, values.dims[:-1])


# --- directions -------------------------------------------------------------------------------------------------------


def directions(node: Node, run: Any) -> Named:
    """H of the groups of a field, over (*apart, group, channel): what an icon of a group maximizes."""
    return run.value(origin(node)).channel

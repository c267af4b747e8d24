"""Groups of channels as atoms: their factors W and H, and inner products of groups with gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import Activations, Run, Scores
from bbilang.compiler.ir.model_description import LayerDescription
from bbilang.compiler.ir.program import OUTPUT, Node, walk
from bbilang.runtime.fields.atoms import gather
from bbilang.runtime.fields.field import Field, Named

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass
class Groups(Field):
    """The result of `factorize`: a field of |W_g| |H_g| over (input, states of the factorization, group), and the
    factors. A group that a state does not have is NaN in every array.

    spatial: W over (*batch, group, positions of the layer). channel: H over (*batch, group, channel). left_out: the
    residual's share of the squared norm, over ``batch``: the input (not for `along=input`) and the states.
    """

    spatial: Named = field(kw_only=True)
    channel: Named = field(kw_only=True)
    left_out: Named = field(kw_only=True)

    @property
    def states(self) -> tuple[str, ...]:
        """The axes of states on which the groups depend."""
        return tuple(d for d in self.values.dims if d not in ("input", "group"))


def origin(node: Node) -> Node:
    """Return the `factorize` node that a field's groups come from. Raises ValueError for a field without groups."""
    while node.op != "factorize":
        if not node.inputs:
            raise ValueError(f"`{node.op}` has no groups")
        node = node.inputs[0]
    return node


def groups_of(node: Node, run: Run) -> Groups:
    """Return the groups of a field of group atoms, with their factors."""
    groups = run.value(origin(node))
    assert isinstance(groups, Groups)
    return groups


def positions_of(layer: LayerDescription) -> tuple[str, ...]:
    """Return the axes of a layer other than channels, in its order."""
    return tuple(axis for axis in layer.axes if axis != "channel")


# --- inner products with gradients ------------------------------------------------------------------------------------


def reduce_groups(node: Node, layer: LayerDescription, slopes: Tensor, run: Run) -> Tensor:
    """Compute <W_g outer H_g, slopes> for every group: (..., input, *layer axes) -> (..., input, *states, group).

    Where the factorization itself needs gradients, the slopes are returned unchanged: `group_maps` reduces them.
    """
    return slopes if needs_gradients(node, run) else contract(slopes, layer, groups_of(node, run))


def slopes_of(contribution: Tensor, activation: Tensor) -> Tensor:
    """Divide a method's contributions (..., input, *layer axes) by the activation; 0 where nothing is active.

    A group's attribution is the inner product of its part with these slopes; for `linear` they are the gradient."""
    safe = activation.where(activation != 0, activation.new_ones(()))
    return (contribution / safe).where(activation != 0, contribution.new_zeros(()))


def group_maps(node: Node, run: Run, target_layer: str = OUTPUT) -> tuple[Mapping[str, np.ndarray], tuple[str, ...]]:
    """Return `run.maps` of a node of group atoms: (layer -> (slot, input, *states, group), the axes before `group`).
    A gradient is per unit of the group's value."""
    import torch

    maps = run.maps(node, target_layer)
    groups = groups_of(node, run)
    if needs_gradients(node, run):
        maps = {name: contract(torch.as_tensor(a), run.layer(name), groups).numpy() for name, a in maps.items()}
    if node.type.content == "gradient":
        sizes = groups.values.spread(("input", *groups.states, "group"))
        maps = {name: a / np.where(sizes > 0, sizes, np.nan) for name, a in maps.items()}
    return maps, ("slot", "input", *groups.states)


def group_parts(node: Node, layer: LayerDescription, atoms: Sequence[int], run: Run) -> Tensor:
    """Return W_g outer H_g of some groups, (atom, input, *layer axes), for a factorization without states.

    The jvp of these tangents equals what `reduce_groups` makes of the vjp.
    """
    spatial, channel = factors(groups_of(node, run), layer, run.adapter.device)
    index = list(map(int, atoms))
    parts = spatial[:, index].unsqueeze(-1) * channel[:, index].unsqueeze(2)  # input, atom, position, channel
    parts = parts.transpose(0, 1).reshape(len(index), -1, *_sizes(layer), channel.shape[-1])
    inputs = len(run.images)
    return parts.expand(-1, inputs, *parts.shape[2:]).movedim(-1, 2 + layer.axes.index("channel"))


def unit_parts(node: Node, layer: LayerDescription, atoms: Sequence[int], run: Run) -> Tensor:
    """Return the parts at length 1, (atom, input, *layer axes)."""
    parts = group_parts(node, layer, atoms, run)
    norms = parts.flatten(2).norm(dim=2).clamp_min(1e-20)
    return parts / norms.reshape(*norms.shape, *(1 for _ in layer.axes))


def needs_gradients(node: Node, run: Run) -> bool:
    """Return whether the factorization is of gradients, which may be computed together with those of the node
    itself."""
    return any(
        not isinstance(demand, Activations | Scores)
        for child in walk(*origin(node).children)
        for demand in run.registry.operations[child.op].demands(child, run.registry)
    )


def contract(entries: Tensor, layer: LayerDescription, groups: Groups) -> Tensor:
    """Contract values with the groups: (..., input, *layer axes) -> (..., input, *states, group)."""
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


def factors(groups: Groups, layer: LayerDescription, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return W (input, state and group, position) and H (input or 1, state and group, channel), 0 for a missing
    group."""
    import torch

    rest = (*groups.states, "group")
    spatial = groups.spatial.ordered(("input", *rest, *positions_of(layer))).data
    channel = groups.channel.spread(("input", *rest, "channel"))
    count = int(np.prod([groups.values.sizes[d] for d in rest]))

    def filled(data: np.ndarray) -> Tensor:
        data = np.nan_to_num(data.reshape(len(data), count, -1))
        return torch.as_tensor(data, dtype=torch.float32, device=device)

    return filled(spatial), filled(channel)


def _sizes(layer: LayerDescription) -> tuple[int, ...]:
    return tuple(layer.sizes[axis] for axis in positions_of(layer))


def sizes_of_groups(frame: Field, node: Node, run: Run) -> Named:
    """Return |W_g| |H_g| of a frame's groups."""
    groups = groups_of(node, run)
    values = groups.values.ordered((*(d for d in groups.values.dims if d != "group"), "group"))
    return gather(frame, {node.type.layers[0]: values.data}, {"": run.layer(node.type.layers[0])}, values.dims[:-1])


# --- directions -------------------------------------------------------------------------------------------------------


def channel_factors(node: Node, run: Run) -> Named:
    """Return H of a field's groups, over (*batch, group, channel): the direction that a group's icon maximizes."""
    return groups_of(node, run).channel

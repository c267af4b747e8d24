"""Directions of a layer's channels as atoms: their vectors, and inner products of layers with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import Run
from bbilang.compiler.ir.model_description import LayerDescription
from bbilang.compiler.ir.program import Node
from bbilang.runtime.fields.atoms import as_maps, gather, numpy_of
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.fields.groups import groups_of, positions_of, unit_parts

if TYPE_CHECKING:
    from torch import Tensor

AXIS = "concept"
ATOM = "direction"
SMALLEST = 1e-20  # a shorter direction is none


@dataclass
class Directions(Field):
    """Atoms that are directions, before any content. vectors: over (concept, channel), and `input` where each input has
    its own."""

    vectors: Named = field(kw_only=True)

    def take(self, dim: str, index: Named) -> Directions:
        taken = super().take(dim, index)
        own = self.vectors.take(dim, index) if dim in self.vectors.dims else self.vectors
        return Directions(taken.type, taken.values, taken.coords, taken.names, notes=taken.notes, vectors=own)


def directions(node: Node, vectors: Named, names: Sequence[str], notes: tuple[str, ...]) -> Directions:
    """Make the field of a node's directions, whose vectors and names are known."""
    type = node.type
    coords = {axis.name: Named((axis.name,), np.arange(axis.size)) for axis in type.axes}
    values = Named(type.names, np.broadcast_to(np.float32(0), tuple(axis.size for axis in type.axes)))
    words = {AXIS: Named((AXIS,), np.array(names, object))}
    return Directions(type, values, coords, words, notes=notes, vectors=vectors)


def of(node: Node) -> bool:
    """Return whether a field's atoms are directions."""
    return node.type.atom == ATOM


def origin(node: Node) -> Node:
    """Return the node that makes the directions of a field. Raises ValueError for a field without directions."""
    made: Node | None = None
    before: Node | None = node
    while before is not None:
        made = before if before.type.atom == ATOM else made
        before = before.get("directions") or (before.inputs[0] if before.inputs else None)
    if made is None:
        raise ValueError(f"`{node.op}` has no directions")
    return made


def vectors(node: Node, run: Run) -> Named:
    """Return the vectors of all directions that a field's are chosen from."""
    made = run.value(run.shown(origin(node)))
    assert isinstance(made, Directions)
    return made.vectors


def vectors_of_atoms(node: Node, layer: LayerDescription, run: Run, asking: Node) -> Named:
    """Return the vectors of a field's atoms, over (concept, channel) and perhaps `input`: of directions and groups,
    their own; of a channel, the unit vector; of a position or token, its activation. ``asking``: the node that demands
    that."""
    atoms, axis = run.value(node), node.type.axes[-1].name
    if node.type.atom == ATOM:
        return vectors(node, run).take(AXIS, atoms.coords[AXIS])
    if node.type.atom == "group":
        return groups_of(node, run).channel.take("group", atoms.coords["group"]).renamed({axis: AXIS})
    size = layer.sizes["channel"]
    if node.type.atom == "channel":
        return Named((AXIS, "channel"), np.eye(size, dtype=np.float32)[atoms.coords["channel"].data])
    activation, axes = run.activation(asking, layer.name), layer.axes
    if node.type.atom == "spatial" and layer.grid:
        activation, axes = as_maps(activation, layer), ("channel", "y", "x")
    cube = Named(("input", *axes), numpy_of(activation))
    for name in (name for name in axes if name != "channel"):
        cube = cube.take(name, atoms.coords[name])
    return cube.renamed({axis: AXIS}).ordered(("input", AXIS, "channel"))


def norms(vectors: Named) -> Named:
    """Return the lengths of vectors."""
    at = vectors.dims.index("channel")
    return Named(vectors.dims[:at] + vectors.dims[at + 1 :], np.linalg.norm(vectors.data, axis=at))


# --- inner products ---------------------------------------------------------------------------------------------------


def inner(node: Node, layer: LayerDescription, cube: Tensor, run: Run, unit: bool = False) -> Tensor:
    """Return the inner product of the vector at every position with each direction, (..., input, *layer axes) ->
    (..., input, concept, position). ``unit``: with the direction at length 1."""
    import torch

    own = torch.as_tensor(vectors(node, run).spread(("input", AXIS, "channel")), dtype=torch.float32).to(cube.device)
    if unit:
        own = own / own.norm(dim=-1, keepdim=True).clamp_min(SMALLEST)
    channels = cube.dim() - len(layer.axes) + layer.axes.index("channel")
    flat = cube.movedim(channels, -1).float()
    flat = flat.reshape(*flat.shape[: flat.dim() - len(layer.axes)], -1, flat.shape[-1])
    return torch.einsum("...ipc,iac->...iap", flat, own.expand(flat.shape[-3], *own.shape[1:]))


def activations(frame: Field, node: Node, how: str, run: Run) -> Named:
    """Return a direction's activation, reduced over positions, for the frame's atoms: of a channel it is the
    channel's."""
    layer = run.layer(node.type.layers[0])
    products = inner(node, layer, run.activation(node, layer.name), run)
    match how:
        case "mean":
            values = products.mean(-1)
        case "max":
            values = products.amax(-1)
        case "norm":
            values = products.norm(dim=-1)
        case _:
            values = products.sum(-1)
    return gather(frame, {layer.name: values.cpu().numpy()}, {"": layer}, ("input",))


def combined(channels: Field, node: Node, run: Run) -> Field:
    """Return the numbers of all directions that a node's are chosen from, of those of the layer's channels for many
    examples, along the axis `input`."""
    own = vectors(node, run)
    if "input" in own.dims:
        own = own.take("input", Named((), np.array(0)))
    values = channels.values
    rest = tuple(d for d in values.dims if d not in ("input", "channel"))
    data = values.ordered(("input", *rest, "channel")).data @ own.ordered(("channel", AXIS)).data
    coords = {name: array for name, array in channels.coords.items() if name != "channel"}
    made = run.value(run.shown(origin(node)))
    coords |= {AXIS: made.coords[AXIS]}
    names = {**channels.names, **{name: array for name, array in made.names.items() if name == AXIS}}
    notes = tuple(dict.fromkeys((*channels.notes, *made.notes)))
    return Field(node.type, Named(("input", *rest, AXIS), data), coords, names, notes=notes)


def maps(node: Node, asking: Node, run: Run) -> Named:
    """Return the inner product of every position's vector with each direction, over (input, concept, *positions)."""
    layer = run.layer(node.type.layers[0])
    products = inner(node, layer, run.activation(asking, layer.name), run)
    positions = positions_of(layer)
    sizes = [layer.sizes[axis] for axis in positions]
    data = products.reshape(*products.shape[:2], *sizes).cpu().numpy()
    return Named(("input", AXIS, *positions), data).take(AXIS, run.value(node).coords[AXIS])


def derivatives(node: Node, layer: LayerDescription, gradient: Tensor, run: Run) -> Tensor:
    """Return the directional derivatives of targets, summed over positions: (..., input, *layer axes) -> (..., input,
    concept)."""
    return inner(node, layer, gradient, run).sum(-1)


def contributions(node: Node, layer: LayerDescription, activation: Tensor, slopes: Tensor, run: Run) -> Tensor:
    """Return the inner product of each direction's part of the activation with slopes, (..., input, *layer axes) ->
    (..., input, concept). The part is the orthogonal projection: what the activation has along the direction."""
    return (inner(node, layer, slopes, run, unit=True) * inner(node, layer, activation, run, unit=True)).sum(-1)


def made_parts(node: Node, layer: LayerDescription, run: Run) -> Tensor:
    """Return the derivative of the score of each group or direction of a target, (atom, input, *layer axes): its part
    at length 1 of a group, the vector at every position of a direction."""
    if node.type.atom == ATOM:
        return parts(node, layer, run)
    axis = run.value(node).type.axis("group")
    assert axis is not None
    return unit_parts(node, layer, range(axis.size), run)


def parts(node: Node, layer: LayerDescription, run: Run) -> Tensor:
    """Return what the activation is multiplied with to give each direction's activation, (concept, input, *layer
    axes)."""
    import torch

    own = torch.as_tensor(vectors(node, run).spread(("input", AXIS, "channel")), dtype=torch.float32)
    own = own.to(run.adapter.device).expand(len(run.images), *own.shape[1:]).movedim(1, 0)  # concept, input, channel
    sizes = tuple(layer.sizes[axis] for axis in positions_of(layer))
    spread = own.reshape(*own.shape[:2], *(1 for _ in sizes), own.shape[-1]).expand(*own.shape[:2], *sizes, -1)
    return spread.movedim(-1, 2 + layer.axes.index("channel"))

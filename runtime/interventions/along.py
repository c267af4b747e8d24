"""What changes along directions of a layer: the component of a difference in their span, or a step along each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bbilang.runtime.fields import directions

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.runtime.interventions.layer import ChangedLayer

DEPENDENT = 1e-6  # of the largest singular value: below, a direction adds nothing to the span of the others


def units(layer: ChangedLayer) -> Tensor:
    """Return the directions at length 1, (input, direction, channel)."""
    import torch

    vectors = directions.vectors(layer.frame, layer.run).spread(("input", directions.AXIS, "channel"))
    own = torch.as_tensor(vectors, dtype=torch.float64)
    own = own / own.norm(dim=-1, keepdim=True).clamp_min(directions.SMALLEST)
    return own.to(layer.activation).expand(len(layer.activation), *own.shape[1:])


def random_units(layer: ChangedLayer, count: int) -> Tensor:
    """Return random directions of length 1, the same for every input: (input, direction, channel)."""
    import torch

    channels = layer.layer.sizes["channel"]
    normal = np.random.default_rng([layer.seed, 9]).standard_normal((count, channels))
    own = torch.from_numpy(normal / np.linalg.norm(normal, axis=1, keepdims=True))
    return own.to(layer.activation).expand(len(layer.activation), *own.shape)


def change(layer: ChangedLayer, sets: Sequence[np.ndarray], inputs: Tensor, off: Tensor | None) -> Tensor:
    """Return what is added to each row (row, *layer axes) where a set of directions changes. off: the difference of
    each row, whose component in the set's span it is; None for a step along each direction."""
    import torch

    if off is not None:
        return component(layer, sets, inputs, off)
    steps = layer.steps
    assert steps is not None
    return torch.stack(
        [steps[atoms.tolist(), owner].sum(0) for atoms, owner in zip(sets, inputs.tolist(), strict=True)]
    )


def of_like_norm(change: Tensor, like: Tensor) -> Tensor:
    """Scale each row of a change (row, ...) to the norm of another."""
    norms = [part.expand(change.shape[0], *part.shape[1:]).flatten(1).norm(dim=1) for part in (change, like)]
    factor = norms[1] / norms[0].clamp_min(directions.SMALLEST)
    return change * factor.view(-1, *[1] * (change.dim() - 1))


def component(layer: ChangedLayer, sets: Sequence[np.ndarray], inputs: Tensor, cube: Tensor) -> Tensor:
    """Return the orthogonal projection of each row of a cube (row, *layer axes) on the span of its set of
    directions."""
    bases = _bases(layer, sets, inputs)
    channel = 1 + layer.layer.axes.index("channel")
    rows = cube.movedim(channel, -1)
    flat = rows.reshape(len(rows), -1, rows.shape[-1])
    return ((flat @ bases.mT) @ bases).view(rows.shape).movedim(-1, channel)


def _bases(layer: ChangedLayer, sets: Sequence[np.ndarray], inputs: Tensor) -> Tensor:
    """Return an orthonormal basis of the span of each row's set, (row, direction, channel), filled up with zeros:
    directions need not be orthogonal, and what two of them share goes once."""
    import torch

    known: dict[tuple[int, bytes], Tensor] = {}
    every = layer.units.double()
    result = layer.activation.new_zeros(len(sets), max((len(one) for one in sets), default=0), every.shape[-1])
    for row, (atoms, owner) in enumerate(zip(sets, inputs.tolist(), strict=True)):
        key = (owner, atoms.tobytes())
        if key not in known:
            _, sizes, right = torch.linalg.svd(every[owner, atoms.tolist()], full_matrices=False)
            known[key] = right[sizes > DEPENDENT * max(float(sizes.max()) if len(sizes) else 0.0, DEPENDENT)]
        basis = known[key]
        result[row, : len(basis)] = basis.to(result)
    return result


def norms(layer: ChangedLayer) -> Tensor:
    """Return the L2 norm of what changes with each direction alone, (input, direction)."""
    if layer.steps is not None:
        positions = layer.activation[0].numel() // layer.units.shape[-1]
        return layer.steps.flatten(2).norm(dim=2).T * positions**0.5
    channel = 2 + layer.layer.axes.index("channel")
    rows = layer.difference.movedim(channel, -1)
    rows = rows.reshape(*rows.shape[:2], -1, rows.shape[-1])  # draw, input, position, channel
    return (rows @ layer.units.mT).square().mean(0).sum(-2).sqrt()


def step(layer: ChangedLayer) -> Tensor:
    """Return each direction, as long as the root mean square over positions of the activation's component along it:
    (direction, input, *layer axes), the same at every position."""
    own = layer.layer
    rows = layer.activation.movedim(1 + own.axes.index("channel"), -1)
    rows = rows.reshape(len(rows), -1, rows.shape[-1])  # input, position, channel
    sizes = (rows @ layer.units.mT).square().mean(1).sqrt()  # input, direction
    vectors = (layer.units * sizes.unsqueeze(-1)).transpose(0, 1)
    shape = [own.sizes["channel"] if axis == "channel" else 1 for axis in own.axes]
    return vectors.reshape(*vectors.shape[:2], *shape)

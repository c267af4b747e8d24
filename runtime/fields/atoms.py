"""Reduce a layer's values to one number per atom, and gather the atoms of a field from whole layers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.ir.model_description import LayerDescription
from bbilang.compiler.ir.types import LAYER_AXES
from bbilang.runtime.fields.field import Field, Named

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor

MADE_AXES = {"group": ("group",), "direction": ("concept",)}  # of atoms that an operation makes


def axes_of_atoms(atom: str, layer: LayerDescription) -> tuple[str, ...]:
    """Return the axes of a layer that index its atoms: (y, x) for positions, (channel,) for channels."""
    layer = layer.as_map if atom == "spatial" else layer
    if atom in MADE_AXES:
        return MADE_AXES[atom]
    own = {"neuron": LAYER_AXES, "spatial": ("y", "x"), "pixel": ("y", "x")}
    return tuple(axis for axis in LAYER_AXES if axis in layer.axes and axis in own.get(atom, (atom,)))


def reduce_part(cube: Tensor, layer: LayerDescription, atom: str, how: str) -> Tensor:
    """Reduce each atom's part by `sum`, `mean`, `max` or `norm` (L2): (..., *layer axes) -> (..., *atom axes)."""
    leading = cube.dim() - len(layer.axes)
    if atom == "spatial" and layer.grid:
        patches = cube.narrow(leading, layer.prefix, math.prod(layer.grid))
        cube, layer = patches.unflatten(leading, layer.grid), layer.as_map
    keep = axes_of_atoms(atom, layer)
    rest = [a for a in layer.axes if a not in keep]
    moved = cube.permute([*range(leading), *(leading + layer.axes.index(a) for a in (*keep, *rest))])
    if not rest:
        return moved.abs() if how == "norm" else moved
    flat = moved.flatten(leading + len(keep))
    match how:
        case "sum":
            return flat.sum(-1)
        case "mean":
            return flat.mean(-1)
        case "max":
            return flat.amax(-1)
        case "norm":
            return flat.norm(dim=-1)
    raise ValueError(how)


def as_maps(cube: Tensor, layer: LayerDescription) -> Tensor:
    """Reshape (..., *layer axes) -> (..., channel, y, x); patches become positions; prefix tokens are dropped."""
    leading = cube.dim() - len(layer.axes)
    if layer.grid:
        cube = cube.narrow(leading, layer.prefix, math.prod(layer.grid)).unflatten(leading, layer.grid)
        layer = layer.as_map
    return cube.permute([*range(leading), *(leading + layer.axes.index(axis) for axis in ("channel", "y", "x"))])


def parts_of(cube: Tensor, layer: LayerDescription, atom: str, atoms: ArrayLike) -> Tensor:
    """Return the parts of some atoms: (input, *layer axes) -> (atom, input, *layer axes), zero elsewhere.

    atoms: indices over the flattened atom axes in order (y, x or channel ...), a numpy array.
    """
    import torch

    if atom == "spatial" and layer.grid:  # a patch is a token
        return parts_of(cube, layer, "token", np.asarray(atoms) + layer.prefix)
    keep = axes_of_atoms(atom, layer)
    sizes = [layer.sizes[axis] for axis in keep]
    numbers = torch.as_tensor(np.asarray(atoms), device=cube.device)
    mask = torch.zeros(len(numbers), *sizes, device=cube.device, dtype=cube.dtype)
    mask.view(len(numbers), -1).scatter_(1, numbers[:, None], 1)  # a whole layer is one atom, index 0
    order = [1 + keep.index(axis) for axis in layer.axes if axis in keep]
    mask = mask.permute(0, *order)
    for position, axis in enumerate(layer.axes):
        if axis not in keep:
            mask = mask.unsqueeze(1 + position)
    return mask.unsqueeze(1) * cube.unsqueeze(0)


def masks_over(masks: Tensor, layer: LayerDescription, atom: str, elsewhere: float = 0.0) -> Tensor:
    """Expand masks over a layer's atoms, (row, atom), to masks that broadcast over (row, *layer axes). ``elsewhere``:
    where there is no such atom, at tokens that are no patches."""
    keep = axes_of_atoms(atom, layer)
    if atom == "spatial" and layer.grid:
        whole = masks.new_full((len(masks), layer.sizes["token"]), elsewhere)
        whole[:, layer.prefix : layer.prefix + masks.shape[1]] = masks
        masks, keep = whole, ("token",)
    cube = masks.view(len(masks), *(layer.sizes[axis] for axis in keep))
    cube = cube.permute(0, *(1 + keep.index(axis) for axis in layer.axes if axis in keep))
    for position, axis in enumerate(layer.axes):
        if axis not in keep:
            cube = cube.unsqueeze(1 + position)
    return cube


def gather(
    frame: Field, maps: Mapping[str, np.ndarray], layers: Mapping[str, LayerDescription], leading: tuple[str, ...]
) -> Named:
    """Pick the numbers of a field's atoms from those of whole layers.

    frame: the field that has the atoms, their order and states. maps: layer -> array (*leading, *atom axes), where
    ``leading`` ends in `input`. Layers of different size are padded with NaN to the largest.
    """
    type = frame.type
    keep = axes_of_atoms(type.atom, next(iter(layers.values())))
    if len(type.layers) == 1 and "layer" not in frame.coords:
        stacked = Named((*leading, *keep), np.asarray(maps[type.layers[0]]))
    else:
        shapes = [maps[name].shape for name in type.layers]
        largest = tuple(map(max, zip(*shapes, strict=True)))
        padded = np.full((len(shapes), *largest), np.nan, dtype=np.float32)
        for number, name in enumerate(type.layers):
            padded[number][tuple(slice(size) for size in maps[name].shape)] = maps[name]
        stacked = Named(("layer", *leading, *keep), padded)
    # Axes that stay whole keep their name; the others are indexed under temporary names, so that a new axis with the
    # name of an old one (channel, after `top`) does not pair with it.
    picks = {axis: frame.coords[axis] for axis in keep if not is_whole(frame.coords[axis], axis, stacked.sizes[axis])}
    if "layer" in stacked.dims and not is_whole(frame.coords["layer"], "layer", stacked.sizes["layer"]):
        picks = {"layer": frame.coords["layer"], **picks}
    stacked = stacked.renamed({axis: f"{axis}*" for axis in picks})
    for axis, index in picks.items():
        stacked = stacked.take(f"{axis}*", index)
    missing = absent_atoms(frame)
    if missing is not None:
        dims = tuple(d for d in missing.dims if d in stacked.dims)
        mask = np.asarray(missing.data.all(tuple(i for i, d in enumerate(missing.dims) if d not in dims)))
        order = [d for d in stacked.dims]
        stacked = Named(stacked.dims, np.where(Named(dims, mask).spread(order), np.nan, stacked.data))
    return stacked


def absent_atoms(frame: Field) -> Named | None:
    """Return the mask of missing values (filtered out, or outside a smaller layer); None if there are none."""
    data = frame.values.data
    if data.strides and all(s == 0 for s in data.strides):  # one broadcast number: a plain substrate
        return None
    missing = np.isnan(data)
    return Named(frame.values.dims, missing) if missing.any() else None


def is_whole(index: Named, axis: str, size: int) -> bool:
    """Return whether an index is the identity: the axis from first to last."""
    return index.dims == (axis,) and len(index.data) == size and bool((index.data == np.arange(size)).all())


def numpy_of(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()

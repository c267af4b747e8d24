"""What `crop=` of `examples` shows of a picture: the receptive field of the position with the extreme value, or all of
it, shaded by the atom's own map; and where that position is."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from bbilang.compiler.contract import Again, Demand, Run, Scanned
from bbilang.compiler.ir.program import Node
from bbilang.runtime.errors import error
from bbilang.runtime.fields import directions
from bbilang.runtime.fields.field import SHADE, Field, Named
from bbilang.runtime.ops.datasets import every_position, pipes
from bbilang.runtime.ops.datasets.receptive import spans


def passes_again(node: Node, content: Node) -> tuple[Demand, ...]:
    """Return the passes that a crop needs after the scan."""
    layers = content.type.layers
    if node["crop"] == "field":
        return (Again(f"the receptive field of {layers[0]}", 0, layers),)
    if node["crop"] == "map" and not directions.of(node["each"].node):  # those of directions the scan keeps
        pictures = math.prod(axis.size for axis in node.type.axes)
        return (Again(f"maps of {layers[0]} for the examples shown", pictures, layers, content),)
    return ()


def cropped(node: Node, field: Field, run: Run, scanned: Scanned) -> Field:
    """Add to a field of examples what its pictures are cut to, or how they are shaded."""
    layer, crop = node["each"].node.type.layers[0], node["crop"]
    if crop != "none" and "at.y" not in field.coords:
        raise error("E238", f"`{layer}` has no positions to show", f"leave out `crop={crop}`")
    if crop == "field":
        return cut_to_field(field, layer, run, scanned)
    return shaded(node, field, run, scanned) if crop == "map" else field


def shaded(node: Node, field: Field, run: Run, scanned: Scanned) -> Field:
    """Add to a field of examples each atom's own map of each picture, as shares of the largest value of the atom's
    maps: `SHADE` over the axes of the examples, and y and x."""
    rows, each = field.coords["example"], node["each"].node
    axis = directions.AXIS if directions.of(each) else "channel"
    atoms_shown = np.broadcast_to(field.coords[axis].spread(rows.dims), rows.data.shape)
    there = (rows.data >= 0) & (atoms_shown >= 0)
    maps = np.asarray(_maps(each, rows.data[there], atoms_shown[there], run, scanned))
    maps = np.abs(maps) if node["sign"] == "magnitude" else np.maximum(-maps if node["sign"] == "negative" else maps, 0)
    shares = np.zeros((*rows.data.shape, *maps.shape[1:]), np.float32)
    shares[there] = maps
    atoms = (rows.dims.index("example"), -2, -1)
    largest = shares.max(atoms, keepdims=True)
    shares = np.divide(shares, largest, out=np.zeros_like(shares), where=largest > 0)
    of = "direction" if axis == directions.AXIS else "channel"
    ends = {"negative": "negative values of ", "magnitude": "the magnitude of "}.get(node["sign"], "")
    low = "is low" if node["sign"] != "negative" else "are low"
    note = (
        f"pictures are dimmed where {ends}the {of}'s map {low}: in full where it is as large as anywhere in the "
        f"{of}'s examples shown, grey where it is zero; a cell of the map is {_cell(run, maps.shape[1:])} pixels"
    )
    shade = Named((*rows.dims, f"{SHADE}.y", f"{SHADE}.x"), shares)
    return replace(field, coords={**field.coords, SHADE: shade}, notes=(*field.notes, note))


def _maps(each: Node, rows: np.ndarray, atoms: np.ndarray, run: Run, scanned: Scanned) -> np.ndarray:
    """Return the map (pair, y, x) of an atom for each pair of an example and an atom."""
    if not directions.of(each):
        return scanned.maps(pipes.content_of(each, run.registry), rows, atoms)
    (content,), (layer,) = pipes.everywhere(each, run.registry), each.type.layers
    sizes = run.layer(layer).as_map.sizes
    flat = every_position.products(each, content, rows, atoms, run, scanned)
    return flat.reshape(len(flat), sizes["y"], sizes["x"])


def _cell(run: Run, shape: tuple[int, ...]) -> str:
    tall, wide = run.adapter.description.input_size
    return f"{tall / shape[0]:.3g} × {wide / shape[1]:.3g}"


def cut_to_field(field: Field, layer: str, run: Run, scanned: Scanned) -> Field:
    """Add to a field of examples what its pictures are cut to: the receptive field where the extreme value is."""
    coords, notes = {}, []
    sizes = []
    for span, at, ends in zip(
        spans(run, scanned, layer), ("at.y", "at.x"), (("top", "bottom"), ("left", "right")), strict=True
    ):
        positions = field.coords[at]
        low, high = span.of(positions.data)
        gone = positions.data < 0
        for name, values in zip(ends, (low, high), strict=True):
            coords[f"cut.{name}"] = Named(positions.dims, np.where(gone, -1, values))
        sizes.append((int((high - low)[~gone].max(initial=0)), span.size))
    if all(own == whole for own, whole in sizes):
        notes.append(f"a position of {layer} depends on the whole picture, so nothing is cut off")
    else:
        (deep, tall), (across, wide) = sizes
        where = f"up to {deep} × {across} of {tall} × {wide} pixels, less at the border"
        notes.append(f"pictures are cut to what the position with the extreme value depends on: {where}")
    return replace(field, coords={**field.coords, **coords}, notes=(*field.notes, *notes))


def extreme_at(node: Node, field: Field, run: Run, scanned: Scanned) -> dict[str, Named]:
    """Return the position (y, x) of the extreme value of each atom in each of its examples, by name of the axis."""
    content = pipes.content_of(node["each"].node, run.registry)
    (layer,) = content.type.layers
    sizes = run.layer(layer).as_map.sizes
    if not {"y", "x"} <= set(sizes):
        return {}
    if node.get("sign") == "magnitude":
        low, high = (np.asarray(scanned.summary(content, name)) for name in ("argmin", "argmax"))
        flat = np.where(below(scanned, content), low, high)
    else:
        flat = scanned.summary(content, "argmin" if node.get("sign") == "negative" else "argmax")
    return _positions(flat, field.coords["example"], field.coords["channel"], sizes["x"], scanned)


def inner_extreme_at(node: Node, field: Field, run: Run, scanned: Scanned) -> dict[str, Named]:
    """Return the position (y, x) of the extreme inner product with each direction in each of its examples."""
    each = node["each"].node
    (content,), (layer,) = pipes.everywhere(each, run.registry), each.type.layers
    sizes = run.layer(layer).as_map.sizes
    if not {"y", "x"} <= set(sizes):
        return {}
    _, flat = every_position.extremes(each, content, node["sign"], run, scanned)
    return _positions(flat, field.coords["example"], field.coords[directions.AXIS], sizes["x"], scanned)


def _positions(flat: np.ndarray, rows: Named, atoms: Named, wide: int, scanned: Scanned) -> dict[str, Named]:
    """Return (y, x) of positions (example, atom) that are numbered row by row, for the rows that each atom has."""
    numbers = np.broadcast_to(atoms.spread(rows.dims), rows.data.shape)
    at = np.searchsorted(scanned.rows, np.maximum(rows.data, 0))
    y, x = np.divmod(flat[np.minimum(at, len(flat) - 1), np.maximum(numbers, 0)], wide)
    gone = rows.data < 0
    return {name: Named(rows.dims, np.where(gone, -1, values)) for name, values in (("at.y", y), ("at.x", x))}


def below(scanned: Scanned, content: Node) -> np.ndarray:
    """Return where (example, channel) the value of largest magnitude over positions is the smallest one."""
    low, high = (np.asarray(scanned.summary(content, name)) for name in ("min", "max"))
    return np.asarray(-low > high)

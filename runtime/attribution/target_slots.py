"""What a target is made of while running: classes of the output or atoms of a later layer, by number; and the cotangent
that each starts a backward pass with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bbilang.compiler.ir.program import OUTPUT, Node
from bbilang.compiler.optimize.target_slots import CHAIN
from bbilang.runtime.fields.atoms import kept_axes, parts_of
from bbilang.runtime.fields.field import TERM, Field, Named

Key = tuple[Any, int]  # kind (a unit of scores, or a kind of atom), number


@dataclass(frozen=True)
class Keyed:
    """The numbers of a target's classes or atoms, (input, ..., term); negative where there is none."""

    kind: Any
    numbers: Named

    @property
    def combined(self) -> bool:
        """True where numbers stand for sums and differences of classes, by their place in ``run.combined``."""
        return isinstance(self.kind, tuple) and self.kind[0] == "combined"

    def of(self, row: int) -> list[Key]:
        """Those of one input, each once, in order of appearance."""
        found = dict.fromkeys(self.numbers.data[row].ravel().tolist())
        return [(self.kind, number) for number in found if number >= 0]

    @cached_property
    def slots(self) -> dict[tuple[int, Key], int]:
        """(input, class or atom) -> its place among those of that input."""
        rows = range(len(self.numbers.data))
        return {(row, key): slot for row in rows for slot, key in enumerate(self.of(row))}

    @cached_property
    def places(self) -> Named:
        """(input, ..., term) -> the slot of each class or atom; -1 for none."""
        found = np.full(self.numbers.data.shape, -1, np.int64)
        for position in np.ndindex(found.shape):
            found[position] = self.slots.get((position[0], (self.kind, int(self.numbers.data[position]))), -1)
        return Named(self.numbers.dims, found)

    @cached_property
    def count(self) -> int:
        """Of the input that has the most."""
        return max(self.slots.values(), default=-1) + 1


def keyed(run: Any, target: Node, target_layer: str, combined: bool = False) -> Keyed:
    """What a target is made of at a place: `output`, or one of the layers that its atoms are of. ``combined``: sums and
    differences of classes are scores of their own, with numbers of their own."""
    field: Field = run.value(target)
    count = len(run.images)
    if target_layer == OUTPUT or target_layer.startswith(CHAIN):
        index, kind = field.index, target_layer if target_layer.startswith(CHAIN) else field.type.unit
        assert index is not None
        dims = tuple(d for d in index.dims if d not in ("input", TERM))
        full = ("input", *dims, TERM)
        shape = [count, *(index.sizes[d] for d in dims), index.sizes[TERM]]
        weight = field.weight
        if combined and weight is not None and (shape[-1] > 1 or bool((weight.data != 1).any())):
            own = ("combined", target.digest, kind)
            table = [np.broadcast_to(a.spread(full), shape).reshape(count, -1, shape[-1]) for a in (index, weight)]
            run.combined[target.digest] = (table[0], table[1])
            number = np.where((table[0] < 0).any(-1), -1, np.arange(table[0].shape[1]))
            return Keyed(own, Named(full, number.reshape(*shape[:-1], 1)))
        return Keyed(kind, Named(full, np.broadcast_to(index.spread(full), shape)))
    numbers = atom_numbers(field, run.layer(target_layer), target_layer)
    dims = tuple(d for d in numbers.dims if d != "input")
    full = ("input", *dims)
    shape = [count, *(numbers.sizes[d] for d in dims)]
    data = np.broadcast_to(numbers.spread(full), shape)[..., None]
    if target.type.atom == "group":
        run.shared.group_targets[target.digest] = target
    return Keyed(atom_kind(target), Named((*full, TERM), data))


def atom_kind(node: Node) -> tuple[str, ...]:
    """Equal for atoms whose scores are the same function of the layer's activation."""
    return ("atom", node.type.atom, *((node.digest,) if node.type.atom == "group" else ()))


def atom_numbers(field: Field, layer: Any, name: str) -> Named:
    """The number of each atom of a field among those of one layer, counted over the kept axes in order; -1 for atoms of
    other layers and where there is none."""
    keep = ("group",) if field.type.atom == "group" else kept_axes(field.type.atom, layer)
    arrays = [field.coords[axis] for axis in keep]
    owner = field.coords.get("layer")
    dims = tuple(dict.fromkeys(d for a in [*arrays, *([owner] if owner is not None else [])] for d in a.dims))
    sizes = {d: s for a in [*arrays, *([owner] if owner is not None else [])] for d, s in a.sizes.items()}
    shape = [sizes[d] for d in dims]
    number, absent = np.zeros(shape, np.int64), np.zeros(shape, bool)
    for axis, array in zip(keep, arrays, strict=True):
        size = int(array.data.max(initial=0)) + 1 if axis == "group" else layer.every_size[axis]
        position = np.broadcast_to(array.spread(dims), shape)
        absent |= (position < 0) | (position >= size)
        number = number * size + position
    if owner is not None:
        absent |= np.broadcast_to(owner.spread(dims), shape) != field.type.layers.index(name)
    return Named(dims, np.where(absent, -1, number))


def cotangents(run: Any, target_layer: str, keys: list[list[Key | None]], value: Any, rows: Any = None) -> Any:
    """d target / d (scores or activation), (slot, row, *place axes).

    keys: slot -> input -> what the slot stands for there. value: the scores (row, class) or the later layer's
    activation (row, *layer axes) where the derivative is taken. rows: the input that each row belongs to; the row
    itself unless said.
    """
    import torch

    from bbilang.runtime.models.score_output import probability_slope

    owners = list(range(len(value))) if rows is None else [int(r) for r in rows]
    found = torch.zeros(len(keys), *value.shape, device=value.device, dtype=value.dtype)
    for slot, by_input in enumerate(keys):
        for row, owner in enumerate(owners):
            key = by_input[owner]
            if key is None:
                continue
            kind, number = key
            if kind == target_layer:  # the score of a chain, by its number
                found[slot, row, number] = 1
            elif kind[0] == "combined":
                for index, factor in zip(*(table[owner, number] for table in run.combined[kind[1]]), strict=True):
                    one = cotangents(run, target_layer, [[(kind[2], int(index))]], value[row : row + 1], [0])
                    found[slot, row] += float(factor) * one[0, 0]
            elif target_layer != OUTPUT:
                found[slot, row] = atom_cotangent(run, target_layer, kind, number, value[row : row + 1], owner)[0]
            elif kind == "probability":
                found[slot, row] = probability_slope(value[row].double(), number, run.kind).to(found)
            else:
                found[slot, row, number] = 1
    return found


def single_scores(target_layer: str, keys: list[list[Key | None]]) -> np.ndarray | None:
    """(slot, input) -> the class, -1 for none, where every slot stands for the score of one class: its cotangent is 1
    there and 0 elsewhere. None where some slot stands for anything else."""
    kinds = {key[0] for by_input in keys for key in by_input if key is not None}
    if target_layer != OUTPUT or any(not isinstance(kind, str) or kind == "probability" for kind in kinds):
        return None
    return np.array([[-1 if key is None else key[1] for key in by_input] for by_input in keys], np.int64)


def atom_cotangent(run: Any, target_layer: str, kind: tuple[str, ...], number: int, value: Any, owner: int) -> Any:
    """d score / d activation for one atom of a later layer, (1, *layer axes).

    A channel's score is the sum over its positions, a neuron's its activation. That of a position, token or whole layer
    is the L2 norm of its part, with derivative part / |part| (0 where the part is 0); that of a group is the inner
    product of part / |part| with the activation, which is the part's norm where groups do not overlap.
    """
    layer, atom = run.layer(target_layer), kind[1]
    if atom == "group":
        part = run.group_parts(kind[2], layer)[number, owner : owner + 1]
        return part / part.norm().clamp_min(1e-20)
    if atom in ("channel", "neuron"):
        return parts_of(value.new_ones(()).expand_as(value), layer, atom, [number])[0]
    part = parts_of(value, layer, atom, [number])[0]
    return part / part.norm().clamp_min(1e-20)

"""Resolve targets to classes or atoms at run time, and make the cotangents of their vjps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from bbilang.compiler.ir.program import OUTPUT, Node
from bbilang.compiler.ir.types import MADE
from bbilang.compiler.optimize.target_slots import CHAIN
from bbilang.runtime.fields.atoms import axes_of_atoms, parts_of
from bbilang.runtime.fields.field import TERM, Field, Named

if TYPE_CHECKING:
    from torch import Tensor

    from bbilang.compiler.contract import Run as KernelRun
    from bbilang.compiler.ir.model_description import LayerDescription
    from bbilang.runtime.execution.context import Run

Kind: TypeAlias = "str | tuple[str, ...]"
"""What a key counts: the unit of classes' scores; ("atom", kind of atom, digest of a target of groups); a chain; or
("combined", digest of the target, kind), sums and differences of classes."""
Key: TypeAlias = tuple[Kind, int]  # and the number of the class, atom or sum


@dataclass(frozen=True)
class TargetKeys:
    """The keys of a target's classes or atoms: ``numbers`` (input, ..., term), negative where there is none."""

    kind: Kind
    numbers: Named

    @property
    def combined(self) -> bool:
        """Whether the numbers are rows of ``run.combined``: sums and differences of classes."""
        return not isinstance(self.kind, str) and self.kind[0] == "combined"

    def of(self, row: int) -> list[Key]:
        """Return the keys of one input, each once, in order of appearance."""
        numbers = dict.fromkeys(self.numbers.data[row].ravel().tolist())
        return [(self.kind, number) for number in numbers if number >= 0]

    @cached_property
    def slots(self) -> dict[tuple[int, Key], int]:
        """The number of each (input, key) among the keys of that input."""
        rows = range(len(self.numbers.data))
        return {(row, key): slot for row in rows for slot, key in enumerate(self.of(row))}

    @cached_property
    def slot_numbers(self) -> Named:
        """The slot of each class or atom, (input, ..., term); -1 for none."""
        slots = np.full(self.numbers.data.shape, -1, np.int64)
        for index in np.ndindex(slots.shape):
            slots[index] = self.slots.get((index[0], (self.kind, int(self.numbers.data[index]))), -1)
        return Named(self.numbers.dims, slots)

    @cached_property
    def count(self) -> int:
        """The number of slots of the input that has the most."""
        return max(self.slots.values(), default=-1) + 1


def keys_of(run: Run, target: Node, target_layer: str, combined: bool = False) -> TargetKeys:
    """Return the keys of a target at the output or at one of the layers of its atoms.

    combined: treat sums and differences of classes as separate scores, with their own numbers.
    """
    if target_layer == OUTPUT or target_layer.startswith(CHAIN):
        keys = class_keys(run, target, target_layer)
        return (_combined_keys(run, target, keys) if combined else None) or keys
    numbers = atom_numbers(run.value(target), run.layer(target_layer), target_layer)
    dims = tuple(d for d in numbers.dims if d != "input")
    full = ("input", *dims)
    shape = [len(run.images), *(numbers.sizes[d] for d in dims)]
    data = np.broadcast_to(numbers.spread(full), shape)[..., None]
    if target.type.atom in MADE:
        run.shared.made_targets[target.digest] = target
    return TargetKeys(atom_kind(target), Named((*full, TERM), data))


def class_keys(run: KernelRun, target: Node, target_layer: str = OUTPUT) -> TargetKeys:
    """Return the keys of a target that consists of classes."""
    field: Field = run.value(target)
    assert field.index is not None
    kind = target_layer if target_layer.startswith(CHAIN) else field.type.unit
    return TargetKeys(kind, _over_inputs(field.index, field.index, len(run.images)))


def _over_inputs(array: Named, index: Named, inputs: int) -> Named:
    """Return the array over the axes of a target's index, (input, ..., term)."""
    dims = tuple(d for d in index.dims if d not in ("input", TERM))
    full = ("input", *dims, TERM)
    shape = [inputs, *(index.sizes[d] for d in dims), index.sizes[TERM]]
    return Named(full, np.broadcast_to(array.spread(full), shape))


def _combined_keys(run: Run, target: Node, keys: TargetKeys) -> TargetKeys | None:
    """Return one key for each sum or difference of classes, and add its classes and weights to ``run.combined``; None
    for a target of single classes."""
    field = run.value(target)
    index, weight = field.index, field.weight
    assert index is not None
    terms = keys.numbers.sizes[TERM]
    if weight is None or (terms == 1 and not bool((weight.data != 1).any())):
        return None
    inputs = len(run.images)
    classes, weights = (_over_inputs(array, index, inputs).data.reshape(inputs, -1, terms) for array in (index, weight))
    run.combined[target.digest] = (classes, weights)
    number = np.where((classes < 0).any(-1), -1, np.arange(classes.shape[1]))
    assert isinstance(keys.kind, str)
    kind = ("combined", target.digest, keys.kind)
    return TargetKeys(kind, Named(keys.numbers.dims, number.reshape(*keys.numbers.data.shape[:-1], 1)))


def atom_kind(node: Node) -> tuple[str, ...]:
    """Return the kind of an atom: equal for atoms whose scores are the same function of the layer's activation."""
    return ("atom", node.type.atom, *((node.digest,) if node.type.atom in MADE else ()))


def atom_numbers(field: Field, layer: LayerDescription, name: str) -> Named:
    """Return the number of each atom of a field among those of one layer, counted over the atom axes in order; -1 for
    atoms of other layers and for missing atoms."""
    keep = axes_of_atoms(field.type.atom, layer)
    arrays = [field.coords[axis] for axis in keep]
    owner = field.coords.get("layer")
    dims = tuple(dict.fromkeys(d for a in [*arrays, *([owner] if owner is not None else [])] for d in a.dims))
    sizes = {d: s for a in [*arrays, *([owner] if owner is not None else [])] for d, s in a.sizes.items()}
    shape = [sizes[d] for d in dims]
    number, absent = np.zeros(shape, np.int64), np.zeros(shape, bool)
    for axis, array in zip(keep, arrays, strict=True):
        size = int(array.data.max(initial=0)) + 1 if field.type.atom in MADE else layer.every_size[axis]
        position = np.broadcast_to(array.spread(dims), shape)
        absent |= (position < 0) | (position >= size)
        number = number * size + position
    if owner is not None:
        absent |= np.broadcast_to(owner.spread(dims), shape) != field.type.layers.index(name)
    return Named(dims, np.where(absent, -1, number))


def cotangents(
    run: Run,
    target_layer: str,
    keys: Sequence[Sequence[Key | None]],
    value: Tensor,
    rows: Sequence[int] | Tensor | None = None,
) -> Tensor:
    """Return d target / d (scores or activation), (slot, row, *target axes).

    keys: slot -> input -> the key of the slot. value: the scores (row, class) or the later layer's activation (row,
    *layer axes) where the derivative is taken. rows: the input that each row belongs to; the row itself by default.
    """
    import torch

    owners = list(range(len(value))) if rows is None else [int(r) for r in rows]
    result = torch.zeros(len(keys), *value.shape, device=value.device, dtype=value.dtype)
    for slot, by_input in enumerate(keys):
        for row, owner in enumerate(owners):
            key = by_input[owner]
            if key is not None:
                _set_cotangent(run, target_layer, key, value, row, owner, result[slot, row])
    return result


def _set_cotangent(run: Run, target_layer: str, key: Key, value: Tensor, row: int, owner: int, result: Tensor) -> None:
    """Write the cotangent of one key at one row of ``value`` into ``result`` (*target axes)."""
    from bbilang.runtime.models.score_output import probability_slope

    kind, number = key
    if kind == target_layer:  # the score of a chain, by its number
        result[number] = 1
    elif kind[0] == "combined":
        classes, weights = run.combined[kind[1]]
        for index, factor in zip(classes[owner, number], weights[owner, number], strict=True):
            one = cotangents(run, target_layer, [[(kind[2], int(index))]], value[row : row + 1], [0])
            result += float(factor) * one[0, 0]
    elif target_layer != OUTPUT:
        assert not isinstance(kind, str)
        result.copy_(atom_cotangent(run, target_layer, kind, number, value[row : row + 1], owner)[0])
    elif kind == "probability":
        result.copy_(probability_slope(value[row].double(), number, run.kind))
    else:
        result[number] = 1


def single_scores(target_layer: str, keys: Sequence[Sequence[Key | None]]) -> np.ndarray | None:
    """Return the class of each slot, (slot, input), -1 for none, if every slot is the score of one class, whose
    cotangent is one-hot. None if some slot is anything else."""
    kinds = {key[0] for by_input in keys for key in by_input if key is not None}
    if target_layer != OUTPUT or any(not isinstance(kind, str) or kind == "probability" for kind in kinds):
        return None
    return np.array([[-1 if key is None else key[1] for key in by_input] for by_input in keys], np.int64)


def atom_cotangent(
    run: Run, target_layer: str, kind: tuple[str, ...], number: int, value: Tensor, owner: int
) -> Tensor:
    """Return d score / d activation for one atom of a later layer, (1, *layer axes).

    A channel's score is the sum over its positions, a neuron's its activation. That of a position, token or whole layer
    is the L2 norm of its part, with derivative part / |part| (0 where the part is 0); that of a group is the inner
    product of part / |part| with the activation, which is the part's norm where groups do not overlap; that of a
    direction the inner product with it, summed over positions.
    """
    layer, atom = run.layer(target_layer), kind[1]
    if atom in MADE:
        return run.made_parts(kind[2], layer)[number, owner : owner + 1]
    if atom in ("channel", "neuron"):
        return parts_of(value.new_ones(()).expand_as(value), layer, atom, [number])[0]
    part = parts_of(value, layer, atom, [number])[0]
    return part / part.norm().clamp_min(1e-20)

"""Fields of checkpoints of one network, one beside the other along the axis `model`."""

from __future__ import annotations

import numpy as np

from bbilang.compiler.contract import Arguments, Operation, Registry, Run
from bbilang.compiler.ir.models import CHECKPOINT, CHECKPOINT_AXIS, STACK
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.errors import error
from bbilang.runtime.fields.field import ABSENT, Field, Named, absent_like, union_of


class Checkpoints(Operation):
    """The fields of all checkpoints of a network, with an axis `model`. What is the same in all of them, as the atoms
    of a layer, has no such axis."""

    name = STACK
    head = True

    def phrase(self, node: Node, registry: Registry) -> str:
        return f"of {len(node.inputs)} checkpoints"

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        names = Named((CHECKPOINT_AXIS,), np.array(node["names"], object))
        first = inputs[0]
        coords = {name: _joined([one.coords[name] for one in inputs]) for name in first.coords}
        _check(node, coords)
        labels = {name: _joined([one.names[name] for one in inputs]) for name in first.names}
        values = _stacked([one.values for one in inputs])
        shares = tuple((words, _joined([one.shares[number][1] for one in inputs]), note)
                       for number, (words, _, note) in enumerate(first.shares)
                       if all(len(one.shares) > number for one in inputs))  # fmt: skip
        beside = {name: _stacked([one.beside[name] for one in inputs]) for name in first.beside
                  if all(name in one.beside for one in inputs)}  # fmt: skip
        return Field(
            node.type,
            values,
            {**coords, CHECKPOINT_AXIS: Named((CHECKPOINT_AXIS,), np.arange(len(inputs)))},
            {**labels, CHECKPOINT_AXIS: names},
            notes=_notes(inputs, node["names"]),
            shares=shares,
            columns={name: _joined([one.columns[name] for one in inputs]) for name in first.columns},
            beside=beside,
        )


class Checkpoint(Operation):
    """One checkpoint of a field of several: the atoms that were chosen for all, as those of its network."""

    name = CHECKPOINT
    head = True

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        return field.without(CHECKPOINT_AXIS)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (field,) = inputs
        taken = field.take(CHECKPOINT_AXIS, Named((), np.array(node["position"])))
        for names in (taken.coords, taken.names):
            names.pop(CHECKPOINT_AXIS, None)
        return taken.with_values(taken.values, node.type)


def _joined(arrays: list[Named]) -> Named:
    """Return what all checkpoints have alike as it is, and anything else stacked."""
    first = arrays[0]
    same = all(one.dims == first.dims and np.array_equal(one.data, first.data, _floats(first)) for one in arrays[1:])
    return first if same else _stacked(arrays)


def _floats(array: Named) -> bool:
    return array.data.dtype.kind == "f"


def _stacked(arrays: list[Named]) -> Named:
    """Return arrays along `model`. Where one is shorter along an axis, as where fewer examples could be read, the rest
    is missing."""
    dims = union_of(arrays)
    sizes = {dim: max(one.sizes.get(dim, 1) for one in arrays) for dim in dims}
    full = []
    for one in arrays:
        short = [(0, sizes[dim] - size) for dim, size in zip(one.dims, one.data.shape, strict=True)]
        data = one.data
        if any(after for _, after in short):
            data = np.pad(data, short, constant_values=absent_like(data))
        full.append(np.broadcast_to(Named(one.dims, data).spread(dims), [sizes[dim] for dim in dims]))
    return Named((CHECKPOINT_AXIS, *dims), np.stack(full))


def _check(node: Node, coords: dict[str, Named]) -> None:
    """Raise BbiError E342 where checkpoints have different atoms along an axis that all share."""
    for axis in node.type.axes:
        own = [coords[name] for name in axis.components if name in coords]
        if any(CHECKPOINT_AXIS in one.dims for one in own) and CHECKPOINT_AXIS not in axis.varies:
            known = [one for one in own if CHECKPOINT_AXIS in one.dims]
            if any((one.data != ABSENT).any() for one in known):
                help = "choose atoms of all checkpoints together: `top(8)`, or name them by their numbers"
                raise error("E342", f"the checkpoints have different atoms along `{axis.name}`", help)


def _notes(inputs: tuple[Field, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the notes of all checkpoints once, and those of one of them with its name."""
    every = [note for one in inputs for note in one.notes]
    common = [note for note in dict.fromkeys(every) if all(note in one.notes for one in inputs)]
    own = [f"{name}: {note}" for one, name in zip(inputs, names, strict=True) for note in one.notes
           if note not in common]  # fmt: skip
    return (*common, *own)


OPERATIONS = (Checkpoints(), Checkpoint())

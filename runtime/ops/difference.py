"""`difference`: first minus second, and what changed from the first checkpoint of a network to later ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bbilang.compiler.contract import Arguments, Fail, Operation, Parameter, Run, Writer, Written
from bbilang.compiler.ir.models import CHECKPOINT_AXIS, SINCE
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import DIFFERENCE, Axis, FieldType
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.ops.arithmetic import AXIS, CONTENT_AXES, spend

VALUES, SIDES = "values", "sides"


class Difference(Operation):
    """First minus second, along an axis of size 2: evidence for one class and against the other. Along `model`, each
    checkpoint minus the first: what changed since.

    `of=sides` says which numbers changed sides instead: 1 where one is above zero and was not in the first checkpoint,
    -1 where it was and is no more, 0 where it is on the same side. With `across` these are examples: those that a
    network gets right by now, or wrong.
    """

    name = "difference"
    pure = True
    parameters = (
        AXIS,
        Parameter("of", "word", "of `model`: `values`, or which of them changed sides of zero", VALUES,
                  choices=(VALUES, SIDES)),
    )  # fmt: skip
    example = (
        'block6a.expand.channel | attribute([output["tabby"], output["tiger cat"]])\n'
        "    | difference(class) | both(4) | present(bars)"
    )

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        axis = field.axis(arguments["axis"])
        assert axis is not None
        if axis.name == CHECKPOINT_AXIS:
            return _since_the_first(field, axis, arguments["of"])
        if arguments["of"] != VALUES:
            raise Fail("E231", "which side of zero numbers are on is compared along `model`",
                       "leave out `of=sides`", argument="of")  # fmt: skip
        if axis.size != 2 or not axis.exact:
            raise Fail("E231", f"a difference is of two, and `{axis.name}` has {axis.size}", argument="axis")
        return spend(field, axis.name, DIFFERENCE.removesuffix(" over "), signed=True)

    def written(self, node: Node, writer: Writer) -> Written | None:
        return (f"{self.name}({node['axis']})",) if node["axis"] in CONTENT_AXES else None

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (field,) = inputs
        axis = node["axis"]
        if axis == CHECKPOINT_AXIS:
            return _changes(node, field)
        first, second = (field.values.take(axis, Named((), np.array(i))) for i in (0, 1))
        result = field.with_values(Named(first.dims, first.data - second.data), node.type)
        names = field.names.get(axis)
        if names is None and axis == "layer":
            names = Named((axis,), np.array(node.inputs[0].type.layers, object))
        result = result.drop(axis)
        if names is not None and axis in names.dims:
            pair = [names.take(axis, Named((), np.array(i))) for i in (0, 1)]
            words = np.empty(pair[0].data.shape, dtype=object)
            for position in np.ndindex(words.shape):
                words[position] = " − ".join(_grouped(str(array.data[position])) for array in pair)
            result.names[axis] = Named(pair[0].dims, words)
        result.type = node.type
        return result


def _since_the_first(field: FieldType, axis: Axis, of: str) -> FieldType:
    """Return the type of what changed since the first checkpoint. Raises `Fail`."""
    if axis.size < 2:
        raise Fail("E231", "a difference is of two, and this is one checkpoint", argument="axis")
    if (varying := field.varying(axis.name)) is not None:
        message = f"the atoms along `{varying.name}` differ from checkpoint to checkpoint, so there is no difference"
        raise Fail("E231", message, "choose them for all: `top(...)`, or name them", argument="axis")
    words = f"sides changed {SINCE}" if of == SIDES else f"change {SINCE}"
    made = replace(field.swap(replace(axis, size=axis.size - 1, whole=False)), signed=True)
    return replace(made, steps=(*field.steps, words), unit="" if of == SIDES else field.unit)


def _changes(node: Node, field: Field) -> Field:
    """Return every checkpoint minus the first one, or the change of its sign."""
    values = field.values
    if CHECKPOINT_AXIS not in values.dims:  # the same in all
        (axis,) = (axis for axis in field.type.axes if axis.name == CHECKPOINT_AXIS)
        values = Named((CHECKPOINT_AXIS, *values.dims), np.broadcast_to(values.data, (axis.size, *values.data.shape)))
    first = values.take(CHECKPOINT_AXIS, Named((), np.array(0)))
    rest = field.take(CHECKPOINT_AXIS, Named((CHECKPOINT_AXIS,), np.arange(1, values.sizes[CHECKPOINT_AXIS])))
    later = values.take(CHECKPOINT_AXIS, Named((CHECKPOINT_AXIS,), np.arange(1, values.sizes[CHECKPOINT_AXIS])))
    at = later.dims.index(CHECKPOINT_AXIS)
    before = np.expand_dims(first.ordered(tuple(d for d in later.dims if d != CHECKPOINT_AXIS)).data, at)
    made = later.data - before
    if node["of"] == SIDES:
        sides = (later.data > 0).astype(np.float32) - (before > 0)
        made = np.where(np.isnan(made), np.nan, sides).astype(np.float32)
    result = rest.with_values(Named(later.dims, made), node.type)
    return result


def _grouped(words: str) -> str:
    """Put a sum or difference in parentheses."""
    return f"({words})" if " − " in words or " + " in words else words


OPERATIONS = (Difference(),)

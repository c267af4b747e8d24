"""`filter(condition)`: keep atoms by value."""

from __future__ import annotations

import operator
from dataclasses import replace

import numpy as np

from bbilang.compiler.contract import Arguments, Operation, Parameter, Run
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.fields.field import Field, Named, combine
from bbilang.runtime.fields.ranking import by_input

COMPARE = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


class Filter(Operation):
    """Keeps the atoms that satisfy the condition, in the same order: `value > 0.1 and channel < 100`.

    `value` and `magnitude` refer to the number; `channel`, `y`, `x`, `class` and so on to the coordinates of the atom.
    """

    name = "filter"
    adds_up = True
    parameters = (Parameter("condition", "condition", "comparisons joined by `and`, `or`, `not`"),)
    example = "block6a.expand.channel | attribute(output) | filter(value > 0.05) | top(8) | present(bars)"

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        own = field.atom_axes
        for axis in own:  # a single axis closes up; holes in several stay
            whole = axis.whole and len(own) > 1
            gap, sizes = (axis.gap, axis.sizes) if len(own) > 1 else (0, ())
            varies = axis.varies if len(own) > 1 else tuple(sorted({*axis.varies, *by_input(field)}))
            field = field.swap(replace(axis, exact=False, whole=whole, gap=gap, sizes=sizes, varies=varies))
        return field

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (field,) = inputs
        met = _evaluate(node["condition"], field)
        masked = combine(lambda value, condition: np.where(condition, value, np.nan), field.values, met)
        field = field.with_values(masked, node.type)
        own = [axis.name for axis in node.type.atom_axes]
        return _closed_up(field, own[0]) if len(own) == 1 else field


def _evaluate(condition: tuple, field: Field) -> Named:
    op, *parts = condition
    if op == "not":
        inner = _evaluate(parts[0], field)
        return Named(inner.dims, ~inner.data)
    if op in ("and", "or"):
        return combine(np.logical_and if op == "and" else np.logical_or, *(_evaluate(p, field) for p in parts))
    return combine(COMPARE[op], *(_operand(p, field) for p in parts))


def _operand(part: float | str, field: Field) -> Named:
    if part == "value":
        return field.values
    if part == "magnitude":
        return Named(field.values.dims, np.abs(field.values.data))
    return field.coords[part] if isinstance(part, str) else Named((), np.array(part))


def _closed_up(field: Field, axis: str) -> Field:
    """Compact the axis: close the holes, and drop positions that are empty in every state."""
    values = field.values
    apart = [d for d in values.dims if d == "input" or d not in field.type.names]
    others = tuple(i for i, d in enumerate(values.dims) if d != axis and d not in apart)
    there = ~np.isnan(values.data).all(others) if others else ~np.isnan(values.data)
    dims = tuple(d for i, d in enumerate(values.dims) if i not in others)
    there = Named(dims, there).ordered((*(d for d in dims if d != axis), axis)).data
    order = np.argsort(~there, axis=-1, kind="stable")
    order = np.where(np.take_along_axis(there, order, -1), order, -1)[..., : max(1, int(there.sum(-1).max(initial=0)))]
    index = Named((*(d for d in dims if d != axis), axis), order)
    return field.take(axis, index)


OPERATIONS = (Filter(),)

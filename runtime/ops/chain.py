"""`atoms -> output`: the attribution of some atoms as a target."""

from __future__ import annotations

import numpy as np

from bbilang.compiler.contract import Demand, Operation, Registry, Run, Scores, Writer, Written
from bbilang.compiler.contract.written import target_text
from bbilang.compiler.ir.program import Node
from bbilang.runtime.attribution.target_slots import class_keys
from bbilang.runtime.fields.field import TERM, Field, Named


class Chain(Operation):
    """How much the atoms contributed to the class: a score that earlier atoms can be attributed to."""

    name = "chain"
    head = True

    def written(self, node: Node, writer: Writer) -> Written | None:
        parts = [writer.field_text(node.inputs[0]), target_text(node.inputs[1], writer)]
        return None if parts[0] is None or parts[1] is None else (*parts[0], " -> ", *parts[1])

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        return (Scores(),)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        to = node.inputs[1]
        class_table = class_keys(run, to)
        dims = tuple(d for d in class_table.numbers.dims if d != TERM)
        index = np.zeros(class_table.numbers.data.shape, np.int64)
        for row in range(len(index)):
            own = class_table.of(row)
            for position in np.ndindex(index.shape[1:]):
                index[(row, *position)] = own.index((class_table.kind, int(class_table.numbers.data[(row, *position)])))
        target = run.value(to)
        assert target.weight is not None
        weight = Named(
            class_table.numbers.dims, np.broadcast_to(target.weight.spread(class_table.numbers.dims), index.shape)
        )
        unknown = Named(dims, np.full(index.shape[:-1], np.nan, np.float32))  # the score itself is never shown
        return Field(node.type, unknown, {}, {}, Named(class_table.numbers.dims, index), weight)


OPERATIONS = (Chain(),)

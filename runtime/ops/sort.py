"""`sort`: order the atoms."""

from __future__ import annotations

from bbilang.compiler.contract import Arguments, Demand, Make, Operation, Parameter, Registry, Run
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.fields.field import Field
from bbilang.runtime.fields.ranking import (
    ALONG,
    BY,
    JOINT,
    PER,
    pick_ranked,
    ranked_axes,
    ranked_type,
    ranks,
    score_of,
)
from bbilang.runtime.ops.datasets import by_column


class Sort(Operation):
    """Orders all atoms, strongest first unless `descending=false`. Ties keep the order of the layer.

    The examples of a dataset are ordered by a column: `photos | sort(by=loss) | top(20)`. A ranking of a dataset
    without `by=` is by the column of the one before it. Examples of which the column is not known are left out.
    """

    name = "sort"
    of_datasets = True
    adds_up = True
    selects = idempotent = True
    parameters = (BY, ALONG, PER, JOINT, Parameter("descending", "flag", "the strongest first", True))
    example = "output[top(5)] | sort(by=value, descending=false) | present(bars)"

    def phrase(self, node: Node, registry: Registry) -> str:
        return "in the order of the numbers"

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        by_column.check(self.name, field, arguments, ranked_axes(field, arguments))
        return ranked_type(field, arguments, None)

    def expand(self, field: Node, arguments: Arguments, make: Make) -> Arguments:
        return by_column.with_column(self.name, field, arguments)

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        return by_column.demands(node)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (field,) = inputs
        arguments: Arguments = dict(node.parameters)
        axes, scored = ranked_axes(field.type, arguments), field
        if by_column.is_column(node["by"]):
            field, scored, arguments = by_column.known_by(node, field, run)
        score = score_of(scored, axes, arguments, run)
        order, count = ranks(score, axes, ascending=not node["descending"])
        order = by_column.without_unknown(order, count) if scored is not field else order
        return pick_ranked(field, node.type, axes, order)


OPERATIONS = (Sort(),)

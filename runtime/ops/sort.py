"""`sort`: order the atoms."""

from __future__ import annotations

from bbilang.compiler.contract import Arguments, Operation, Parameter, Registry, Run
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


class Sort(Operation):
    """Orders all atoms, strongest first unless `descending=false`. Ties keep the order of the layer."""

    name = "sort"
    adds_up = True
    selects = idempotent = True
    parameters = (BY, ALONG, PER, JOINT, Parameter("descending", "flag", "the strongest first", True))
    example = "output[top(5)] | sort(by=value, descending=false) | present(bars)"

    def phrase(self, node: Node, registry: Registry) -> str:
        return "in the order of the numbers"

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        return ranked_type(field, arguments, None)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (field,) = inputs
        arguments = dict(node.parameters)
        axes = ranked_axes(field.type, arguments)
        score = score_of(field, axes, arguments, run)
        order, _ = ranks(score, axes, ascending=not node["descending"])
        return pick_ranked(field, node.type, axes, order)


OPERATIONS = (Sort(),)

"""What an operation may stand after: numbers, a dataset or an intervention."""

from __future__ import annotations

from bbilang.compiler.check.arguments.binding import SOME_LAYER, at
from bbilang.compiler.contract import Operation
from bbilang.compiler.ir.program import Node
from bbilang.grammar import ast


def check_kind(field: Node, call: ast.Call, operation: Operation) -> None:
    """Raise CheckError E260, E270 for an operation that is not of what stands before it: numbers, a dataset or an
    intervention."""
    if field.type.content == "intervention" and not operation.of_interventions:
        help = "measure what it does: `... | effect(output)`"
        raise at(call.span, "E270", f"`{call.name}` is of numbers, and this is an intervention", help)
    if field.type.content == "dataset" and not operation.of_datasets:
        help = f"compute numbers for each example, `{SOME_LAYER}.channel | across(...)`, or use a column in a "
        help += "condition: `filter(loss > 2)`"
        raise at(call.span, "E260", f"`{call.name}` is of numbers, and this is a dataset", help)
    if field.type.content != "dataset" and operation.of_datasets_only:
        help = 'as in `dataset photos = "folder/"`, then `photos | ...`'
        raise at(call.span, "E260", f"`{call.name}` is of a dataset, and this is a field", help)

"""Which operations and styles can follow a field: each candidate is type-checked with plausible arguments."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, product

from bbilang.compiler.check.arguments.binding import CheckError, Poisoned
from bbilang.compiler.check.resolve import Resolver
from bbilang.compiler.contract import Fail, Operation, Parameter, Style
from bbilang.compiler.ir.program import Node
from bbilang.grammar import ast
from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.source import NOWHERE

UNCERTAIN = ("atoms", "selection", "dataset", "linked", "element", "fit", "text", "contents", "compatible", "layer")
MAX_ATTEMPTS = 12  # combinations of arguments per operation


def apply_stage(field: Node, call: ast.Call, resolver: Resolver) -> Node | None:
    """Return the field after the stage, or None where the stage does not type-check."""
    try:
        return resolver.stage(field, call, NOWHERE)
    except (CheckError, Poisoned, BbiError, Fail, RecursionError):
        return None
    finally:
        resolver.notes.clear()


def can_follow(field: Node, operation: Operation, resolver: Resolver) -> bool:
    """Return whether an operation can follow a field for some arguments; True where that cannot be decided yet."""
    if field.op == "present":
        return False
    if operation.name == "present":
        return True
    required = [parameter for parameter in operation.parameters if parameter.required]
    if any(parameter.kind in UNCERTAIN for parameter in required):
        return bool(field.type.atom_axes) or operation.name not in ("at", "only")
    for values in islice(product(*(list(_candidate_values(p, field)) for p in required)), MAX_ATTEMPTS):
        arguments = tuple(ast.Argument(value) for value in values)
        if apply_stage(field, ast.Call(operation.name, arguments), resolver) is not None:
            return True
    return False


def _candidate_values(parameter: Parameter, field: Node) -> Iterator[ast.Expression]:
    """Return plausible values of a required parameter."""
    match parameter.kind:
        case "integer" | "number":
            yield ast.Number(int(parameter.minimum or 1))
        case "axis":
            yield from (ast.Path(axis.name) for axis in field.type.axes)
        case "target" | "ranking" | "evidence":
            yield ast.Path("output")
        case "condition":
            yield ast.Binary(">", ast.Path("value"), ast.Number(0))
        case "flag":
            yield ast.Constant(True)
        case _:
            yield from (ast.Path(choice) for choice in parameter.choices[:6])


def presentation(field: Node, style: Style, resolver: Resolver) -> tuple[str, str] | None:
    """Return how a style can draw a field: ("", "") as it is, ("facet", axis) with one facet, or None."""
    style_argument = ast.Argument(ast.Path(style.name))
    if apply_stage(field, ast.Call("present", (style_argument,)), resolver) is not None:
        return "", ""
    for axis in field.type.axes:
        if axis.name == "input" and axis.size == 1:
            continue
        facet = ast.Argument(ast.Path(axis.name), "facet")
        if apply_stage(field, ast.Call("present", (style_argument, facet)), resolver) is not None:
            return "facet", axis.name
    return None

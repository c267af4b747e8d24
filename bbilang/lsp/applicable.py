"""Which operations and styles a field can be followed by: each is tried, with arguments that it could have."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, product

from bbilang.compiler.check.arguments import At, Poisoned
from bbilang.compiler.check.resolve import Resolver
from bbilang.compiler.contract.operation import Fail, Operation, Parameter, Style
from bbilang.compiler.ir.program import Node
from bbilang.grammar import ast
from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.source import NOWHERE

UNCERTAIN = ("atoms", "selection", "dataset", "linked", "element", "fit", "text", "contents", "compatible", "layer")
MOST_TRIES = 12


def stage(field: Node, call: ast.Call, resolver: Resolver) -> Node | None:
    """The field after a stage, or None where it cannot follow."""
    try:
        return resolver.stage(field, call, NOWHERE)
    except (At, Poisoned, BbiError, Fail, RecursionError):
        return None
    finally:
        resolver.notes.clear()


def fits(field: Node, operation: Operation, resolver: Resolver) -> bool:
    """Whether an operation can follow a field, with some arguments. True where that depends on what nobody said yet."""
    if field.op == "present":
        return False
    if operation.name == "present":
        return True
    needed = [parameter for parameter in operation.parameters if parameter.required]
    if any(parameter.kind in UNCERTAIN for parameter in needed):
        return bool(field.type.atom_axes) or operation.name not in ("at", "only")
    for values in islice(product(*(list(_values(p, field)) for p in needed)), MOST_TRIES):
        arguments = tuple(ast.Argument(value) for value in values)
        if stage(field, ast.Call(operation.name, arguments), resolver) is not None:
            return True
    return False


def _values(parameter: Parameter, field: Node) -> Iterator[ast.Expression]:
    """Values that a required parameter could have."""
    match parameter.kind:
        case "integer" | "number":
            yield ast.Number(int(parameter.minimum or 1))
        case "axis":
            yield from (ast.Path(axis.name) for axis in field.type.axes)
        case "target" | "ranking":
            yield ast.Path("output")
        case "condition":
            yield ast.Binary(">", ast.Path("value"), ast.Number(0))
        case "flag":
            yield ast.Constant(True)
        case _:
            yield from (ast.Path(choice) for choice in parameter.choices[:6])


def drawn(field: Node, style: Style, resolver: Resolver) -> tuple[str, str] | None:
    """How a style can draw a field: ("", "") as it is, ("facet", axis) with one axis laid out; None where it cannot."""
    plain = ast.Argument(ast.Path(style.name))
    if stage(field, ast.Call("present", (plain,)), resolver) is not None:
        return "", ""
    for axis in field.type.axes:
        if axis.name == "input" and axis.size == 1:
            continue
        facet = ast.Argument(ast.Path(axis.name), "facet")
        if stage(field, ast.Call("present", (plain, facet)), resolver) is not None:
            return "facet", axis.name
    return None

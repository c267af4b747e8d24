"""Sums and differences of directions of one layer: concepts, groups, channels and vectors at positions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from bbilang.compiler.check.arguments.binding import SOME_LAYER, at, describe
from bbilang.compiler.check.fields import FieldReader
from bbilang.compiler.check.scope import Layers, Scope
from bbilang.compiler.contract import Operation
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import VECTORS, Axis, FieldType
from bbilang.grammar import ast
from bbilang.grammar.source import Span

PICKED = ("channel", *VECTORS)  # atoms of a layer that have a direction, picked by their number
HELP = f"as in `{SOME_LAYER}.channel[7] - {SOME_LAYER}.channel[9]`, or directions of `concept(...)`"


class DirectionReader:
    """Reads `a - b + c` where the operands are directions."""

    def __init__(self, scope: Scope, fields: FieldReader):
        self.scope, self.fields = scope, fields

    def is_one(self, value: Node) -> bool:
        """Return whether a value has directions: what makes them, or atoms picked by their number."""
        if self.scope.registry.operations[value.op].directs:
            return True
        if value.op != "pick_atom":
            return False
        (of,) = value.inputs
        return value.type.atom in PICKED if of.op == "substrate" else self.is_one(of)

    def sum(self, expression: ast.Binary | ast.Unary, values: list[object]) -> Node:
        """Add or subtract two directions. Raises CheckError E231, E232, E235."""
        if isinstance(expression, ast.Unary) or expression.operator not in "+-":
            raise at(expression.span, "E232", "directions add and subtract, and know no other arithmetic", HELP)
        operands: list[Node] = []
        for value, operand in zip(values, (expression.left, expression.right), strict=True):
            if not (isinstance(value, Node) and self.is_one(value)):
                raise at(operand.span, "E232", f"{describe(operand)} is no direction, and the other side is one", HELP)
            if value.type.states:
                raise at(operand.span, "E231", f"{describe(operand)} depends on what the reader chooses", HELP)
            if len(value.type.layers) > 1:
                raise at(operand.span, "E235", "directions are added in one layer, and this is of several", HELP)
            operands.append(value)
        left, right = operands
        if (left.type.model, left.type.layers) != (right.type.model, right.type.layers):
            names = [f"{t.model}:{t.layers[0]}" if left.type.model != right.type.model else t.layers[0]
                     for t in (left.type, right.type)]  # fmt: skip
            message = f"this is a direction of {names[1]}, and the one before it of {names[0]}"
            raise at(expression.right.span, "E235", message, "directions add up in one layer of one model")
        sizes = [value.type.axes[-1].size for value in operands]
        if 1 not in sizes and len(set(sizes)) > 1:
            raise at(expression.span, "E231", f"{sizes[0]} directions and {sizes[1]} directions do not pair up")
        sign = 1.0 if expression.operator == "+" else -1.0
        terms = [(1.0, left), (sign, right)] if left.op != "direction" else [*_terms(left), (sign, right)]
        return self._made(expression.span, terms, max(sizes))

    def of_groups(self, field: Node, span: Span, inner: Callable[..., Node]) -> Node:
        """Return a pipe of groups as one that can be computed for each example of a dataset: its groups, as they were
        made and chosen on the page's input, become the directions of their channels. The pipe itself where it cannot.

        inner: makes a node (operation, field, **arguments).
        """
        stages = self._stages(field)
        operations = [self.scope.registry.operations[node.op] for node in stages]
        picks = [n for n, each in enumerate(operations) if _picks_groups(stages, n, each)]
        content = max((n for n, each in enumerate(operations) if each.content), default=-1)
        chosen = max(picks, default=0)
        known = all(
            each.content or each.pure or n in picks or (each.selects and n > content)
            for n, each in enumerate(operations)
        )
        changed = any(n not in picks for n in range(content + 1, chosen))  # by numbers that were made of others
        if content < 0 or not known or changed or field.type.states or stages[0].type.content != "activation":
            return field
        frame = stages[chosen]
        made = self._made(span, [(1.0, frame)], frame.type.axes[-1].size, frame.type.family.partition("-")[0])
        change = next((n for n, node in enumerate(stages) if node.type.content == "intervention"), content)
        if not content:
            made = inner("activation", made)
        for node in (*(stages[change : content + 1] if content else []), *stages[max(content, chosen) + 1 :]):
            names = {parameter.name for parameter in self.scope.registry.operations[node.op].parameters}
            own = {name: "concept" if value == "group" else value for name, value in node.parameters if name in names}
            made = inner(node.op, made, **own)
        return made

    def _stages(self, field: Node) -> list[Node]:
        """Return the stages of a pipe of groups, from what makes them on."""
        stages = [field]
        while not self.scope.registry.operations[stages[0].op].directs and stages[0].inputs:
            stages.insert(0, stages[0].inputs[0])
        return stages

    def _made(self, span: Span, terms: list[tuple[float, Node]], size: int, word: str = "direction") -> Node:
        """Make directions. ``word``: the first of their family; of groups, the method that made these."""
        first = terms[0][1].type
        channels = self.fields.substrate(Layers(first.model, first.layers), "channel", span)
        parameters = {"terms": tuple(term for _, term in terms), "signs": tuple(sign for sign, _ in terms)}
        known = Node("family", (), tuple(parameters.items()), FieldType("", "", (), ())).digest
        family = f"{word}-{hashlib.sha256(known.encode()).hexdigest()[:6]}"
        inputs = self.scope.input_axis()
        own = inputs.size > 1 and any(t.type.atom in VECTORS or "input" in t.type.axes[-1].varies for _, t in terms)
        axes = (inputs, Axis("concept", size, varies=("input",) if own else ()))
        type = FieldType("substrate", "direction", first.layers, axes, model=first.model, family=family)
        return self.scope.make("direction", (channels,), parameters, type, span)


def _picks_groups(stages: Sequence[Node], number: int, operation: Operation) -> bool:
    """Return whether a stage of a pipe of groups chooses among them, and not among classes."""
    if operation.name == "pick_atom":
        return True
    return operation.selects and stages[number].type.axis("group") != stages[number - 1].type.axis("group")


def _terms(node: Node) -> list[tuple[float, Node]]:
    return list(zip(node["signs"], node["terms"], strict=True))

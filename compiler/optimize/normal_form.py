"""The normal form of a node: equal for pipes that give the same numbers by the laws that operations declare.

Each law is declared by the operation itself and holds for every field: it changes nothing where no value is negative
(`Operation.neutral`), a second time changes nothing (`idempotent`), the smaller of two in a row counts (`keeps_least`),
its order along two axes does not matter (`commutes`), a content replaces the content before it, with whatever changed
only its numbers (`content`, `numbers_only`).
"""

from __future__ import annotations

from typing import Any, TypeAlias

from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.node import PLAIN
from bbilang.compiler.ir.program import Node, PerExample, walk

Arguments: TypeAlias = tuple[tuple[str, Any], ...]
Form: TypeAlias = int  # a number: equal forms have equal numbers, within one `NormalForms`
Written: TypeAlias = tuple[str, tuple[Form, ...], tuple[Arguments, ...]]  # (operation, of inputs, arguments in order)
UNSAID = ("title", "caption", "id", "called")


class NormalForms:
    """The normal forms of nodes, each computed once."""

    def __init__(self, registry: Registry):
        self.registry = registry
        self._known: dict[int, tuple[Node, Form]] = {}  # by the node's address; the node is kept, and with it that
        self._numbers: dict[Written, Form] = {}
        self._written: list[Written] = []

    def of(self, root: Node) -> Form:
        """Return the normal form of a node."""
        known = self._known.get(id(root))
        if known is not None:
            return known[1]
        if all([id(child) in self._known for child in root.inputs]):
            return self._form(root)
        for node in walk(root):
            if id(node) not in self._known:
                self._form(node)
        return self._known[id(root)][1]

    def _form(self, node: Node) -> Form:
        form = self._reduced(node)
        self._known[id(node)] = node, form
        return form

    def _number(self, op: str, inputs: tuple[Form, ...], arguments: tuple[Arguments, ...]) -> Form:
        written = op, inputs, arguments
        number = self._numbers.setdefault(written, len(self._written))
        if number == len(self._written):
            self._written.append(written)
        return number

    def _reduced(self, node: Node) -> Form:
        operation = self.registry.operations.get(node.op)
        inputs = tuple([self._known[id(child)][1] for child in node.inputs])
        arguments = tuple([
            (name, value if type(value) in PLAIN else self._plain(value))
            for name, value in node.parameters
            if name not in UNSAID
        ])  # fmt: skip
        if operation is None or len(inputs) != 1:
            return self._number(node.op, inputs, (arguments,))
        below = inputs[0]
        if operation.neutral(node.inputs[0].type):
            return below
        if operation.content:
            below = self._without_content(below)
        op, under, before = self._written[below]
        if op == node.op and len(under) == 1:
            if operation.idempotent and before == (arguments,):
                return below
            if operation.keeps_least and (least := _least(before[0], arguments, operation.keeps_least)):
                return self._number(op, under, (least,))
            if operation.commutes:
                return self._number(op, under, tuple(sorted((*before, arguments), key=repr)))
        return self._number(node.op, (below,), (arguments,))

    def _without_content(self, form: Form) -> Form:
        """Return what a content is of, in place of the content and of what changed only its numbers."""
        while True:
            op, inputs, _ = self._written[form]
            operation = self.registry.operations.get(op)
            if operation is None or not (operation.content or operation.numbers_only) or len(inputs) != 1:
                return form
            (form,) = inputs

    def _plain(self, value: object) -> object:
        """Return a parameter's value with nodes replaced by their forms."""
        if isinstance(value, Node):
            return ("form", self.of(value))
        if isinstance(value, PerExample):
            return ("per example", self.of(value.node))
        return tuple(self._plain(item) for item in value) if isinstance(value, tuple) else value


def _least(one: Arguments, other: Arguments, name: str) -> Arguments | None:
    """Return the arguments with the smaller value of one of them; None where the others differ."""
    if [pair for pair in one if pair[0] != name] != [pair for pair in other if pair[0] != name]:
        return None
    return min(one, other, key=lambda arguments: dict(arguments)[name])

"""The normal form of a node: equal for pipes that give the same numbers by the laws that operations declare.

Each law is declared by the operation itself and holds for every field: it changes nothing where no value is negative
(`Operation.neutral`), a second time changes nothing (`idempotent`), the smaller of two in a row counts (`keeps_least`),
its order along two axes does not matter (`commutes`), a content replaces the content before it, with whatever changed
only its numbers (`content`, `numbers_only`).
"""

from __future__ import annotations

from typing import Any, TypeAlias

from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.program import Node, PerExample, walk

Form: TypeAlias = tuple[Any, ...]  # (operation, forms of its inputs, arguments in order)
UNSAID = ("title", "caption", "id", "called")


class NormalForms:
    """The normal forms of nodes, each computed once."""

    def __init__(self, registry: Registry):
        self.registry = registry
        self._known: dict[str, Form] = {}

    def of(self, root: Node) -> Form:
        """Return the normal form of a node."""
        known = self._known.get(root.digest)
        if known is not None:
            return known
        if all(child.digest in self._known for child in root.inputs):
            known = self._known[root.digest] = self._form(root)
            return known
        for node in walk(root):
            if node.digest not in self._known:
                self._known[node.digest] = self._form(node)
        return self._known[root.digest]

    def _form(self, node: Node) -> Form:
        operation = self.registry.operations.get(node.op)
        inputs = tuple(self._known[child.digest] for child in node.inputs)
        arguments = tuple((name, self._plain(value)) for name, value in node.parameters if name not in UNSAID)
        if operation is None or len(inputs) != 1:
            return (node.op, inputs, (arguments,))
        below = inputs[0]
        if operation.neutral(node.inputs[0].type):
            return below
        if operation.content:
            below = self._without_content(below)
        if below[0] == node.op and len(below[1]) == 1:
            if operation.idempotent and below[2] == (arguments,):
                return below
            if operation.keeps_least and (least := _least(below[2][0], arguments, operation.keeps_least)):
                return (node.op, below[1], (least,))
            if operation.commutes:
                return (node.op, below[1], tuple(sorted((*below[2], arguments), key=repr)))
        return (node.op, (below,), (arguments,))

    def _without_content(self, form: Form) -> Form:
        """Return what a content is of, in place of the content and of what changed only its numbers."""
        while (operation := self.registry.operations.get(form[0])) is not None:
            if not (operation.content or operation.numbers_only) or len(form[1]) != 1:
                break
            (form,) = form[1]
        return form

    def _plain(self, value: object) -> object:
        """Return a parameter's value with nodes replaced by their forms."""
        if isinstance(value, Node):
            return self.of(value)
        if isinstance(value, PerExample):
            return ("per example", self.of(value.node))
        return tuple(self._plain(item) for item in value) if isinstance(value, tuple) else value


def _least(one: Form, other: Form, name: str) -> Form | None:
    """Return the arguments with the smaller value of one of them; None where the others differ."""
    if [pair for pair in one if pair[0] != name] != [pair for pair in other if pair[0] != name]:
        return None
    return min(one, other, key=lambda arguments: dict(arguments)[name])

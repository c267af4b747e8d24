"""What a stage makes of any field of one kind: found on the first such field, and cast again for the others.

Which stages can follow a field, and what they give, is decided by its kind: its operation and its type, without what
the type says of earlier arithmetic for the legend. So a stage is typed once for each kind of field, not once for each
pipe.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from bbilang.compiler.ir.node import MOST_STAGES, Node, PerExample, walk
from bbilang.compiler.ir.types import FieldType
from bbilang.grammar import ast
from bbilang.grammar.frozen import frozen

Kind: TypeAlias = tuple[object, ...]
Steps: TypeAlias = tuple[str, ...]
Parameters: TypeAlias = tuple[tuple[str, Any], ...]


def kind_of(field: Node) -> Kind:
    """Return what decides which stages can follow a field, and what they give."""
    type = field.type
    return (
        field.op, type.content, type.atom, type.layers, type.axes, type.states, type.model, type.signed, type.unit,
        type.scope, type.spent, type.family, type.linked, type.linked_family, type.partner, type.curves,
        type.columns,
        bool(type.steps),
    )  # fmt: skip


class Layer:
    """One operation of a mould. ``added``: what it adds to the steps of the legend; None where it starts them anew."""

    def __init__(self, node: Node, added: Steps | None):
        self.op, self.parameters, self.type, self.added = node.op, node.parameters, node.type, added
        self._types: dict[Steps, FieldType] = {node.type.steps: node.type}

    def on(self, field: Node) -> Node:
        """Return the operation applied to a field."""
        steps = self.type.steps if self.added is None else field.type.steps + self.added
        type = self._types.get(steps)
        if type is None:
            type = self._types[steps] = self.type.with_steps(steps)
        return Node(self.op, (field,), self.parameters, type)


@frozen
class Mould:
    """The operations that a stage puts on a field, the lowest first: an `activation` may be among them that the text
    does not name. ``kind``: of what it gives."""

    call: ast.Call
    layers: tuple[Layer, ...]
    kind: int

    def cast(self, field: Node) -> Node | None:
        """Return what the stage makes of another field of the kind; None where its expression is too deep."""
        for layer in self.layers:
            field = layer.on(field)
        return field if field.depth <= MOST_STAGES else None


def layers_of(field: Node, result: Node) -> tuple[Layer, ...] | None:
    """Return what stands between a field and what a stage made of it; None where the result holds the field in another
    way than as its only input, so that it cannot be cast for other fields."""
    nodes: list[Node] = []
    node = result
    while node is not field:
        if len(node.inputs) != 1 or len(nodes) > 4:
            return None
        nodes.append(node)
        node = node.inputs[0]
    below = {id(each) for each in walk(field)}
    layers = []
    for node in reversed(nodes):
        if any(id(each) in below or each in nodes for value in _held(node) for each in walk(value)):
            return None
        before, after = node.inputs[0].type.steps, node.type.steps
        if after[: len(before)] == before:
            layers.append(Layer(node, after[len(before) :]))
        elif not after:
            layers.append(Layer(node, None))
        else:
            return None
    return tuple(layers)


def _held(node: Node) -> Iterator[Node]:
    """Iterate over the nodes in a node's parameters."""
    pending: list[object] = [value for _, value in node.parameters]
    while pending:
        value = pending.pop()
        if isinstance(value, tuple):
            pending += value
        elif isinstance(value, PerExample):
            yield value.node
        elif isinstance(value, Node):
            yield value

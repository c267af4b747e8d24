"""Programs of several models: which nodes are of which, and the same pipe of another model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bbilang.compiler.ir.node import Node, walk_within
from bbilang.compiler.ir.program import Program


def rebased(node: Node, alias: str) -> Node:
    """Return a node with the layers of another model. What is of no model, as a dataset, stays as it is."""
    inputs = tuple(rebased(child, alias) for child in node.inputs)
    parameters = tuple((name, _rebased(name, value, alias)) for name, value in node.parameters)
    type = replace(node.type, model=alias) if node.type.model else node.type
    return Node(node.op, inputs, parameters, type)


def _rebased(name: str, value: object, alias: str) -> object:
    if isinstance(value, Node):
        return rebased(value, alias)
    if isinstance(value, tuple):
        return tuple(_rebased("", item, alias) for item in value)
    return alias if name == "model" and isinstance(value, str) else value


def own_nodes(program: Program, *roots: Node) -> Iterator[Node]:
    """Yield every node object below the roots once, children first, without what is of other models, nor below that."""
    return walk_within(program.owns, *roots)


def others_below(program: Program, *roots: Node) -> list[Node]:
    """Return the nodes of other models that those of the program's own model depend on directly, each once."""
    below = (child for node in own_nodes(program, *roots) for child in node.children)
    return list(dict.fromkeys(node for node in (*roots, *below) if not program.owns(node)))


def models_in(value: object) -> set[str]:
    """Return the models of the nodes that a parameter's value holds, without those below them."""
    if isinstance(value, Node):
        return {value.type.model} - {""}
    if isinstance(value, tuple):
        return {model for item in value for model in models_in(item)}
    return set()

"""Generic traversal of syntax trees: children, depth, shifted copies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

from bbilang.grammar import ast
from bbilang.grammar.source import NOWHERE, Span

AnyNode = TypeVar("AnyNode", bound=ast.Node)


@cache
def child_fields(kind: type[ast.Node]) -> tuple[str, ...]:
    """Return the names of the fields that may hold nodes, in the order of the class."""
    return tuple(
        field.name
        for field in fields(kind)
        if field.compare and field.type not in ("str", "int", "bool", "int | float", "bool | None", "str | None")
    )


def children(node: ast.Node) -> Iterator[ast.Node]:
    """Yield the nodes directly below a node, in the order of its fields."""
    kind: Any = type(node)  # mypy (1.20) does not take the class of an object for hashable
    for name in child_fields(kind):
        value = getattr(node, name)
        if isinstance(value, tuple):
            yield from (item for item in value if isinstance(item, ast.Node))
        elif isinstance(value, ast.Node):
            yield value


def walk(node: ast.Node) -> Iterator[ast.Node]:
    """Yield the node and everything below it. Never recurses."""
    pending = [node]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(list(children(node))))


def first_too_deep(node: ast.Node, limit: int) -> ast.Node | None:
    """Return a node more than ``limit`` levels below this one; an argument or a name counts with what holds it.

    Never recurses, so that it can guard what does.
    """
    pending = [(node, 0)]
    while pending:
        node, level = pending.pop()
        if level > limit:
            return node
        for child in children(node):
            pending.append((child, level + (not isinstance(child, ast.Argument | ast.Name | ast.Parameter))))
    return None


def shift(node: AnyNode, by: int) -> AnyNode:
    """Return the same tree with every position moved. Nodes without a position keep none."""
    if by == 0:
        return node
    return _shifted(node, by)


def _shifted(node: AnyNode, by: int) -> AnyNode:
    """Copy nodes without their constructors: this runs for every node of a file, and the nodes are known to be
    valid."""
    values = dict(node.__dict__)
    kind: Any = type(node)
    for name in child_fields(kind):
        value = values[name]
        if isinstance(value, tuple):
            values[name] = tuple([_shifted(item, by) for item in value])
        elif value is not None:
            values[name] = _shifted(value, by)
    for name in ("span", "name_span"):
        span = values.get(name)
        if span is not None and span is not NOWHERE:
            values[name] = Span(span.start + by, span.end + by)
    copy = object.__new__(type(node))
    copy.__dict__.update(values)
    return copy

"""Limits on the size of a program: expanded definitions and the depth of expressions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bbilang.compiler.check.arguments.binding import at
from bbilang.compiler.ir.program import MOST_STAGES, Node
from bbilang.grammar import ast
from bbilang.grammar.source import Span
from bbilang.grammar.walk import children

MOST_EXPANDED = 20_000  # expressions that the definitions of a text expand to
MOST_NESTED = 160  # levels of nesting among them


def bounded(node: Node, span: Span) -> Node:
    """Return the node itself. Raises CheckError E313 where its expression is too deep."""
    if node.depth > MOST_STAGES:
        help = "pipes, and names for their parts, are at most so long together: does a program write this text?"
        raise at(span, "E313", f"more than {MOST_STAGES} operations follow each other", help)
    return node


class ExpansionSize:
    """Counts the expressions that the definitions of a text have expanded to, and their nesting."""

    def __init__(self) -> None:
        self.count = self.level = 0
        self._measured: dict[int, tuple[Any, int, int]] = {}  # id of a node -> (node, its size, its depth)

    @contextmanager
    def counting(self, body: ast.Expression, span: Span) -> Iterator[None]:
        """Count an expanded body while it is checked. Raises CheckError E314, E315 before that."""
        size, depth = self._measure(body)
        self.count += size
        if self.count > MOST_EXPANDED:
            help = "a definition that holds another one twice doubles the text: bind what is needed twice to a name"
            raise at(span, "E314", f"the definitions expand to more than {MOST_EXPANDED:,} expressions", help)
        if self.level + depth > MOST_NESTED:
            help = "bind a part of it to a name, and go on from there"
            raise at(span, "E315", f"the definitions nest more than {MOST_NESTED} expressions in each other", help)
        self.level += depth
        try:
            yield
        finally:
            self.level -= depth

    def _measure(self, node: ast.Node) -> tuple[int, int]:
        """Return (nodes, levels) of a tree. Never recurses.

        An argument that is used several times is one object: it is visited once and counted each time, because the
        tree may have more nodes than there is time to visit.
        """
        pending = [(node, False)]
        while pending:
            node, ready = pending.pop()
            if ready:
                parts = [self._measured[id(child)] for child in children(node)]
                size = 1 + sum([size for _, size, _ in parts])
                self._measured[id(node)] = node, size, 1 + max([depth for _, _, depth in parts], default=0)
            elif id(node) not in self._measured:
                pending.append((node, True))
                pending.extend([(child, False) for child in children(node)])
        return self._measured[id(node)][1:]

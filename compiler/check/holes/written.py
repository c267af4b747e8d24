"""What stands for a hole in a statement whose holes are filled, as text."""

from __future__ import annotations

from bbilang.grammar import ast
from bbilang.grammar.format import format_expression, format_stage
from bbilang.grammar.holes import HOLE, Hole
from bbilang.grammar.walk import walk


def written(hole: Hole, statement: ast.Node, filled: ast.Node) -> str:
    """Return the text that fills a hole; empty for a rest of no stages. What fills a hole has its span."""
    if hole.kind in ("operation", "rest"):
        stages = [node for node in walk(filled) if isinstance(node, ast.Call) and node.name_span == hole.span]
        return " | ".join(format_stage(stage) for stage in stages)
    if hole.kind == "argument":
        values = (n.value for n in walk(filled) if isinstance(n, ast.Argument))
        return next((format_expression(value) for value in values if value.span == hole.span), "")
    for node in walk(statement):
        if isinstance(node, ast.Path | ast.Attribute) and node.name.rpartition(".")[2] == HOLE and hole.kind == "atom":
            if node.span.end == hole.span.end:
                return _named(filled, node).rpartition(".")[2]
        if isinstance(node, ast.Path) and hole.kind == "layer" and node.span.end - len(node.name) == hole.span.start:
            text = _named(filled, node)
            return text.rpartition(".")[0] if "." in node.name else text
    return ""


def _named(filled: ast.Node, node: ast.Node) -> str:
    """Return the text of the outermost value that stands where a node stood."""
    for other in walk(filled):
        if isinstance(other, ast.Path | ast.Attribute | ast.String) and other.span == node.span:
            return format_expression(other)
    return ""

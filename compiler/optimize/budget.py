"""Determine the attribution behind an element's budget line, and the layers that are removed for it."""

from __future__ import annotations

from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.program import OUTPUT, Node
from bbilang.compiler.optimize.target_slots import target_layer_of
from bbilang.grammar.frozen import frozen

PROBABILITY = "probability"
MOST_CLASSES = 6  # with a line for each


@frozen
class Budgeted:
    """An element's attribution to scores. ``each``: the attributions of its methods, itself where it is of one.
    ``whole``: of a flow, the attribution of all of the layer whose groups it draws."""

    attribution: Node
    each: tuple[Node, ...]
    whole: Node | None = None

    @property
    def layers(self) -> tuple[str, ...]:
        """Return the layers that are removed."""
        return self.attribution.type.layers


def budgeted(node: Node, registry: Registry) -> Budgeted | None:
    """Return what an element shows shares of; None where that is no attribution to scores, or to more classes than get
    a line each. Probabilities are no sums of contributions, and atoms of later layers have no score of their own."""
    known = _to_output(node, registry)
    return None if known is None or known.attribution["to"].type.unit == PROBABILITY else known


def of_probability(node: Node, registry: Registry) -> bool:
    """Return whether an element would have a budget line if its target were no probability."""
    known = _to_output(node, registry)
    return known is not None and known.attribution["to"].type.unit == PROBABILITY


def _to_output(node: Node, registry: Registry) -> Budgeted | None:
    while (operation := registry.operations.get(node.op)) is None or not operation.content:
        if operation is None or not operation.adds_up or not node.inputs:
            return None
        node = node.inputs[0]
    whole = node.get("whole")
    if whole is not None:
        node = node["pairs"][-1]
    target, classes = node.get("to"), node.type.axis("class")
    if node.type.content != "attribution" or not isinstance(target, Node) or target.type.content != "score":
        return None
    if target_layer_of(target) != OUTPUT:
        return None
    if classes is not None and classes.size > MOST_CLASSES:
        return None
    return Budgeted(node, node.get("each") or (node,), whole)

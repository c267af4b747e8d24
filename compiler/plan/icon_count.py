"""How many icons an element needs at least."""

from __future__ import annotations

from bbilang.compiler.ir.program import Node


def sure_icons(node: Node) -> int:
    """Count the icons that an element certainly needs in every state: neurons of one channel share theirs."""
    type, count = node.type, 1
    if type.axis("example") is not None:  # of what is found among examples
        return 0
    for axis in type.axes:
        if not axis.exact:
            return 0
        if type.atom == "neuron" and {"y", "x"} & set(axis.components):
            continue
        if axis.name not in ("class", "input") or type.atom == "class":
            count *= min(axis.sizes) if axis.sizes else axis.size
    return count

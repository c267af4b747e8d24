"""What an interface shows, in a plain sentence, from the words that operations and styles have for themselves."""

from __future__ import annotations

from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType

ATOMS = {
    "neuron": "neurons", "spatial": "positions", "channel": "channels", "group": "groups", "pixel": "pixels",
    "token": "tokens", "frame": "frames", "head": "heads", "direction": "directions", "example": "examples",
}  # fmt: skip


def sentence(node: Node, registry: Registry) -> str:
    """Describe an element, or a field: "Channels of block5c.expand: attribution to the predicted class, the 8 highest,
    as icons."."""
    chain = []
    while node.inputs:
        chain.append(node)
        node = node.inputs[0]
    parts = [registry.operations[each.op].phrase(each, registry) for each in reversed(chain)]
    said = ", ".join(part for part in parts if part)
    start = _start(node.type)
    return f"{start[0].upper()}{start[1:]}: {said}." if said else f"{start[0].upper()}{start[1:]}."


def _start(type: FieldType) -> str:
    layers = ", ".join(type.layers) if len(type.layers) < 4 else f"{len(type.layers)} layers"
    if type.content == "score":
        classes = type.axis("class")
        return "the score of one class" if classes is None else f"the scores of {classes.size:,} classes"
    if type.content in ("picture", "dataset"):
        return "the input itself" if type.content == "picture" else "the examples of a dataset"
    return f"{ATOMS[type.atom]} of {layers}" if type.atom in ATOMS else f"{layers} as a whole"

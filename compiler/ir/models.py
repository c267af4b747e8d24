"""Programs of several models: which nodes are of which, and the same pipe of another model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bbilang.compiler.ir.node import Node, walk, walk_within
from bbilang.compiler.ir.program import ModelSlot, Program

STACK = "checkpoints"  # the operation that makes one field of those of all checkpoints of a model
CHECKPOINT = "checkpoint"  # the operation that takes one checkpoint's part of what was computed for all
CHECKPOINT_AXIS = "model"  # and the axis that it has


def is_stack(node: Node) -> bool:
    """Return whether a field is that of several checkpoints, one beside the other, with nothing done to it since."""
    return node.op == STACK


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


def root_slot(slot: ModelSlot) -> str:
    """Return the name of the model that another is derived from, or that it is a checkpoint of."""
    root = slot.lineage[-1]
    return root.of or root.alias


SINCE = "since the first checkpoint"  # ends what a legend says of differences along that axis


def spoken_names(program: Program) -> dict[str, str]:
    """Return what a page calls its models, by their aliases: where all elements are of the checkpoints of one network,
    whatever they are compared with, these have their own names, and together none."""
    whole = [slot for slot in program.models if slot.members]
    shown = {element.node.type.model for element in program.elements}
    others = [slot for slot in program.models if not slot.members and (not whole or slot.of != whole[0].alias)]
    if len(whole) == 1 and not any(slot.alias in shown for slot in others):
        prefix = f"{whole[0].alias} "
        own = {slot.alias: slot.alias.removeprefix(prefix) if slot.of else "" for slot in program.models}
        return own | {slot.alias: slot.alias for slot in others}
    return {slot.alias: slot.alias for slot in program.models}


def own_nodes(program: Program, *roots: Node) -> Iterator[Node]:
    """Yield every node object below the roots once, children first, without what is of other models, nor below that."""
    return walk_within(program.owns, *roots)


def others_below(program: Program, *roots: Node) -> list[Node]:
    """Return the nodes of other models that those of the program's own model depend on directly, each once, and the
    selections that those depend on: what they range over is drawn."""
    below = [child for node in own_nodes(program, *roots) for child in node.children]
    others = [node for node in (*roots, *below) if not program.owns(node)]
    chosen = [node for node in walk(*others) if node.type.content == "selection" and not program.owns(node)]
    return list(dict.fromkeys((*others, *chosen)))


def models_in(value: object) -> set[str]:
    """Return the models of the nodes that a parameter's value holds, without those below them."""
    if isinstance(value, Node):
        return {value.type.model} - {""}
    if isinstance(value, tuple):
        return {model for item in value for model in models_in(item)}
    return set()

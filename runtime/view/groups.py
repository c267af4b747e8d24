"""Keys and colours of the groups of a factorization."""

from __future__ import annotations

import numpy as np

from bbilang.compiler.ir.program import Node, Program, walk
from bbilang.runtime.view import hues

MADE = {"group": "group", "concept": "direction"}  # component -> kind of atoms that an operation makes


def factorization(node: Node) -> Node | None:
    """Return the factorization whose groups are a node's atoms; for a selection, of the atoms that it ranges over. None
    where there is none."""
    return maker(node, "group")


def maker(node: Node, atom: str) -> Node | None:
    """Return the first node of a pipe, also of one that is computed for each example, with atoms of this kind."""
    first, before = None, node
    while isinstance(before, Node):
        first = before if before.type.atom == atom else first
        before = before.get("directions") or (before.inputs[0] if before.inputs else before.get("over"))
    return first


def member(node: Node, layer: str) -> Node:
    """Return the field of a linked list whose atoms are groups of this layer; the node itself if there is none."""
    while node.op != "fields" and node.inputs:
        node = node.inputs[0]
    members = [part for part in node.inputs if part.type.layers == (layer,) and factorization(part) is not None]
    return members[0] if members else node


def later(node: Node) -> Node:
    """Return the field whose atoms are the targets of the attribution; the node itself if there is none."""
    linking = node
    while not isinstance(linking.get("to"), Node) and linking.inputs:
        linking = linking.inputs[0]
    to = linking.get("to")
    return to if isinstance(to, Node) else node


def key_prefix(node: Node, layer: str, components: dict[str, int]) -> str:
    """Return the first word of an atom's key: the layer; for a group or direction what made it too, since a layer may
    have several."""
    source = next((maker(node, atom) for name, atom in MADE.items() if name in components), None)
    return layer if source is None else f"{layer}/{source.get('method', source.op)}-{source.digest[:4]}"


def first_colours(program: Program) -> dict[str, int]:
    """Return digest of a factorization -> the number of its first group's colour. Each continues after the one before
    it, since equal colours would say that groups of two factorizations belong together."""
    first, after = {}, 0
    for node in walk(*(element.node for element in program.elements)):
        if node.type.atom == "group" and factorization(node) is node:
            first[node.digest] = after
            group = node.type.axis("group")
            after += group.size if group is not None else 1
    return first


def colours(groups: np.ndarray, count: int, family: str = "", first: int = 0) -> tuple[str, ...]:
    """Return a colour for each slot, by its group's number; empty for slots without a group. ``first``: the number of
    the first group's colour. Up to three principal components have the colours of `rgb`."""
    if family.partition("-")[0] == "pca" and count in hues.COMPONENTS:
        return tuple(hues.COMPONENTS[int(count)][g] if g >= 0 else "" for g in groups.astype(int))
    return tuple(hues.colour(first + int(g)) if g >= 0 else "" for g in groups)

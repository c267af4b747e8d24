"""Texts that ask about a pair of atoms of two layers, or about all pairs that one of them is in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bbilang.compiler.contract import Fail, Operation, Written
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.view.model import Atom, Element

if TYPE_CHECKING:
    from bbilang.runtime.view.pipes.writer import PipeWriter

PART = re.compile(r" ([\w.]+)=(\d+)")
MOST = 8  # pairs of an atom


@dataclass(frozen=True)
class Pairs:
    """``atoms``: with their texts, each the call that starts the pipe with an index behind it. ``end``: the stages that
    follow any of them."""

    atoms: tuple[Atom, ...]
    end: Written


def pairs_of(element: Element, node: Node, writer: PipeWriter) -> Pairs | None:
    """Return the texts of an element whose pipe starts with a call that an index can stand behind; None for others.
    ``node``: the node that it presents."""
    head, between = node, writer.between(node)
    while len(head.inputs) == 1:
        head = head.inputs[0]
    operation = writer.registry.operations.get(head.op)
    if operation is None or not operation.indices or between is None:
        return None
    words = {axis: word for word, axis in operation.indices.items() if head.type.axis(axis) is not None}
    picked = [_picked(head, atom, words) for atom in element.atoms]
    texts = [_text(head, own, operation, writer) if len(own) == len(words) or own else "" for own in picked]
    atoms = tuple(replace(atom, text=text) for atom, text in zip(element.atoms, texts, strict=True))
    if any(len(own) < len(words) for own in picked):  # rows and columns name one end each
        one = next(own for own in picked if len(own) < len(words))
        left = head.type.without(*(axis for axis, word in words.items() if word in one))
        return Pairs(atoms, (*between, f" | top({MOST}, by=magnitude)", _drawn(left, writer)))
    return Pairs(atoms, (*between, _drawn(node.type.without(*(axis.name for axis in node.type.atom_axes)), writer)))


def columns_of(element: Element, members: Sequence[Node], writer: PipeWriter) -> Element:
    """Return a flow of weights whose channels have texts: of the first layer what the largest weights lead to, of the
    others what the largest lead from."""
    atoms = [replace(atom, text=PART.findall(atom.key)[-1][1]) for atom in element.atoms]
    pipes: dict[str, tuple[str, ...]] = {}
    for number, member in enumerate(members):
        head = member
        while len(head.inputs) == 1:
            head = head.inputs[0]
        operation = writer.registry.operations[head.op]
        ends = [(word, axis) for word, axis in operation.indices.items() if axis.startswith("to.") or number == 0]
        for word, axis in ends:
            bare = {**dict(head.parameters), **{f"{each}_index": None for each in operation.indices}}
            whole = replace(head, parameters=tuple(sorted(bare.items())))
            start = "".join(map(str, operation.written(whole, writer) or ()))
            left = replace(head.type, axes=tuple(a for a in head.type.axes if a.name != axis))
            layer = head.type.linked[0] if axis.startswith("to.") else head.type.layers[0]
            pipes[layer] = (f"{start}[{word}=", "", f"] | top({MOST}, by=magnitude){_drawn(left, writer)}")
    return replace(element, atoms=tuple(atoms), layer_pipes=pipes)


def _picked(head: Node, atom: Atom, words: dict[str, str]) -> dict[str, int]:
    """Return the words of the index that pick an atom's ends, with its numbers."""
    axes = {component: axis.name for axis in head.type.axes for component in axis.components}
    later = "to." if PART.split(atom.key)[0] in head.type.linked else ""
    numbers = ((axes.get(later + name, ""), int(number)) for name, number in PART.findall(atom.key))
    return {words[axis]: number for axis, number in numbers if axis in words}


def _text(head: Node, picked: dict[str, int], operation: Operation, writer: PipeWriter) -> str:
    index = {f"{word}_index": number for word, number in picked.items()}
    node = replace(head, parameters=tuple(sorted({**dict(head.parameters), **index}.items())))
    return "".join(map(str, operation.written(node, writer) or ()))


def _drawn(type: FieldType, writer: PipeWriter) -> str:
    """Write the stage that draws a type: icons with their numbers, else what draws all of its axes."""
    first = [name for name in (writer.portrait if type.layers != ("input",) else "", writer.number) if name]
    for style in (*(writer.registry.styles[name] for name in first), *writer.registry.styles.values()):
        try:
            if set(type.names) <= set(style.spend(type).spent):
                return f" | present({style.name})"
        except Fail:
            continue
    return ""

"""What an element is about, in words: its only atom, or what an attribution explains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bbilang.compiler.ir.program import Node, PerExample
from bbilang.compiler.ir.types import LAYER_AXES
from bbilang.runtime.view.drawing import Drawing

ATOMS = (*LAYER_AXES, "group")


def explained(node: Node | None) -> Node | None:
    """Return the attribution in the pipe, which has a target ``to``. None if there is none."""
    while (
        node is not None
        and node.type.content != "effect"
        and not (node.type.content == "attribution" and isinstance(node.get("to"), Node))
    ):
        node = node.inputs[0] if node.inputs else None
    return None if node is None or node.type.content == "effect" else node


def target_of(node: Node | None) -> Node | None:
    """Return the target of the attribution or gradient in the pipe; None if there is none."""
    while node is not None and not isinstance(node.get("to"), Node):
        each = node.get("each")
        node = node.inputs[0] if node.inputs else each.node if isinstance(each, PerExample) else None
    return None if node is None else node["to"]


def target_words(to: Node, label: Callable[[int], str]) -> str:
    """Describe a target that is the same for every example, or each example's own: "tabby − tiger cat", "each
    picture's predicted class"."""
    which: tuple[Any, ...] = to.get("which") or ()
    if which[:1] == ("of",):
        return target_words(which[1], label)
    if which[:1] == ("predicted",):
        return "each picture's predicted class"
    if which[:1] == ("classes",) and len(which[1]) == 1:
        return label(which[1][0])
    if len(to.inputs) == 2 and to.get("sign") in (1, -1):
        first, second = (target_words(one, label) for one in to.inputs)
        return f"{first} {'+' if to['sign'] > 0 else '−'} {second}"
    return "the target"


def sole_atom(drawing: Drawing) -> str:
    """Return the words of the only atom of a field, "channel 451"; empty where there are several."""
    own = {c: drawing.field.coords[c] for c in ATOMS if c in drawing.field.coords}
    names = drawing.field.names.get("concept")
    if names is not None and names.data.size == 1:
        return str(names.data.ravel()[0])
    if not own or any(array.dims for array in own.values()) or len(drawing.field.type.layers) != 1:
        return ""
    return drawing.words({c: int(array.data) for c, array in own.items()})


def ends_of(drawing: Drawing) -> tuple[str, str]:
    """Return what the weights lead from and to, in words: a layer, or the channel of it that the text picks."""
    field = drawing.field
    ends = []
    for layer, component in (
        (field.type.layers[0], "channel"),
        ((*field.type.linked, field.type.layers[-1])[0], "to.channel"),
    ):
        number = field.coords.get(component)
        ends.append(f"channel {int(number.data)} of {layer}" if number is not None and not number.dims else layer)
    return ends[0], ends[1]

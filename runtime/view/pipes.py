"""Texts that ask about one atom: what a page copies for a channel, a position, a group or a class."""

from __future__ import annotations

import re
from dataclasses import replace

from bbilang.compiler.check.class_names import class_index
from bbilang.compiler.contract import Fail, Registry, Written
from bbilang.compiler.ir.model_description import NOT_PICTURES, ModelDescription
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.spelling import layer_text, quoted
from bbilang.runtime.view import groups as grouping
from bbilang.runtime.view.model import Atom, Element

KEY = re.compile(r"(?P<layer>.*?)(?P<components>(?: [\w.]+=\d+)+)")
KINDS = {("channel",): "channel", ("y", "x"): "spatial", ("y", "x", "channel"): "neuron"}  # components -> atom's kind
MOST = 8  # atoms of a layer that a class is asked about


class PipeWriter:
    """Writes pipes for the elements of one page."""

    def __init__(self, registry: Registry, description: ModelDescription | None):
        self.registry, self.description = registry, description
        pictures = description is not None and description.reads not in NOT_PICTURES and description.reads != "text"
        portraits = [style.name for style in registry.styles.values() if style.portrays] if pictures else []
        self.portrait = portraits[0] if portraits else ""

    def class_text(self, index: int) -> str:
        """A class between the brackets of `output[...]`: its name where that is its own, else its number."""
        labels = self.description.labels if self.description is not None else ()
        name = labels[index].split(",")[0].strip() if index < len(labels) else ""
        try:
            own = self.description is not None and bool(name) and class_index(self.description, name) == index
        except Fail:
            own = False
        return quoted(name) if own else str(index)

    def named(self, atom: Atom) -> Atom:
        """The atom with its text."""
        found = KEY.fullmatch(atom.key)
        if found is None:
            return replace(atom, text="output") if atom.key == "output" else atom
        layer, parts = found["layer"], [part.split("=") for part in found["components"].split()]
        values = {name: int(value) for name, value in parts}
        names = tuple(values)
        if names == ("class",) and layer == "output":
            return replace(atom, text=f"output[{self.class_text(values['class'])}]")
        if names == ("group",):
            return replace(atom, text=str(values["group"]))
        if layer == "input" or set(names) not in [set(kind) for kind in KINDS] or ":" in layer:
            return atom
        order = next(kind for kind in KINDS if set(kind) == set(names))
        return replace(atom, text=f"{layer_text(layer)}.{KINDS[order]}[{', '.join(str(values[c]) for c in order)}]")

    def asking(self, element: Element, node: Node) -> Element:
        """The element with its atoms' texts and its pipes. ``node``: what it presents."""
        source = grouping.factorization(node)
        stages, start = self._stages(node)
        element = replace(element, atoms=tuple(map(self.named, element.atoms)))
        if not self.portrait:
            return element
        end = f" | present({self.portrait})"
        between = [word for stage, words in stages if stage is not source for word in (" | ", *words)]
        factorized = next((words for stage, words in stages if stage is source), None)
        group: tuple[str, ...] = ()
        if factorized is not None:
            layer = layer_text(start.type.layers[0])
            group = _holes([layer, " | ", *factorized, *between, " | filter(group == ", None, ")", end])
        plain = _holes([None, *between, end])
        return replace(element, pipe=plain, class_pipe=self._class_pipe(node), group_pipe=group)

    def _class_pipe(self, node: Node) -> tuple[str, ...]:
        """The strongest channels of the element's layer for a class."""
        layers = [layer for layer in node.type.layers if layer not in ("output", "input")]
        every = self.description.layers if self.description is not None else ()
        known = next((layer for layer in every if layers and layer.name == layers[-1]), None)
        if known is None or "channel" not in known.axes:
            return ()
        end = f") | top({MOST}) | present({self.portrait})"
        return (f"{layer_text(known.name)}.channel | attribute(", "", end)

    def _stages(self, node: Node) -> tuple[list[tuple[Node, Written]], Node]:
        """What the pipe does with every atom by itself, first stage first; and the node that it starts at."""
        stages: list[tuple[Node, Written]] = []
        while len(node.inputs) == 1:
            node = node.inputs[0]
            operation = self.registry.operations.get(node.op)
            words = operation.written(node, self.class_text) if operation is not None else None
            if words is not None:
                stages.insert(0, (node, words))
        return stages, node


def _holes(words: list[str | Node | None]) -> tuple[str, ...]:
    """Words and holes in turn: "" for the atom, else the id of a selection."""
    made = [""]
    for word in words:
        if isinstance(word, str):
            made[-1] += word
        else:
            made += ["" if word is None else word["id"], ""]
    return tuple(made)

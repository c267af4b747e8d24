"""Texts that ask about one atom: what a page copies for a channel, a position, a group or a class."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from bbilang.compiler.check.class_names import class_index
from bbilang.compiler.contract import Fail, Registry, Written
from bbilang.compiler.contract.written import target_text
from bbilang.compiler.ir.model_description import NOT_PICTURES, ModelDescription
from bbilang.compiler.ir.program import Node, walk
from bbilang.compiler.ir.spelling import layer_text, name_text, quoted
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.view import groups as grouping
from bbilang.runtime.view.model import Atom, Element
from bbilang.runtime.view.pipes.pairs import columns_of, pairs_of

KEY = re.compile(r"(?P<layer>.*?)(?P<components>(?: [\w.]+=\d+)+)")
KINDS = {
    ("channel",): "channel",
    ("y", "x"): "spatial",
    ("y", "x", "channel"): "neuron",
    ("token",): "token",
    ("token", "channel"): "neuron",
    ("frame",): "frame",
    ("frame", "channel"): "neuron",
    ("y", "frame", "channel"): "neuron",
    ("head",): "head",
    ("token", "head", "channel"): "neuron",
}  # components -> atom's kind
INPUT_KINDS = {**KINDS, ("y", "x"): "pixel"}
MOST = 8  # atoms of a layer that a class is asked about


class PipeWriter:
    """Writes pipes for the elements of one page.

    On a page without an input a pipe asks which examples of the dataset excite the atom most, and brings the statement
    of that dataset with it.

    Left without a pipe, since a text has no words for them: atoms of an attribution by several methods (a list of
    methods cannot be drawn for one atom), to a probability, or to atoms that the page ranked; of a network under
    another name; groups of a network that does not read pictures.
    """

    def __init__(self, registry: Registry, description: ModelDescription | None, has_input: bool = True):
        self.registry, self.description, self.has_input = registry, description, has_input
        pictures = description is not None and description.reads not in NOT_PICTURES and description.reads != "text"
        styles = list(registry.styles.values())
        self.portrait = next((style.name for style in styles if style.portrays and pictures), "")
        self.number = next((style.name for style in styles if style.states_one), "")
        self.table = next((style.name for style in styles if style.tabulates), "")
        self.gallery = next((style.name for style in styles if style.shows_examples), "")
        self.retrieval = next((name for name, operation in registry.operations.items() if operation.retrieves), "")

    def classes_text(self, indices: Sequence[int]) -> str | None:
        """Return scores of classes as written in `output[...]`, with their box; None where they are in different
        boxes."""
        known = self.description
        (place, *others) = {known.at_box(index) if known is not None else "" for index in indices}
        return None if others else f"{', '.join(map(self._class_text, indices))}{place}"

    def _class_text(self, index: int) -> str:
        """Return a class: its name if that is unique, else its number."""
        if self.description is not None and self.description.scores_map:
            index %= self.description.map_classes
        labels = self.description.labels if self.description is not None else ()
        name = labels[index].split(",")[0].strip() if index < len(labels) else ""
        try:
            own = self.description is not None and bool(name) and class_index(self.description, name) == index
        except Fail:
            own = False
        return quoted(name) if own else str(index)

    def field_text(self, node: Node) -> Written | None:
        """Write a pipe that results in the same atoms as a node."""
        operation = self.registry.operations.get(node.op)
        if operation is None or operation.head:
            return operation.written(node, self) if operation is not None else None
        before, words = self.field_text(node.inputs[0]), operation.written(node, self)
        if before is None or words is None:
            return None
        return (*before, " | ", *words) if words else before

    def stage_text(self, node: Node) -> Written | None:
        """Write the last stage of that pipe, with its name."""
        words = self.registry.operations[node.op].written(node, self)
        return (node.op,) if words == () else words

    def named(self, atom: Atom) -> Atom:
        """Return the atom with its text."""
        match = KEY.fullmatch(atom.key)
        if match is None:
            return replace(atom, text="output") if atom.key == "output" else atom
        layer, parts = match["layer"], [part.split("=") for part in match["components"].split()]
        values = {name: int(value) for name, value in parts}
        names = tuple(values)
        if names == ("class",) and layer == "output":
            return replace(atom, text=f"output[{self.classes_text([values['class']])}]")
        if names == ("group",):
            return replace(atom, text=str(values["group"]))
        if set(names) not in [set(kind) for kind in KINDS] or ":" in layer:
            return atom
        order = next(kind for kind in KINDS if set(kind) == set(names))
        start = f"input.{INPUT_KINDS[order]}" if layer == "input" else f"{layer_text(layer)}.{KINDS[order]}"
        return replace(atom, text=f"{start}[{', '.join(str(values[c]) for c in order)}]")

    def asking(self, element: Element, node: Node) -> Element:
        """Return the element with its atoms' texts and its pipes. ``node``: the node that it presents."""
        pairs = pairs_of(element, node, self)
        if pairs is not None:
            return replace(element, atoms=pairs.atoms, pipe=holes([None, *pairs.end]))
        members = _members(node)
        if members and node.type.content == "weight":
            return columns_of(element, members, self)
        element = replace(element, atoms=tuple(map(self.named, element.atoms)))
        if not self.has_input:
            pipe = self._of_examples(node)
            return replace(element, pipe=pipe, class_pipe=pipe)
        if members:
            pipes = {key: pipe for pair in pairwise(members) for key, pipe in self._flowing(*pair)}
            return replace(element, layer_pipes=pipes, class_pipe=self._class_pipe(node))
        source = grouping.factorization(node)
        between = self.between(node, source)
        end = self._end(node.type)
        if between is None or not end:
            return element
        groups = self.field_text(source) if source is not None else None
        grouped = holes([*groups, *between, *_ONE_GROUP, end]) if groups and end != self._present(self.number) else ()
        plain = holes([None, *between, end])
        scores = node.type.layers == ("output",)
        of_class = self._score_pipe(element, node, between) if scores else self._class_pipe(node)
        return replace(element, pipe=plain, class_pipe=of_class, group_pipe=grouped)

    def _of_examples(self, node: Node) -> tuple[str, ...]:
        """Return the pipe from an atom to the examples that excite it most."""
        source = next((n for n in walk(node) if n.type.content == "dataset" and not n.inputs), None)
        called = source.get("called") if source is not None else None
        if source is None or not called or not (self.gallery and self.retrieval):
            return ()
        statement = f"dataset {name_text(called)} = {quoted(source['path'])}\n"
        end = f" | {self.retrieval}({name_text(called)}){self._present(self.gallery)}"
        return holes([statement, None, end])

    def _score_pipe(self, element: Element, node: Node, between: list[str | Node]) -> tuple[str, ...]:
        """Return the pipe from a class to its score, or to its picture where the element draws pictures; none where the
        score is no logit, which an atom's text does not say."""
        while node.inputs:
            node = node.inputs[0]
        if node.op != "output" or node.get("score") not in (None, "logit"):
            return ()
        portrays = self.registry.styles[element.style].portrays
        return holes([None, *between, self._present(self.portrait if portrays else self.number)])

    def _flowing(self, member: Node, after: Node) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield (prefix of the keys of its groups, the pipe from a group of a flow to what it leads to)."""
        to, groups = target_text(after, self), self.field_text(member)
        if to is not None and groups is not None:
            end = self._present(self.portrait if after.type.content == "score" and self.portrait else self.table)
            words = holes([*groups, " | attribute(", *to, ")", *_ONE_GROUP, end])
            yield grouping.key_prefix(member, member.type.layers[0], {"group": 0}), words

    def _class_pipe(self, node: Node) -> tuple[str, ...]:
        """Return the pipe for a class: the strongest channels of the element's layer."""
        layers = [layer for layer in node.type.layers if layer not in ("output", "input")]
        every = self.description.layers if self.description is not None else ()
        known = next((layer for layer in every if layers and layer.name == layers[-1]), None)
        if not self.portrait or known is None or known.is_heads or "channel" not in known.axes:
            return ()
        end = f") | top({MOST}) | present({self.portrait})"
        return (f"{layer_text(known.name)}.channel | attribute(", "", end)

    def between(self, node: Node, source: Node | None = None) -> list[str | Node] | None:
        """Write the stages that apply to a single atom, from the last content on; None if a text has no words for that
        content."""
        words: list[str | Node] = []
        while len(node.inputs) == 1 and node.inputs[0] is not source:
            node = node.inputs[0]
            operation = self.registry.operations.get(node.op)
            if operation is None or operation.head:
                break
            stage = operation.written(node, self)
            if operation.of_interventions:  # with its intervention; else the pipe asks about the atom alone
                change = self.registry.operations[node.inputs[0].op].written(node.inputs[0], self)
                return [" | ", *change, " | ", *stage, *words] if change and stage else []
            if stage:
                words = [" | ", *stage, *words]
            if operation.content:  # it replaces the contents before it
                return words if stage is not None else None
        return words

    def _end(self, type: FieldType) -> str:
        """Write the stage that draws one atom of a field."""
        linked = [axis.name for axis in type.axes if axis.name.startswith("to.")]
        if linked:
            return self._present(self.table) if linked == ["to.group"] else ""
        if self.portrait and type.layers != ("input",):
            return self._present(self.portrait)
        several = type.axis("class") is not None
        return self._present(self.table if several else self.number)

    def _present(self, style: str) -> str:
        return f" | present({style})" if style else ""


_ONE_GROUP = (" | filter(group == ", None, ")")


def _members(node: Node) -> tuple[Node, ...]:
    """Return the linked fields of a flow."""
    while node.type.atom == "list" and len(node.inputs) == 1:
        node = node.inputs[0]
    return node.inputs if node.type.atom == "list" else ()


def holes(words: Iterable[str | Node | None]) -> tuple[str, ...]:
    """Return words and holes alternating: "" for the atom, else the id of a selection."""
    made = [""]
    for word in words:
        if isinstance(word, str):
            made[-1] += word
        else:
            made += ["" if word is None else word["id"], ""]
    return tuple(made)

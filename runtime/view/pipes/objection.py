"""The line by which a reader objects to evidence: `model mended = a | discourage(atoms -> score, data=photos)`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from bbilang.compiler.contract import Registry
from bbilang.compiler.contract.written import target_text
from bbilang.compiler.ir.program import Node, PerExample, Program, walk
from bbilang.compiler.ir.spelling import name_text
from bbilang.grammar import ast
from bbilang.grammar.parse import parse
from bbilang.runtime.view.model import Element
from bbilang.runtime.view.pipes.writer import PipeWriter, holes

NAME = "mended"
SOME_DATA = "photos"  # where the text has no dataset with labels


class Objector(PipeWriter):
    """Writes these lines too for the elements of one page. Without an operation that discourages evidence there are
    none."""

    def __init__(self, registry: Registry, program: Program):
        super().__init__(registry, program.description, bool(program.inputs))
        self.stage = next((name for name, one in registry.operations.items() if one.discourages), "")
        first = program.models[0]
        self.models = {slot.alias: slot.alias or name_text(slot.name) for slot in program.models}
        self.base = first.alias or name_text(first.name)
        names = (f"{NAME}{number}" for number in ("", *range(2, 3 + len(self.models))))
        self.name = next(name for name in names if name not in self.models)
        self.data = next(chain(_labelled(program), _unused(program)), SOME_DATA)

    def asking(self, element: Element, node: Node) -> Element:
        """Return the element with its atoms' texts, its pipes and its line. ``node``: the node that it presents."""
        line = self._line(node)
        return replace(super().asking(element, node), objection=holes(line) if line else ())

    def _line(self, node: Node) -> tuple[str | Node | None, ...]:
        """Return the line for the marks of an element, with None where the atom's text stands; nothing where its
        numbers are no evidence for one score."""
        shown = self._evidence(node)
        if shown is None or not self.stage:
            return ()
        target: Node = shown[self.registry.operations[shown.op].evidence]
        if target.type.content != "score" or target.inputs or target.type.axis("class") is not None:
            return ()
        words = target_text(target, self)
        if words is None:
            return ()
        base = self.models.get(shown.type.model, self.base)
        return (f"model {self.name} = {base} | {self.stage}(", None, " -> ", *words, f", data={self.data})")

    def _evidence(self, node: Node) -> Node | None:
        """Return the node whose numbers an element shows, if they are evidence: nothing after it makes others."""
        while True:
            operation = self.registry.operations.get(node.op)
            if operation is not None and operation.evidence:
                return node
            each = [value.node for _, value in node.parameters if isinstance(value, PerExample)]
            before = node.inputs or tuple(each)
            if len(before) != 1 or (operation is not None and operation.content):
                return None
            (node,) = before


def _labelled(program: Program) -> Iterator[str]:
    """Yield the names of the datasets with labels."""
    for node in _every(program):
        if node.type.content == "dataset" and any(column == "label" for column, _ in node.type.columns):
            called = node.get("called")
            if isinstance(called, str) and called:
                yield name_text(called)


def _unused(program: Program) -> Iterator[str]:
    """Yield the names of all datasets of the text: those that nothing shows may have labels, too."""
    if program.source is not None:
        statements = parse(program.source).statements
        yield from (name_text(one.name.text) for one in statements if isinstance(one, ast.Dataset))


def _every(program: Program) -> Iterator[Node]:
    for node in walk(*program.roots):
        yield node
        for _, value in node.parameters:
            if isinstance(value, PerExample):
                yield from walk(value.node)

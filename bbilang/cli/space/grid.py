"""The space of interfaces: which elements of some pages lie in which cell of layers and atoms, and what fills the
others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bbilang.compiler.complete.sentences import sentence
from bbilang.compiler.ir.program import OUTPUT, Node, Program, walk
from bbilang.compiler.ir.spelling import layer_text, name_text
from bbilang.compiler.ir.types import ATOMS
from bbilang.completions import Completions
from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.source import Source
from bbilang.pipeline import Request
from bbilang.registry import registry

INPUT = "input"
CELL = "{}.{} | attribute(output) | present(?)"
OTHERS = ("{}.{} | attribute(output) | top(8) | present(?)", "{}.{} | present(?)")  # where nothing fits the first


@dataclass(frozen=True)
class Point:
    """One element of a page: what it shows of the atoms of a layer. ``links``: the other layers that its numbers
    connect these with."""

    page: int
    element: str
    content: str
    style: str
    words: str
    links: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """The atoms of one kind of one layer. ``text``: of an empty cell, a text that fills it; empty where there are no
    such atoms."""

    layer: str
    atom: str
    points: tuple[Point, ...]
    text: str = ""


@dataclass(frozen=True)
class Grid:
    """``rows``: a layer and its cells, one for each of ``atoms``. ``files``: the page of each text, as a link; empty
    where none was made."""

    model: str
    pages: tuple[str, ...]
    files: tuple[str, ...]
    atoms: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]

    @property
    def filled(self) -> int:
        return sum(bool(cell.points) for _, cells in self.rows for cell in cells)

    @property
    def empty(self) -> int:
        return sum(bool(cell.text) for _, cells in self.rows for cell in cells)

    def to_json(self) -> dict[str, object]:
        """Return the pages, and every cell that has elements or that a text fills."""
        cells = [cell for _, row in self.rows for cell in row if cell.points or cell.text]
        return {"model": self.model, "pages": list(self.pages), "cells": [asdict(cell) for cell in cells]}


def grid(programs: Sequence[Program], names: Sequence[str], files: Sequence[str] = ()) -> Grid:
    """Place the elements of some pages of one model. ``files``: a link to each page, or an empty text."""
    places: dict[tuple[str, str], list[Point]] = {}
    for page, program in enumerate(programs):
        for element in program.elements:
            for layer, atom, links in _places(element.node):
                content = element.node.type.content
                words = sentence(element.node, registry())
                point = Point(page, element.id, content, str(element.node["style"]), words, links)
                places.setdefault((layer, atom), []).append(point)
    description = programs[0].description
    assert description is not None
    used = {layer for layer, _ in places}
    main = [layer.name for layer in description.layers if "." not in layer.name or layer.name in used]
    layers = (INPUT, *main, OUTPUT)
    atoms = tuple(atom for atom in ATOMS if atom in {"spatial", "channel", "neuron", "whole"} | {a for _, a in places})
    name = programs[0].models[0].name
    rows = tuple(
        (layer, tuple(_cell(layer, atom, tuple(places.get((layer, atom), ())), name) for atom in atoms))
        for layer in layers
    )
    return Grid(description.title or description.name, tuple(names), tuple(files) or ("",) * len(names), atoms, rows)


def _places(node: Node) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return (layer, atom, connected layers) of what an element shows."""
    start = node
    while start.inputs:
        start = start.inputs[0]
    layers = start.type.layers if start.op != "input" else (INPUT,)
    known = {name for each in walk(node) if each.type.content not in ("selection", "picture") for name in
             (*each.type.layers, *each.type.linked)}  # fmt: skip
    atom = node.type.atom if node.type.atom != "list" else "group"
    return [(layer, atom, tuple(sorted(known - {layer}))) for layer in layers]


def _cell(layer: str, atom: str, points: tuple[Point, ...], model: str) -> Cell:
    if points or atom in ("group", "example", "direction"):
        return Cell(layer, atom, points)
    written = layer if layer in (INPUT, OUTPUT) else layer_text(layer)
    for form in (CELL, *OTHERS):
        text = f"model {name_text(model)}\n{form.format(written, atom)}"
        try:
            first = next(iter(Completions(Request(Source(text), input=("picture 1",)))), None)
        except BbiError:
            continue
        if first is not None:
            return Cell(layer, atom, (), first.filled.pipes[0])
    return Cell(layer, atom, ())

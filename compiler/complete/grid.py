"""The space of interfaces as a grid: what pages show of each kind of atom of each layer, and what fills the cells that
none shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, TypeAlias

from bbilang.compiler.check.check import DEFAULT_MODEL
from bbilang.compiler.check.options import Options
from bbilang.compiler.check.statements.places import GIVEN, INPUT, SOME_PICTURE
from bbilang.compiler.complete.completions import complete
from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.program import OUTPUT, Node
from bbilang.compiler.ir.spelling import layer_text, name_text
from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.frozen import frozen
from bbilang.grammar.parse import parse
from bbilang.grammar.source import Source

CELL = "{}.{} | attribute(output) | present(?)"
OTHERS = ("{}.{} | attribute(output) | top(8) | present(?)", "{}.{} | present(?)")  # where nothing fits the first
Plain: TypeAlias = tuple[Any, ...]  # grids as tuples, numbers and words
MADE = ("group", "example", "direction")  # atoms that an operation makes


@frozen
class Point:
    """One element of a page: what it shows of the atoms of a layer. ``links``: the other layers that its numbers
    connect these with."""

    page: int
    element: str
    content: str
    style: str
    words: str
    links: tuple[str, ...]


@frozen
class Cell:
    """The atoms of one kind of one layer. ``text``: of an empty cell, a text that fills it; empty where there are no
    such atoms, or an operation has to make them."""

    layer: str
    atom: str
    points: tuple[Point, ...]
    text: str = ""


@frozen
class Grid:
    """The cells of one model. ``pages``: titles of those that show something of it; ``files``: a link to each, or an
    empty text. ``rows``: a layer and its cells, one for each of ``atoms``."""

    model: str
    pages: tuple[str, ...]
    files: tuple[str, ...]
    atoms: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]

    @property
    def filled(self) -> int:
        """How many cells a page shows something of."""
        return sum(bool(cell.points) for _, cells in self.rows for cell in cells)

    @property
    def empty(self) -> int:
        """How many cells a text could fill."""
        return sum(bool(cell.text) for _, cells in self.rows for cell in cells)

    def to_json(self) -> dict[str, object]:
        """Return the pages, and every cell that has elements or that a text fills."""
        cells = [cell for _, row in self.rows for cell in row if cell.points or cell.text]
        return {"model": self.model, "pages": list(self.pages), "cells": [asdict(cell) for cell in cells]}


def grids(
    node: Node, registry: Registry, given: ModelDescription | None = None, files: Sequence[str] = ()
) -> tuple[Grid, ...]:
    """Return a grid for each network of a `places` node. ``given``: of a caller's own network. ``files``: a link to
    each page, or an empty text."""
    return tuple(
        _grid(number, node, registry, given, tuple(files) or ("",) * len(node["pages"]))
        for number in range(len(node["networks"]))
    )


def _grid(number: int, node: Node, registry: Registry, given: ModelDescription | None, files: tuple[str, ...]) -> Grid:
    name, title, layers, atoms = node["networks"][number]
    own = [point for point in node["points"] if point[1] == number]
    pages = list(dict.fromkeys(page for page, *_ in own))
    places: dict[tuple[str, str], list[Point]] = {}
    for page, _, element, layer, atom, content, style, words, links in own:
        point = Point(pages.index(page), element, content, style, words, links)
        places.setdefault((layer, atom), []).append(point)
    options = Options(inputs=SOME_PICTURE, description=given if name == GIVEN else None)

    def cell(layer: str, atom: str) -> Cell:
        points = tuple(places.get((layer, atom), ()))
        text = "" if points or atom in MADE else _text(layer, atom, name, registry, options)
        return Cell(layer, atom, points, text)

    rows = tuple((layer, tuple(cell(layer, atom) for atom in atoms)) for layer in layers)
    titles, links = tuple(node["pages"][page] for page in pages), tuple(files[page] for page in pages)
    return Grid(title, titles, links, atoms, rows)


def _text(layer: str, atom: str, model: str, registry: Registry, options: Options) -> str:
    """Return the best pipe that shows such atoms; empty where none does."""
    written = layer if layer in (INPUT, OUTPUT) else layer_text(layer)
    head = "" if model == GIVEN else f"model {name_text(model)}\n"
    for form in (CELL, *OTHERS):
        try:
            found = complete(parse(Source(head + form.format(written, atom))), registry, options)
        except BbiError:
            continue
        if found:
            return ("" if model == DEFAULT_MODEL else head) + found[0].filled.pipes[0]
    return ""


def plain(made: Sequence[Grid]) -> Plain:
    """Return grids as tuples, numbers and words."""
    return tuple(
        (grid.model, grid.pages, grid.files, grid.atoms, tuple(
            (layer, tuple((cell.layer, cell.atom, tuple(
                (it.page, it.element, it.content, it.style, it.words, it.links) for it in cell.points
            ), cell.text) for cell in cells)) for layer, cells in grid.rows
        )) for grid in made
    )  # fmt: skip


def from_plain(made: Plain) -> tuple[Grid, ...]:
    """Return the grids of `plain`."""
    return tuple(
        Grid(model, pages, files, atoms, tuple(
            (layer, tuple(
                Cell(of, atom, tuple(Point(*point) for point in points), text) for of, atom, points, text in cells
            )) for layer, cells in rows
        )) for model, pages, files, atoms, rows in made
    )  # fmt: skip

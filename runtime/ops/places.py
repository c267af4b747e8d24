"""What `present(space)` draws: where pages lie among layers and kinds of atoms, and what is empty."""

from __future__ import annotations

import numpy as np

from bbilang.compiler.check.statements.places import OPERATION
from bbilang.compiler.complete.grid import Cell, Grid, grids, plain
from bbilang.compiler.contract import Operation, Registry, Run
from bbilang.compiler.ir.program import Node
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.fields.places import Places


class PlacesOfPages(Operation):
    """How many elements show the atoms of each kind of each layer. Cells that none shows are filled as `bbi complete`
    fills a hole."""

    name = OPERATION
    head = True

    def phrase(self, node: Node, registry: Registry) -> str:
        return ""

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        made = grids(node, run.registry, run.adapter.description)
        atoms = list(dict.fromkeys(atom for grid in made for atom in grid.atoms))
        several = len(made) > 1
        names = [f"{grid.model}: {layer}" if several else layer for grid in made for layer, _ in grid.rows]
        rows = [_counts(cells, atoms) for grid in made for _, cells in grid.rows]
        values = Named(("place", "measure"), np.array(rows, np.float32))
        labels = {"place": np.array(names, object), "measure": np.array(atoms, object)}
        return Places(
            node.type, values,
            {name: Named((name,), np.arange(size)) for name, size in values.sizes.items()},
            {name: Named((name,), array) for name, array in labels.items()},
            title="The space of interfaces", finding=_finding(made, len(node["pages"])),
            formats=("d",) * len(atoms), cells=plain(made),
        )  # fmt: skip


def _counts(cells: tuple[Cell, ...], atoms: list[str]) -> list[float]:
    """Return how many elements each column has; NaN where there is neither an element nor a text that fills it."""
    known = {cell.atom: float(len(cell.points)) for cell in cells if cell.points or cell.text}
    return [known.get(atom, float("nan")) for atom in atoms]


def _finding(made: tuple[Grid, ...], pages: int) -> str:
    """Say how much of the space is shown."""
    filled, empty = sum(grid.filled for grid in made), sum(grid.empty for grid in made)
    shown = f"{pages} pages show" if pages > 1 else "this page shows"
    of = f"{len(made)} networks" if len(made) > 1 else made[0].model
    cells = f"{filled} cells" if filled > 1 else "one cell"
    return f"{shown} something of {cells} of {of}; {empty} others are empty and could be shown"


OPERATIONS = (PlacesOfPages(),)

"""Where pages lie in the space of interfaces: how many elements each cell has, and what fills the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bbilang.compiler.complete.grid import Grid, from_plain
from bbilang.runtime.fields.findings import Findings


@dataclass
class Places(Findings):
    """A row for each layer of each network, a column for each kind of atom; NaN where no text shows such atoms.
    cells: the grids as plain tuples (`compiler.complete.grid.plain`)."""

    cells: tuple[Any, ...] = ()

    @property
    def grids(self) -> tuple[Grid, ...]:
        """The grids, one for each network."""
        return from_plain(self.cells)

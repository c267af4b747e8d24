"""Which layers of heads a program needs while it runs."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from bbilang.compiler.ir.program import Program, walk

if TYPE_CHECKING:
    from bbilang.runtime.models.adapter import Adapter


def heads_of(program: Program, adapter: Adapter) -> AbstractContextManager[None]:
    """Mount the layers of heads that a program reads or changes, or keeps for later models, for as long as it runs."""
    from bbilang.runtime.passes.module.heads import heads_mounted

    scanned = [node for scan in program.scans for node in scan.contents]
    names = {name for node in walk(*program.roots, *scanned) for name in node.type.layers}
    names |= {name for forward in program.forwards for name in forward.layers}
    names |= {*program.lent.values, *program.lent.entered} if program.lent else set()
    layers = [layer for layer in adapter.description.layers if layer.is_heads and layer.name in names]
    return heads_mounted(adapter.module, layers)

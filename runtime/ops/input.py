"""`input`: the picture itself."""

from __future__ import annotations

import numpy as np

from bbilang.compiler.contract import Operation, Run
from bbilang.compiler.ir.program import Node
from bbilang.runtime.fields.field import Field, Named


class Input(Operation):
    """The pictures as the network sees them, brightness (input, y, x) in 0..1; the colours go with the results."""

    name = "input"
    head = True

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        grey = run.pictures.mean(-1).astype(np.float32) / 255
        coords = {name: Named((name,), np.arange(size)) for name, size in zip(node.type.names, grey.shape, strict=True)}
        return Field(node.type, Named(node.type.names, grey), coords)


OPERATIONS = (Input(),)

"""What of a pipe is the same for every example of a dataset: coordinates and names of its atoms and targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.ir.program import Node
from bbilang.runtime.fields.field import Field, Named

if TYPE_CHECKING:
    from bbilang.runtime.execution.context import Run


class _Frames:
    """Kernels of the atoms and targets of a pipe, for what is the same for every example: they read no numbers."""

    def __init__(self, run: Run):
        classes = run.adapter.description.classes
        self.registry, self.label = run.registry, run.label
        self.scores = self.probabilities = np.zeros((1, max(classes, 1)), np.float32)

    def value(self, node: Node) -> Field:
        inputs = tuple(self.value(child) for child in node.inputs)
        return self.registry.operations[node.op].kernel(node, inputs, self)  # type: ignore[arg-type]


def constant_parts(node: Node, run: Run) -> tuple[dict[str, Named], dict[str, Named]]:
    """Return the coordinates and names of a content that are the same for every example."""
    frames = _Frames(run)
    parts = [frames.value(node.inputs[0] if node.inputs else node)]
    parts += [frames.value(value) for _, value in node.parameters
              if isinstance(value, Node) and value.type.content == "score"]  # fmt: skip
    coords = {name: array for part in parts for name, array in part.coords.items() if "input" not in array.dims}
    names = {name: array for part in parts for name, array in part.names.items()
             if "input" not in array.dims and name not in node.type.spent}  # fmt: skip
    own = {component for axis in node.type.axes for component in axis.components} | {"class", "target"}
    return {name: array for name, array in coords.items() if name in own}, names

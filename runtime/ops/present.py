"""`present(style, ...)`: the end of a pipe. The numbers pass through; the style draws them (runtime/styles)."""

from __future__ import annotations

from typing import Any

from bbilang.compiler.ir import Node
from bbilang.compiler.op import Operation
from bbilang.compiler.present import PARAMETERS
from bbilang.runtime.field import Field


class Present(Operation):
    """Draws a field. Every axis must be spent: by the style, by `facet=`, or handed to the reader by `at`."""

    name = "present"
    parameters = PARAMETERS
    example = 'block5c.expand.spatial | attribute(output) | present(heatmap, title="Where the evidence is")'

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Any) -> Field:
        return inputs[0].with_values(inputs[0].values, node.type)


OPERATIONS = (Present(),)

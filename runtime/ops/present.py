"""`present(style, ...)`: the end of a pipe. The numbers pass through; the style draws them (runtime/styles)."""

from __future__ import annotations

from bbilang.compiler.check.present import PARAMETERS
from bbilang.compiler.contract import Operation, Registry, Run
from bbilang.compiler.ir.program import Node
from bbilang.runtime.fields.field import Field, Linked


class Present(Operation):
    """Draws a field. Every axis must be spent: drawn by the style, laid out by `facet=`, or left to the reader by `at`.

    The axes of its numbers are, in this order, the states, the inputs, and the field's own axes.
    """

    name = "present"
    of_datasets = True
    draws = True
    adds_up = True
    parameters = PARAMETERS
    example = 'block6a.expand.spatial | attribute(output) | present(heatmap, title="Where the evidence is")'

    def phrase(self, node: Node, registry: Registry) -> str:
        style = registry.styles[node["style"]]
        facet = f", one for each {node['facet']}" if node["facet"] else ""
        return f"drawn as {style.drawn_as or style.name.replace('_', ' ')}{facet}"

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        if isinstance(inputs[0], Linked):  # several fields, each with axes of its own
            nodes, pairs = _plain(inputs[0].nodes), _plain(inputs[0].pairs)
            return Linked(node.type, inputs[0].values, notes=inputs[0].notes, nodes=nodes, pairs=pairs)
        values = inputs[0].values
        order = [axis.name for axis in (*node.type.states, *node.type.axes) if axis.name in values.dims]
        return inputs[0].with_values(values.ordered(order), node.type)


def _plain(fields: tuple[Field, ...]) -> tuple[Field, ...]:
    """Strip the fields to what a page needs: of groups not the factors, which no cache record holds."""
    return tuple(field.with_values(field.values, field.type) for field in fields)


OPERATIONS = (Present(),)

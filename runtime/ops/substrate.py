"""`mixed4d.channel`: the atoms of a layer, before any content."""

from __future__ import annotations

import numpy as np

from bbilang.compiler.contract import Batch, Operation, Registry, Run, TensorField, Writer, Written
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.spelling import layer_text
from bbilang.runtime.fields.field import Field, Named


class Substrate(Operation):
    """The atoms of one layer, or of several with an axis `layer`. Values are 0, and NaN beyond a smaller layer."""

    name = "substrate"
    head = True

    def written(self, node: Node, writer: Writer) -> Written | None:
        if len(node.type.layers) != 1 or node.type.model:
            return None
        layer, atom = node.type.layers[0], node.type.atom
        name = layer if layer == "input" else layer_text(layer)
        return (name if atom == "whole" else f"{name}.{atom}",)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        type = node.type
        coords = {axis.name: Named((axis.name,), np.arange(axis.size)) for axis in type.axes}
        dims = type.names
        shape = tuple(axis.size for axis in type.axes)
        ragged = [axis for axis in type.axes if axis.sizes and len(set(axis.sizes)) > 1]
        values = Named(dims, np.broadcast_to(np.float32(0), shape))
        for axis in ragged:
            inside = np.arange(axis.size)[None, :] < np.array(axis.sizes)[:, None]
            edge = Named(("layer", axis.name), np.where(inside, 0.0, np.nan).astype(np.float32))
            values = Named(dims, values.data + edge.spread(dims))
        return Field(type, values, coords)

    def differentiable(self, node: Node, value: TensorField | None, batch: Batch, registry: Registry) -> TensorField:
        """Return no numbers: the content after it makes them."""
        return TensorField((), batch.activation(node.type.layers[0]).new_zeros(()))


class PickAtom(Operation):
    """`mixed4d.channel[447]`: one atom of a layer. Indices count from zero, positions are (y, x)."""

    name = "pick_atom"
    head = True

    def written(self, node: Node, writer: Writer) -> Written | None:
        atoms = writer.field_text(node.inputs[0])
        return None if atoms is None else (*atoms, f"[{', '.join(map(str, node['index']))}]")

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (field,) = inputs
        own = [axis for axis in field.type.axes if axis.name not in ("input", "layer")]
        new = node.type.axes[-1].name
        for axis, number in zip(own, node["index"], strict=True):
            field = field.take(axis.name, Named((new,), np.array([number])))
        return field.with_values(field.values, node.type)


OPERATIONS = (Substrate(), PickAtom())

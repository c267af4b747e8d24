"""What the channels of a layer answer, as samples that another network has too; and all weights of a network.

Operations that compare networks are made of them: while one network is loaded, these are the numbers of the other.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import Activations, Arguments, Demand, ExamplesOf, Operation, Parameter, Registry, Run
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.runtime.errors import NotKept
from bbilang.runtime.fields.atoms import axes_of_atoms
from bbilang.runtime.fields.field import Field, Named

if TYPE_CHECKING:
    from torch import nn

RESPONSES, WEIGHTS = "responses", "all_weights"


class Responses(Operation):
    """The activations of a layer's channels: at every position of each input of the page, or the mean over positions of
    each example of a dataset."""

    name = RESPONSES
    head = True
    parameters = (Parameter("source", "dataset", "the examples", None), Parameter("each", "field", "of each", None))

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        axes = field.axes
        if arguments["source"] is not None:
            example = replace(arguments["source"].type.axes[0], whole=False)
            axes = (example, *(axis for axis in axes if axis.name != "input"))
        return replace(field, content="responses", axes=axes)

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        if node["source"] is None:
            return (Activations(node.type.layers),)
        return (ExamplesOf(node["source"], (node["each"].node,)),)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (layer,) = node.type.layers
        if node["source"] is None:
            axes = ("input", *axes_of_atoms("neuron", run.layer(layer)))
            return Field(node.type, Named(axes, run.reduced(node, layer, "neuron", "sum")))
        scanned = run.scanned(node["source"])
        values = scanned.field(node["each"].node).values.ordered(("input", "channel"))
        rows = Named(("example",), scanned.rows)
        return Field(node.type, values.renamed({"input": "example"}), {"example": rows}, notes=scanned.notes)


class AllWeights(Operation):
    """All parameters and buffers of a network, one after the other, with their names and shapes."""

    name = WEIGHTS
    head = True

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        return FieldType("weights", "whole", (), (Axis("parameter", 1, exact=False),), model=field.model)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        if not run.has_network:
            raise NotKept
        state = state_of(run.adapter.module)
        flat = [np.asarray(array, np.float32).ravel() for array in state.values()]
        named = [f"{name} {' '.join(map(str, array.shape))}" for name, array in state.items()]
        values = Named(("parameter",), np.concatenate(flat) if flat else np.zeros(0, np.float32))
        return Field(node.type, values, columns={"tensor": Named(("tensor",), np.array(named, object))})


def state_of(module: nn.Module) -> dict[str, np.ndarray]:
    """Return a network's floating-point parameters and buffers by name."""
    every = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    return {name: tensor.detach().float().cpu().numpy() for name, tensor in every if tensor.is_floating_point()}


def state_in(field: Field) -> dict[str, np.ndarray]:
    """Return the parameters and buffers that `AllWeights` laid out."""
    state, start = {}, 0
    for words in field.columns["tensor"].data.tolist():
        name, *sizes = words.split(" ")
        shape = tuple(int(size) for size in sizes if size)
        count = int(np.prod(shape, dtype=np.int64))
        state[name] = field.values.data[start : start + count].reshape(shape)
        start += count
    return state


OPERATIONS = (Responses(), AllWeights())

"""What the channels of a layer answer, as samples that another network has too; and all weights of a network.

Operations that compare networks are made of them: while one network is loaded, these are the numbers of the other.
"""

from __future__ import annotations

from collections.abc import Iterator
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

RESPONSES, PRODUCTS, WEIGHTS = "responses", "inner_products", "all_weights"
OTHER = "other"  # the axis of the second of two examples


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


class InnerProducts(Operation):
    """The inner products of what a layer answers to each two examples of a dataset, over all of its neurons, without
    their mean. Neurons are read from the disk, two shards at a time."""

    name = PRODUCTS
    head = True
    parameters = (Parameter("source", "dataset", "the examples"), Parameter("each", "field", "of each"))

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        example = replace(arguments["source"].type.axes[0], whole=False)
        return replace(field, content="responses", axes=(example, replace(example, name=OTHER, components=(OTHER,))))

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        return (ExamplesOf(node["source"], cubes=(node["each"].node,)),)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        from bbilang.runtime.matching.similarity import centred

        scanned, each = run.scanned(node["source"]), node["each"].node
        count, start = len(scanned.rows), 0
        products = np.zeros((count, count))
        for first in _flat(scanned.cubes(each)):
            other = 0
            for second in _flat(scanned.cubes(each)):
                if other > start:
                    break
                made = first @ second.T
                products[start : start + len(first), other : other + len(second)] = made
                products[other : other + len(second), start : start + len(first)] = made.T
                other += len(second)
            start += len(first)
        rows = Named(("example",), scanned.rows)
        values = Named(("example", OTHER), centred(products).astype(np.float32))
        return Field(node.type, values, {"example": rows}, notes=scanned.notes)


def _flat(pieces: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield what each shard holds as (example, neuron)."""
    for piece in pieces:
        yield piece.reshape(len(piece), -1).astype(np.float64)


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


OPERATIONS = (Responses(), InnerProducts(), AllWeights())

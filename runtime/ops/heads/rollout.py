"""`rollout(query=, keys=)`: attention followed from layer to layer, down to the network's input."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from bbilang.compiler.contract import Arguments, Fail, Run
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.errors import NotKept
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.ops.activation import rebuilt
from bbilang.runtime.ops.heads.attention import KEY, QUERY, Attention, weights_of


class Rollout(Attention):
    """Attention that is followed through several layers (attention rollout, Abnar and Zuidema 2020): for every token of
    the last layer (`query`), the share that each token (`key`) of the first layer's input has in it, if each layer
    mixed tokens by the mean of its heads' attention, half of it, and left the other half as it is.

    The shares of a query add up to 1. Values, the mixing of channels and the layers between are not looked at, so this
    is a picture of where information could come from, and no attribution. Name all layers from the first on.
    """

    name = "rollout"
    example = (
        'model "transformers:my_classifier"\ninput "text:The film was good."\n'
        "[layer.0.attention, layer.1.attention].head | rollout(query=0) | present(heatmap)"
    )

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        type, heads = super().type(field, arguments), field.axis("head")
        if heads is None or not heads.whole:
            help = "as in `[layer.0.attention, layer.1.attention].head | rollout`"
            raise Fail("E366", "`rollout` is of all heads of its layers, and some were left out", help)
        axes = tuple(axis for axis in type.axes if axis.name == "input")
        return replace(type, content="rollout", axes=axes, unit="share of a token")

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        if not run.has_network:
            raise NotKept
        (frame,) = inputs
        order = [layer.name for layer in run.adapter.description.layers]
        names = sorted(node.type.layers, key=order.index)
        last = run.layer(names[-1])
        mixed = np.eye(last.sizes["token"], dtype=np.float32)[None]
        for name in names:
            weights = weights_of(run, name, run.layer(name))
            absent = np.isnan(weights[:, 0])
            step = 0.5 * np.nan_to_num(weights).mean(1) + 0.5 * np.eye(weights.shape[-1], dtype=np.float32)
            mixed = step @ mixed
        mixed = np.where(absent, np.nan, mixed)
        dims: tuple[str, ...] = ("input", QUERY, KEY)
        if node["query"] is not None:
            mixed, dims = mixed[:, node["query"]], ("input", KEY)
        if node["keys"] == "patches":
            end = last.prefix + math.prod(last.grid)
            mixed = mixed[..., last.prefix : end].reshape(*mixed.shape[:-1], *last.grid)
            dims = (*dims[:-1], "y", "x")
        result = rebuilt(frame, node.type, Named(dims, mixed))
        result.coords = {"input": Named(("input",), np.arange(len(mixed)))}
        for axis in node.type.axes:
            if axis.name != "input":
                result.coords[axis.components[0]] = Named((axis.name,), np.arange(axis.size))
        listing = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
        result.notes += (f"the mean of the heads of each layer, {listing}, half of it, and the token itself, half",)
        return result


OPERATIONS = (Rollout(),)

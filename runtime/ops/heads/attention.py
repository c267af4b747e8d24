"""`attention(query=, keys=)`: which tokens each attention head looks at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bbilang.compiler.contract import (
    Activations,
    Again,
    Arguments,
    Demand,
    Fail,
    Operation,
    Parameter,
    Registry,
    Run,
)
from bbilang.compiler.ir.model_description import LayerDescription
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.runtime.errors import NotKept
from bbilang.runtime.fields.atoms import gather
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.fields.prose import percent
from bbilang.runtime.ops.activation import content_type, rebuilt, require_layer

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST = 64_000_000  # numbers, of four bytes each
QUERY, KEY = "query", "key"


class Attention(Operation):
    """Which tokens each head looks at: for every token (`query`), the share of its attention that each token (`key`)
    gets, as the network computes it. The shares of a query add up to 1.

    A weight says what a head reads, not what it does with it: a token that a head looks at may hardly change what the
    head gives. `ablate` and `effect` measure that. `query=` keeps the attention of one token, counted from zero, as 0
    for the class token of a vision transformer; `keys=patches` has its keys as positions `y` and `x` of the picture.
    """

    name = "attention"
    content = True
    decomposable = False
    example_needs = "a network with attention"
    parameters = (
        Parameter("query", "integer", "the number of the only token whose attention is kept", None, minimum=0,
                  maximum=1_000_000),
        Parameter("keys", "word", "`tokens`, or `patches`: positions of the picture", "tokens",
                  choices=("tokens", "patches")),
    )  # fmt: skip
    example = (
        'model "transformers:my_classifier"\ninput "text:The film was good."\n'
        "layer.1.attention.head | attention | present(matrix, facet=head)"
    )

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        require_layer(field, self.name)
        if field.atom != "head":
            help = "as in `layer.1.attention.head | attention | present(matrix, facet=head)`"
            raise Fail("E294", f"`attention` is of attention heads, and these are of the kind `{field.atom}`", help)
        return content_type(field, "attention", False, unit="share of a token's attention")

    def shaped(self, type: FieldType, arguments: Arguments, layers: Sequence[LayerDescription]) -> FieldType:
        tokens, grids = layers[0].sizes["token"], {layer.grid for layer in layers}
        if len({layer.sizes["token"] for layer in layers}) > 1:
            raise Fail("E560", "the layers have different numbers of tokens", "draw them one by one")
        axes = [Axis(QUERY, tokens, ("token",))]
        if (query := arguments["query"]) is not None:
            if query >= tokens:
                raise Fail(
                    "E560", f"there is no token {query}: the layer has {tokens}", "tokens count from zero", QUERY
                )
            axes = []
        if arguments["keys"] == "tokens":
            axes.append(Axis(KEY, tokens))
        elif grids == {()} or len(grids) > 1:
            help = "leave out `keys=patches`: keys are tokens"
            raise Fail("E560", "the tokens of these layers are no patches of a picture", help, "keys")
        else:
            axes += [Axis("y", layers[0].grid[0]), Axis("x", layers[0].grid[1])]
        heads = math.prod(axis.size for axis in type.axes if axis.name != "layer")
        count = max(heads, layers[0].sizes["head"]) * len(layers) * tokens * tokens
        if count > MOST:
            message = f"attention of {tokens:,} to {tokens:,} tokens, for every head, is {count:,} numbers"
            raise Fail("E560", message, f"at most {MOST:,} are computed: fewer inputs, layers or tokens")
        return replace(type, axes=(*type.axes, *axes))

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        inputs = node.type.axis("input")
        count = (inputs.size if inputs else 1) * len(node.type.layers)
        own = Again("the weights of attention, in passes of their own", count, node.type.layers)
        return (Activations(node.type.layers), own)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        if not run.has_network:
            raise NotKept
        (frame,) = inputs
        layers = {name: run.layer(name) for name in node.type.layers}
        maps, missed = {}, []
        for name, layer in layers.items():
            weights = weights_of(run, name, layer)
            if node["query"] is not None:
                weights = weights[:, :, node["query"]]
            if node["keys"] == "patches":
                end = layer.prefix + math.prod(layer.grid)
                missed.append(1 - float(np.nanmean(weights[..., layer.prefix : end].sum(-1))))
                weights = weights[..., layer.prefix : end].reshape(*weights.shape[:-1], *layer.grid)
            maps[name] = np.moveaxis(weights, (0, 1), (-2, -1))
        own = [axis.name for axis in node.type.axes if axis.name in (QUERY, KEY, "y", "x")]
        values = gather(frame, maps, layers, (*own, "input"))
        result = rebuilt(frame, node.type, values)
        for axis in node.type.axes:
            if axis.name in own:
                component = axis.components[0]
                result.coords[component] = Named((axis.name,), np.arange(axis.size))
        if {QUERY, KEY} <= set(node.type.names):
            result.notes += ("a row is a token that looks, a column what it looks at; a row adds up to 1",)
        if missed:
            result.notes += (f"{percent(float(np.mean(missed)))} of this attention goes to tokens that are no patches, "
                             "such as the class token, and is not drawn",)  # fmt: skip
        return result


def weights_of(run: Run, name: str, layer: LayerDescription) -> NDArray[np.float32]:
    """Return (input, head, query, key); NaN beyond the end of a shorter text."""
    from bbilang.runtime.passes.attention import attention_weights

    tokens, heads = layer.sizes["token"], layer.sizes["head"]
    whole = np.full((len(run.images), heads, tokens, tokens), np.nan, np.float32)
    for part in run.parts or (run,):
        weights = attention_weights(part.adapter, part.images, [name], part.passes)[name].cpu().numpy()
        rows = getattr(part, "rows", np.arange(len(whole)))
        own = weights.shape[-1]
        whole[rows, :, :own, :own] = weights
    return whole


OPERATIONS = (Attention(),)

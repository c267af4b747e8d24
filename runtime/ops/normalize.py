"""`normalize(scope=)`: divide by the largest magnitude."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bbilang.compiler.ir import Node, walk
from bbilang.compiler.op import Fail, Operation, Parameter
from bbilang.compiler.types import FieldType
from bbilang.runtime.field import Field, Named

WORDS = {
    "channel": "the largest magnitude of each channel",
    "layer": "the largest magnitude of each layer and input",
    "pair": "the largest magnitude of each pair of layers",
    "method": "the largest magnitude of each method and input",
    "global": "the largest magnitude of all",
}


class Normalize(Operation):
    """Divides by the largest magnitude within the scope, which the legend names: each channel, each layer, each method
    of several, each pair of layers that `link` or `attribute` joins, or all. Where the reader chooses the other end,
    its layer is one of the pair; the output is a layer, too."""

    name = "normalize"
    parameters = (
        Parameter("scope", "word", "within what the largest magnitude becomes 1", "layer", choices=tuple(WORDS)),
    )
    example = (
        "icons = block5c.expand.channel | attribute(output) | top(8) | present(featvis)\n"
        "block5c.expand.neuron | at(hover(icons)) | normalize(scope=channel) | present(heatmap)"
    )

    def type(self, field: FieldType, arguments: Mapping[str, Any]) -> FieldType:
        scope = arguments["scope"]
        if scope == "pair" and not _joins_layers(field):
            raise Fail(
                "E230",
                "the field does not join layers in pairs",
                "`link` does, as in `layers.channel | link(root)`; or use `scope=layer`",
                argument="scope",
            )
        if scope == "method" and field.axis("method") is None:
            raise Fail("E230", "the field is of one method", "use `scope=layer`", argument="scope")
        channels = [a for a in (*field.axes, *field.states) if "channel" in a.components]
        if scope == "channel" and not channels:
            raise Fail("E230", "the field has no channels to normalize apart", "use `scope=layer`", argument="scope")
        return replace(field, unit="share of the maximum", scope=WORDS[scope])

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Any) -> Field:
        (field,) = inputs
        values = field.values
        apart = _apart(node["scope"], field)
        magnitude = np.abs(np.nan_to_num(values.data, nan=0.0, posinf=np.inf, neginf=-np.inf))
        axes = tuple(i for i, d in enumerate(values.dims) if d not in apart)
        largest = magnitude.max(axes, keepdims=True) if axes else magnitude
        if node["scope"] == "pair":
            largest = _over_atoms_of_a_layer(largest, node, values.dims, run)
        data = np.where(largest > 0, values.data / np.where(largest > 0, largest, 1), values.data)
        return field.with_values(Named(values.dims, data), node.type)


def _joins_layers(field: FieldType) -> bool:
    """Whether its numbers are between the atoms of two layers."""
    other = any(axis.name.startswith("to.") for axis in field.axes) or bool(field.states)
    return field.content == "attribution" and other


def _apart(scope: str, field: Field) -> set[str]:
    """The axes along which each place is scaled by itself."""
    if scope == "global":
        return set()
    found = {"input", *(["method"] if scope == "method" else [])}
    own = scope if scope in field.coords else f"to.{scope}"  # what is attributed to atoms may have those alone
    for component in ("layer", "to.layer") if scope == "pair" else (own,):
        found |= set(field.coords[component].dims) if component in field.coords else set()
    if scope == "pair":
        found |= {state.name for state in field.type.states if "layer" in state.components}
    return found


def _over_atoms_of_a_layer(largest: np.ndarray, node: Node, dims: tuple[str, ...], run: Any) -> np.ndarray:
    """The largest of all the states whose atoms are of one layer, where it was the largest of each state."""
    for chosen in walk(node):
        if chosen.type.content != "selection" or chosen["id"] not in dims:
            continue
        layer = run.value(chosen).coords.get("layer")
        if layer is None:
            continue
        largest, axis = largest.copy(), dims.index(chosen["id"])
        along = np.moveaxis(largest, axis, 0)
        for number in np.unique(layer.data):
            same = layer.data == number
            along[same] = along[same].max(0)
    return largest


OPERATIONS = (Normalize(),)

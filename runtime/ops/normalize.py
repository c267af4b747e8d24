"""`normalize(scope=)`: divide by the largest magnitude."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bbilang.compiler.contract import Arguments, Fail, Operation, Parameter, Registry, Run
from bbilang.compiler.ir.program import Node, walk
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.fields.field import Field, Named

WORDS = {
    "channel": "scaled separately for each channel",
    "layer": "scaled separately for each layer and input",
    "pair": "scaled separately for each pair of layers",
    "method": "scaled separately for each method and input",
    "global": "the largest magnitude of all is 1",
}


class Normalize(Operation):
    """Divides by the largest magnitude within a scope, which the legend names: each channel, each layer, each method,
    each pair of layers that `link` or `attribute` connects, or the whole field. If the reader chooses the other end of
    the link, the layer of that end is part of the pair; the output counts as a layer."""

    name = "normalize"
    pure = idempotent = numbers_only = True
    parameters = (
        Parameter(
            "scope", "word", "the scope within which the largest magnitude becomes 1", "layer", choices=tuple(WORDS)
        ),
    )
    example = (
        "icons = block6a.expand.channel | attribute(output) | top(8) | present(featvis)\n"
        "block6a.expand.neuron | at(hover(icons)) | normalize(scope=channel) | present(heatmap)"
    )

    def phrase(self, node: Node, registry: Registry) -> str:
        return f"as shares of the largest of each {node['scope']}"

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
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

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (field,) = inputs
        values = field.values
        magnitude = np.abs(np.nan_to_num(values.data, nan=0.0, posinf=np.inf, neginf=-np.inf))
        largest = _largest(Named(values.dims, magnitude), _labels(node, field, run))
        data = np.where(largest > 0, values.data / np.where(largest > 0, largest, 1), values.data)
        return field.with_values(Named(values.dims, data), node.type)


def _joins_layers(field: FieldType) -> bool:
    """Return whether the field holds attributions between the atoms of two layers."""
    other = any(axis.name.startswith("to.") for axis in field.axes) or bool(field.states)
    return field.content == "attribution" and other


def _labels(node: Node, field: Field, run: Run) -> list[Named]:
    """Return labels, integers over some of the field's axes: numbers with equal labels are scaled together. They are
    the atoms' coordinates, not their positions: `top` mixes channels and layers along one axis, and channel 3 of one
    layer is not that of another."""
    scope, sizes = node["scope"], field.values.sizes
    labels = [Named((axis,), np.arange(sizes[axis])) for axis in ("input", "method") if axis in sizes]
    match scope:
        case "global":
            return []
        case "method":
            return labels
        case "pair":
            components: tuple[str, ...] = ("layer", "to.layer")
        case _:
            end = "" if scope in field.coords else "to."  # attributions to atoms may only have these
            components = tuple(dict.fromkeys((f"{end}{scope}", f"{end}layer")))
    labels = [label for label in labels if label.dims != ("method",)]
    labels += [field.coords[component] for component in components if component in field.coords]
    if scope == "pair":
        labels += [label for label in (_layers_of(state, run) for state in _chosen(node)) if label is not None]
    return [label for label in labels if set(label.dims) <= set(sizes)]


def _chosen(node: Node) -> list[Node]:
    names = {state.name for state in node.type.states if "layer" in state.components}
    return [chosen for chosen in walk(node) if chosen.type.content == "selection" and chosen["id"] in names]


def _layers_of(selection: Node, run: Run) -> Named | None:
    """Return the layer of each atom that a reader can choose, over the states; the output counts as one."""
    layer = run.value(selection).coords.get("layer")
    return layer.renamed({layer.dims[0]: selection["id"]}) if layer is not None and layer.dims else None


def _largest(magnitude: Named, labels: list[Named]) -> np.ndarray:
    """Return the largest number among those with equal labels, broadcastable to the array."""
    dims = magnitude.dims
    if not labels:
        return magnitude.data.max(keepdims=True)
    known = {d for label in labels for d in label.dims}
    others = tuple(i for i, d in enumerate(dims) if d not in known)
    data = magnitude.data.max(others, keepdims=True) if others else magnitude.data
    key = np.zeros(data.shape, int)
    for label in labels:
        _, inverse = np.unique(label.data, return_inverse=True)
        numbers = Named(label.dims, inverse.reshape(label.data.shape))
        key = key * (int(numbers.data.max(initial=0)) + 1) + numbers.spread(dims)
    _, group = np.unique(key, return_inverse=True)
    largest = np.zeros(int(group.max(initial=-1)) + 1, data.dtype)
    np.maximum.at(largest, group.ravel(), data.ravel())
    return largest[group.ravel()].reshape(data.shape)


OPERATIONS = (Normalize(),)

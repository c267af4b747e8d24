"""`normalize(scope=)`: divide by the largest magnitude."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bbilang.compiler.ir import Node
from bbilang.compiler.op import Fail, Operation, Parameter
from bbilang.compiler.types import FieldType
from bbilang.runtime.field import Field, Named

WORDS = {
    "channel": "the largest magnitude of each channel",
    "layer": "the largest magnitude of each layer and input",
    "global": "the largest magnitude of all",
}


class Normalize(Operation):
    """Divides by the largest magnitude within the scope, which the legend names: each channel, each layer, or all."""

    name = "normalize"
    parameters = (
        Parameter("scope", "word", "within what the largest magnitude becomes 1", "layer", choices=(*WORDS, "pair")),
    )
    example = (
        "icons = block5c.expand.channel | attribute(output) | top(8) | present(featvis)\n"
        "block5c.expand.neuron | at(hover(icons)) | normalize(scope=channel) | present(heatmap)"
    )

    def type(self, field: FieldType, arguments: Mapping[str, Any]) -> FieldType:
        scope = arguments["scope"]
        if scope == "pair":
            raise Fail(
                "E901", "the scope `pair` is not available yet: it is for attribution between layers", argument="scope"
            )
        channels = [a for a in (*field.axes, *field.states) if "channel" in a.components]
        if scope == "channel" and not channels:
            raise Fail("E230", "the field has no channels to normalize apart", "use `scope=layer`", argument="scope")
        return replace(field, unit="share of the maximum", scope=WORDS[scope])

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Any) -> Field:
        (field,) = inputs
        apart = self._apart(node, field)
        values = field.values
        axes = tuple(i for i, d in enumerate(values.dims) if d not in apart)
        with np.errstate(all="ignore"):
            largest = (
                np.where(np.isnan(values.data), 0, np.abs(values.data)).max(axes, keepdims=True)
                if axes
                else np.abs(values.data)
            )
        data = np.where(largest > 0, values.data / np.where(largest > 0, largest, 1), values.data)
        return field.with_values(Named(values.dims, data), node.type)

    def _apart(self, node: Node, field: Field) -> set[str]:
        """The axes along which each place is scaled by itself."""
        if node["scope"] == "global":
            return set()
        component = node["scope"]
        own = set(field.coords[component].dims) if component in field.coords else set()
        return own | {"input"}


OPERATIONS = (Normalize(),)

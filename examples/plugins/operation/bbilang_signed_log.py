"""The operation `signed_log` for bbilang: sign(v) log(1 + |v| / scale), which keeps small values visible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bbilang.compiler.contract import Operation, Parameter, Run
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.fields.field import Field, Named

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCALE = Parameter("scale", "number", "the value that becomes log 2", 1.0, minimum=1e-6, maximum=1e6)


class SignedLog(Operation):
    """Logarithm of the magnitude, with the sign of the value."""

    name = "signed_log"
    parameters = (SCALE,)
    example = "head.channel | attribute(output) | top(8) | signed_log | present(bars)"

    def type(self, field: FieldType, arguments: Mapping[str, Any]) -> FieldType:
        """The same axes; a logarithm has no unit. ``steps`` is what the legend says about the values."""
        return replace(field, unit="", steps=(*field.steps, "signed logarithm"))

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (field,) = inputs
        values: NDArray[Any] = field.values.data  # over the named axes field.values.dims; NaN where there is no atom
        logarithms = np.sign(values) * np.log1p(np.abs(values) / node["scale"])
        return field.with_values(Named(field.values.dims, logarithms), node.type)


OPERATIONS = (SignedLog(),)

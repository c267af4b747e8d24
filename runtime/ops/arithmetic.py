"""`abs`, `relu`, `sum`, `mean`, `norm`, `difference`: elementwise functions and reductions over one axis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bbilang.compiler.contract import (
    Arguments,
    Batch,
    Demand,
    Fail,
    Operation,
    Parameter,
    Registry,
    Run,
    TensorField,
    Writer,
    Written,
)
from bbilang.compiler.ir.models import CHECKPOINT_AXIS
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import FieldType
from bbilang.runtime.fields.field import Field, Named
from bbilang.runtime.fields.method_axis import comparable
from bbilang.runtime.ops.datasets.reductions import EXAMPLE, demands, grouped, over_examples

if TYPE_CHECKING:
    from torch import Tensor

CONTENT_AXES = ("class", "method")  # which every atom has
AXIS = Parameter("axis", "axis", "the axis that is reduced")
PER = Parameter(
    "per", "column", "of `example`: a column of the dataset, each value of which is reduced separately", None
)


class Elementwise(Operation):
    """Applied number by number; the result is never negative."""

    pure = idempotent = numbers_only = True
    function: Callable[[np.ndarray], np.ndarray]
    of_tensor: Callable[[Tensor], Tensor]  # the same with a derivative
    words = ""

    def follows(self, field: FieldType, arguments: Arguments) -> bool:
        return field.axis(EXAMPLE) is not None  # each example by itself

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        return replace(field, signed=False, steps=(*field.steps, self.words))

    def neutral(self, field: FieldType) -> bool:
        return not field.signed

    def written(self, node: Node, writer: Writer) -> Written | None:
        return (self.name,)

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (field,) = inputs
        return field.with_values(Named(field.values.dims, type(self).function(field.values.data)), node.type)

    def differentiable(self, node: Node, value: TensorField | None, batch: Batch, registry: Registry) -> TensorField:
        assert value is not None
        return TensorField(value.dims, type(self).of_tensor(value.data))


class Abs(Elementwise):
    """The magnitude, without its sign."""

    name = "abs"
    words = "magnitude"
    function = staticmethod(lambda data: np.abs(data))
    of_tensor = staticmethod(lambda data: data.abs())
    example = "block6a.expand.spatial | attribute(output) | abs | present(heatmap)"


class Relu(Elementwise):
    """Keeps positive values; all others become 0."""

    name = "relu"
    words = "positive part"
    function = staticmethod(lambda data: np.asarray(np.where(np.isnan(data), data, np.maximum(data, 0))))
    of_tensor = staticmethod(lambda data: data.relu())
    example = "block6a.expand.spatial | attribute(output) | relu | present(heatmap)"


def spend(field: FieldType, name: str, words: str, signed: bool) -> FieldType:
    """Remove an axis that a reduction spends from the type. Raises `Fail` where other atoms differ along it."""
    varying = field.varying(name)
    if varying is not None:
        message = f"the atoms along `{varying.name}` differ along `{name}`, so there is no {words} over it"
        help = "each input has atoms of its own" if name == "input" else f"leave out `per={name}`"
        raise Fail("E231", message, help, argument="axis")
    uneven = next((axis for axis in field.axes if name == "layer" and len(set(axis.sizes)) > 1), None)
    if uneven is not None:  # position 3 of one layer does not correspond to position 3 of another
        sizes = ", ".join(map(str, uneven.sizes))
        message = f"the layers differ in their `{uneven.name}` ({sizes}), so there is no {words} over them"
        raise Fail("E231", message, f"spend `{uneven.name}` first, or lay them out: `facet=layer`", argument="axis")
    spent = (*field.spent, *(c for axis in field.axes if axis.name == name for c in axis.components))
    return replace(field.without(name), signed=signed, steps=(*field.steps, f"{words} over {_said(name)}"), spent=spent)


def _said(axis: str) -> str:
    return {EXAMPLE: "the examples", CHECKPOINT_AXIS: "the checkpoints"}.get(axis, axis)


class Reduction(Operation):
    """Reduces one axis; absent atoms are ignored."""

    pure = True
    parameters: ClassVar[tuple[Parameter, ...]] = (AXIS,)
    function: Callable[..., Any]
    of_tensor: Callable[[Tensor, int], Tensor] | None = None  # the same with a derivative
    words = ""
    keeps_sign = True
    of_examples = ""  # which reduction of `ops.datasets.reductions` it is over `example`; empty for one like any other

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        axis = arguments["axis"]
        if axis == "input":
            raise Fail("E230", "inputs are not summed: each has its own scores", argument="axis")
        if axis == "method":
            comparable(field, f"`{self.name}`")
        spent = spend(field, axis, self.said(arguments), signed=field.signed and self.keeps_sign)
        return grouped(spent, field, arguments)

    def follows(self, field: FieldType, arguments: Arguments) -> bool:
        axis = arguments["axis"]
        return field.axis(EXAMPLE) is not None and (axis != EXAMPLE or bool(self.of_examples))

    def said(self, arguments: Arguments) -> str:
        """Name the reduction in the legend."""
        return self.words

    def number(self, node: Node) -> float:
        """Return the number that the reduction depends on, if it does."""
        return 0.0

    def reduces_examples(self, node: Node) -> tuple[str, float] | None:
        return (self.of_examples, self.number(node)) if node["axis"] == EXAMPLE and self.of_examples else None

    def demands(self, node: Node, registry: Registry) -> tuple[Demand, ...]:
        return demands(node)

    def written(self, node: Node, writer: Writer) -> Written | None:
        """Write the stage if its axis belongs to every atom; a reduction of the atoms themselves does not apply to a
        single one."""
        return (f"{self.name}({node['axis']})",) if node["axis"] in CONTENT_AXES else None

    def kernel(self, node: Node, inputs: tuple[Field, ...], run: Run) -> Field:
        (field,) = inputs
        axis = node["axis"]
        if axis == EXAMPLE and self.of_examples:
            return over_examples(node, field, run, self.of_examples, self.number(node))
        values = field.values
        if axis not in values.dims:  # constant along the axis
            size = next(a.size for a in field.type.axes if a.name == axis)
            values = Named((axis, *values.dims), np.broadcast_to(values.data, (size, *values.data.shape)))
        position = values.dims.index(axis)
        with np.errstate(all="ignore"):
            data = type(self).function(values.data, axis=position)
        data = np.where(np.isnan(values.data).all(position), np.nan, data).astype(np.float32)
        result = field.with_values(Named(tuple(d for d in values.dims if d != axis), data), node.type).drop(axis)
        result.type = node.type
        return result

    def differentiable(self, node: Node, value: TensorField | None, batch: Batch, registry: Registry) -> TensorField:
        assert value is not None
        axis, reduce = node["axis"], type(self).of_tensor
        if reduce is None or axis not in value.dims:
            return super().differentiable(node, value, batch, registry)
        dims = tuple(name for name in value.dims if name != axis)
        return TensorField(dims, reduce(value.data, value.dims.index(axis) + 1))


class Sum(Reduction):
    """The sum along an axis."""

    name = "sum"
    adds_up = commutes = True
    parameters = (AXIS, PER)
    words = of_examples = "sum"
    function = staticmethod(lambda data, axis: np.nansum(data, axis))
    of_tensor = staticmethod(lambda data, axis: data.sum(axis))
    example = "block6a.expand.neuron | attribute(output) | sum(channel) | present(heatmap)"


class Mean(Reduction):
    """The mean along an axis; of examples also that of each group: `mean(example, per=label)`."""

    name = "mean"
    parameters = (AXIS, PER)
    words = of_examples = "mean"
    function = staticmethod(lambda data, axis: np.nansum(data, axis) / np.maximum((~np.isnan(data)).sum(axis), 1))
    of_tensor = staticmethod(lambda data, axis: data.mean(axis))
    example = "block6a.expand.neuron | activation | mean(channel) | present(heatmap)"


class Norm(Reduction):
    """The L2 norm along an axis."""

    name = "norm"
    commutes = True
    words = "L2 norm"
    keeps_sign = False
    function = staticmethod(lambda data, axis: np.sqrt(np.nansum(np.square(data), axis)))
    of_tensor = staticmethod(lambda data, axis: data.norm(dim=axis))
    example = "block6a.expand.neuron | attribute(output) | norm(channel) | present(heatmap)"


class Max(Reduction):
    """The largest value along an axis."""

    name = "max"
    commutes = True
    parameters = (AXIS, PER)
    words, of_examples = "maximum", "max"
    function = staticmethod(lambda data, axis: np.fmax.reduce(data, axis))
    of_tensor = staticmethod(lambda data, axis: data.amax(axis))
    example = "block6a.expand.neuron | activation | max(channel) | present(heatmap)"


class Min(Reduction):
    """The smallest value along an axis."""

    name = "min"
    commutes = True
    parameters = (AXIS, PER)
    words, of_examples = "minimum", "min"
    function = staticmethod(lambda data, axis: np.fmin.reduce(data, axis))
    of_tensor = staticmethod(lambda data, axis: data.amin(axis))
    example = "block6a.expand.neuron | attribute(output) | min(channel) | present(heatmap)"


class Std(Reduction):
    """The standard deviation along an axis, of all its values and not of a sample of them."""

    name = "std"
    parameters = (AXIS, PER)
    words, of_examples = "standard deviation", "std"
    keeps_sign = False
    function = staticmethod(lambda data, axis: np.nanstd(data, axis))
    of_tensor = staticmethod(lambda data, axis: data.std(axis, correction=0))
    example = "block6a.expand.neuron | activation | std(channel) | present(heatmap)"


class Quantile(Reduction):
    """A quantile along an axis, interpolated between the values next to it: `quantile(example, 0.9)`."""

    name = "quantile"
    parameters = (
        AXIS,
        Parameter("q", "number", "which one, from 0 to 1", minimum=0, maximum=1, candidates=(0.5, 0.9)),
        PER,
    )
    of_examples = "quantile"
    example = (
        'dataset photos = "sample:shapes"\n'
        "block6a.expand.channel | across(photos) | quantile(example, 0.9) | top(8) | present(bars)"
    )

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        _of_examples_only(self.name, arguments)
        return super().type(field, arguments)

    def said(self, arguments: Arguments) -> str:
        return f"{arguments['q']:g} quantile"

    def number(self, node: Node) -> float:
        return float(node["q"])


class Fraction(Reduction):
    """The part of the examples whose value is above a threshold: `fraction(example, above=0)`."""

    name = "fraction"
    parameters = (AXIS, Parameter("above", "number", "the threshold", 0.0), PER)
    of_examples = "fraction"
    keeps_sign = False
    example = (
        'dataset photos = "sample:shapes"\n'
        "block6a.expand.channel | across(photos) | fraction(example) | top(8) | present(bars)"
    )

    def type(self, field: FieldType, arguments: Arguments) -> FieldType:
        _of_examples_only(self.name, arguments)
        return replace(super().type(field, arguments), unit="share of the examples", scope="")

    def said(self, arguments: Arguments) -> str:
        return f"share above {arguments['above']:g}"

    def number(self, node: Node) -> float:
        return float(node["above"])


def _of_examples_only(name: str, arguments: Arguments) -> None:
    if arguments["axis"] != EXAMPLE:
        raise Fail("E230", f"`{name}` is over the examples of a dataset", f"as in `{name}(example, ...)`", "axis")


OPERATIONS = (
    Abs(), Relu(), Sum(), Mean(), Max(), Min(), Std(), Quantile(), Fraction(), Norm(),
)  # fmt: skip

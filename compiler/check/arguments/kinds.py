"""Read arguments of operations that are not literals: targets, axes, conditions, rankings, datasets, contents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bbilang.compiler.check.arguments import bounding_boxes as boxes
from bbilang.compiler.check.arguments import picture_files, weights_files
from bbilang.compiler.check.arguments.binding import (
    SOME_LAYER,
    CheckError,
    Poisoned,
    at,
    bind,
    describe,
    literal,
    numbers_of,
)
from bbilang.compiler.check.arguments.conditions import ConditionReader
from bbilang.compiler.check.arguments.methods import MethodReader
from bbilang.compiler.check.datasets import drawn_dataset
from bbilang.compiler.check.fields import FieldReader
from bbilang.compiler.check.scope import INPUT_LAYER, Layers, Scope
from bbilang.compiler.check.selections import SELECTIONS, SelectionReader
from bbilang.compiler.check.statements.places import read_pages
from bbilang.compiler.check.targets import TargetReader
from bbilang.compiler.contract import Fail, Parameter, did_you_mean
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import LASSO, FieldType
from bbilang.grammar import ast
from bbilang.grammar.diagnostic import BbiError

_NO_SLIDE = (
    "write a number, the largest that a reader may want; what can slide is a number of groups, as in "
    f"`{SOME_LAYER} | factorize(nmf, slider(2, 8))`"
)


class ArgumentReader:
    """Reads an argument according to the kind of its parameter."""

    def __init__(
        self,
        scope: Scope,
        fields: FieldReader,
        targets: TargetReader,
        selections: SelectionReader,
        methods: MethodReader,
    ):
        self.scope, self.fields, self.targets, self.methods = scope, fields, targets, methods
        self.conditions = conditions = ConditionReader(scope)
        # Each takes the argument, its parameter and the field that the pipe has come to.
        self.readers: dict[str, Callable[[ast.Expression, Parameter, Node], Any]] = {
            "target": lambda value, _, field: targets.target(value, field),
            "evidence": lambda value, _, field: targets.target(value),
            "atoms": lambda value, _, field: fields.field(value),
            "layers": self._layers,
            "selection": lambda value, _, field: selections.read(value),
            "condition": lambda value, _, field: conditions.condition(value, field),
            "axis": lambda value, parameter, field: self.axis_name(value, field.type, parameter),
            "method": lambda value, _, field: methods.for_field(value, field),
            "ranking": self._ranking,
            "contents": self._contents,
            "compatible": self._compatible,
            "numbers*": self._numbers,
            "fit": self._fit,
            "field": lambda value, parameter, field: self.fields.field(value),
            "linked": self._linked,
            "column": conditions.column_name,
            "dataset": self._dataset,
            "datasets": self._datasets,
            "measures": self._measures,
            "boxes": self._boxes,
            "picture": self._picture,
            "checkpoints": self._checkpoints,
            "input": self._input,
            "pages": lambda value, _, field: read_pages(value, scope.files, scope.check_other, scope.registry),
        }

    def argument(self, value: ast.Expression, parameter: Parameter, field: Node) -> Any:
        """Read one argument of an operation on ``field``. Raises CheckError, Poisoned."""
        kind = parameter.kind
        if kind in ("integer", "number") and (slider := self._slider(value, parameter)) is not None:
            return slider
        if kind in self.readers:
            return self.readers[kind](value, parameter, field)
        if isinstance(value, ast.Path) and kind in ("integer", "number", "text", "flag", "numbers"):
            binding = self.scope.find(value.name)
            if binding is not None and isinstance(binding.value, bool | int | float | str):
                return literal(_as_literal(binding.value, value), parameter)
        return literal(value, parameter)

    def _ranking(self, value: ast.Expression, parameter: Parameter, field: Node) -> Any:
        """Return one of the parameter's words, a column of examples, or a target to rank by."""
        if (column := self.conditions.ranked_column(value, parameter, field)) is not None:
            return column
        if isinstance(value, ast.Path):
            if value.name in parameter.choices:
                return value.name
            if self.scope.find(value.name) is None and value.name != "output":
                return literal(value, parameter)
        return self.targets.target(value)

    def axis_name(self, value: ast.Expression, type: FieldType, parameter: Parameter) -> str:
        """Read the name of an axis of the field: a word, or `column("taken by")` for that of a column with spaces.
        Raises CheckError E230."""
        name = value.name if isinstance(value, ast.Path) else None
        if isinstance(value, ast.Call) and value.name == "column" and len(value.arguments) == 1:
            column = value.arguments[0].value
            name = column.value if isinstance(column, ast.String) else None
        if name is None:
            help = f"without quotes: `{parameter.name}={value.value}`" if isinstance(value, ast.String) else None
            message = f"`{parameter.name}` is the name of an axis, and {describe(value)} is none"
            raise at(value.span, "E230", message, help)
        if name == "group" and type.of_groups:
            name = "concept"
        if type.axis(name) is None:
            names = [type.called(axis.name) for axis in type.axes if axis.name != "input" or axis.size > 1]
            has = f"it has {', '.join(names)}" if names else "it has none left"
            raise at(value.span, "E230", f"the field has no axis `{name}`", f"{has}")
        return name

    def _slider(self, value: ast.Expression, parameter: Parameter) -> Node | None:
        """Return the node of a `slider(...)` or of a name bound to one, where a number may slide; else None.

        Raises CheckError E213, E214.
        """
        selection: Any = None
        if isinstance(value, ast.Call) and value.name in SELECTIONS:
            selection = self.scope.value(value)
        elif isinstance(value, ast.Path) and (binding := self.scope.find(value.name)) is not None:
            if binding.value is None:
                raise Poisoned
            selection = binding.value
        if not (isinstance(selection, Node) and selection.type.content == "selection"):
            return None
        if selection.op != "slider":
            message = f"`{parameter.name}` is a number, and {describe(value)} ranges over atoms"
            raise at(value.span, "E213", message, "use `slider(from, to, step)`")
        if not parameter.slides:
            message = f"`{parameter.name}` cannot slide: it is fixed when the page is made"
            raise at(value.span, "E213", message, _NO_SLIDE)
        low, high, step = selection["from"], selection["to"], selection["step"]
        if parameter.kind == "integer" and (low != int(low) or step != int(step)):
            message = f"`{parameter.name}` is a whole number, and the slider comes to others: {low:g} in steps of "
            raise at(value.span, "E213", f"{message}{step:g}", "slide from a whole number in whole steps")
        if (parameter.minimum is not None and low < parameter.minimum) or (
            parameter.maximum is not None and high > parameter.maximum
        ):
            limits = f"{parameter.minimum:g} to {parameter.maximum:g}"
            message = f"the slider goes from {low:g} to {high:g}, and `{parameter.name}` from {limits}"
            raise at(value.span, "E214", message)
        return selection

    def _contents(self, value: ast.Expression, parameter: Parameter, field: Node) -> Any:
        """Return the nodes of `activation`, `gradient(t)`, `attribute(t)` of the layer's neurons, or of a list of
        them."""
        if isinstance(value, ast.List):
            return tuple(self._contents(item, parameter, field) for item in value.items)
        if isinstance(value, ast.Constant) and value.value is None:
            return None
        name = value.name if isinstance(value, ast.Path | ast.Call) else ""
        operation = self.scope.registry.find("operations", name) if name else None
        if operation is None or not operation.content or not operation.decomposable:
            help = "it can be `activation`, `gradient(...)`, `attribute(...)` or a list of them"
            raise at(value.span, "E215", f"`{parameter.name}` cannot be {describe(value)}", help)
        missing = next((p.name for p in operation.parameters if p.required), None)
        if isinstance(value, ast.Path) and missing:
            raise at(value.span, "E212", f"`{name}` needs `{missing}`", f"as in `{name}(output)`")
        written = value.arguments if isinstance(value, ast.Call) else ()
        neurons = self._neurons(field, value)
        arguments, spans = bind(
            name, value.span, written, operation.parameters, lambda v, p: self.argument(v, p, neurons)
        )
        try:
            self.methods.check_targets(operation, arguments)
            type = operation.refined(operation.type(neurons.type, arguments), arguments, self.scope.registry)
        except Fail as fail:
            raise CheckError(fail, spans.get(fail.argument or "", value.span)) from fail
        return self.scope.make(name, (neurons,), arguments, type, value.span)

    def _neurons(self, field: Node, value: ast.Expression) -> Node:
        return self.fields.substrate(Layers(field.type.model, field.type.layers), "neuron", value.span)

    def _compatible(self, value: ast.Expression, parameter: Parameter, field: Node) -> Node | None:
        """Attribute the layer's neurons to the groups of a later layer; None without groups."""
        if isinstance(value, ast.Constant) and value.value is None:
            return None
        groups = self.fields.field(value)
        if groups.type.atom != "group":
            help = f"as in `late = {SOME_LAYER} | factorize(nmf, 6)`"
            raise at(value.span, "E235", f"`{parameter.name}` is a factorization of a later layer", help)
        self.fields.layers.in_order(field.type.layers, groups.type.layers, groups.type.model, value.span)
        operation, neurons = self.scope.registry.operations["attribute"], self._neurons(field, value)
        arguments = {p.name: p.default for p in operation.parameters} | {"to": groups}
        try:
            type = operation.type(neurons.type, arguments)
        except Fail as fail:
            raise CheckError(fail, value.span) from fail
        return self.scope.make("attribute", (neurons,), arguments, type, value.span)

    def _numbers(self, value: ast.Expression, parameter: Parameter, field: Node) -> tuple[float, ...]:
        numbers = numbers_of(value)
        if numbers is None:
            raise at(value.span, "E213", f"`{parameter.name}` is a list of numbers, as in `[1, 0.5]`", parameter.doc)
        return tuple(map(float, numbers))

    def _fit(self, value: ast.Expression, parameter: Parameter, field: Node) -> Any:
        """Return a layer's name, or a field."""
        fit = self.scope.value(value)
        if isinstance(fit, Layers) and not fit.listed:
            return fit.names[0]
        return self.fields.as_field(fit, value)

    def _layers(self, value: ast.Expression, parameter: Parameter, field: Node) -> tuple[Node, ...]:
        """Return the channels of each layer of a list, or of one layer. Raises CheckError E347."""
        layers = self.scope.value(value)
        if not isinstance(layers, Layers) or INPUT_LAYER in layers.names:
            atoms = isinstance(layers, Node) and layers.op == "substrate" and layers.type.atom != "whole"
            message = (
                f"`{parameter.name}` is layers, and {describe(value)} is {'some of their atoms' if atoms else 'none'}"
            )
            help = f"{'leave out the atoms' if atoms else 'name one, or a list'}: `{SOME_LAYER}`, or `b:layers`"
            raise at(value.span, "E347", message, help)
        each = (Layers(layers.model, (name,)) for name in layers.names)
        return tuple(self.fields.substrate(one, "channel", value.span) for one in each)

    def _linked(self, value: ast.Expression, parameter: Parameter, field: Node) -> Node:
        """Return a selection, or a field."""
        linked = self.scope.value(value)
        if isinstance(linked, Node) and linked.type.content == "selection":
            return linked
        return self.fields.as_field(linked, value)

    def _input(self, value: ast.Expression, parameter: Parameter, field: Node) -> tuple[str, int]:
        """Return the name of an input and its number. Raises CheckError E273."""
        called, count = dict(self.scope.files.called), self.scope.inputs
        if isinstance(value, ast.Number) and value.value in range(count):
            number = int(value.value)
            return next((name for name, own in called.items() if own == number), f"input {number}"), number
        if isinstance(value, ast.Path) and value.name in called:
            return value.name, called[value.name]
        help = 'give the inputs names: `input cat = "a.jpg", dog = "b.jpg"`'
        if called:
            near = f"the inputs are {', '.join(called)}"
            help = did_you_mean(value.name, called, near) or near if isinstance(value, ast.Path) else near
        if isinstance(value, ast.Path) and (bound := self.scope.find(value.name)) is not None:
            if isinstance(bound.value, Node) and bound.value.type.content == "dataset":
                help = (
                    f"it is a dataset, whose examples stand in with `ablate(resample, {parameter.name}={value.name})`"
                )
        raise at(value.span, "E273", f"{describe(value)} is no input of this page", help)

    def _boxes(self, value: ast.Expression, parameter: Parameter, field: Node) -> Any:
        """Read the boxes of the page's pictures from a file. The program holds them, so it changes with the file."""
        if isinstance(value, ast.Constant) and value.value is None:
            return None
        name = self.argument(value, Parameter(parameter.name, "text", parameter.doc), field)
        try:
            return boxes.read(name, self.scope.files)
        except Fail as fail:
            raise CheckError(fail, value.span) from fail

    def _picture(self, value: ast.Expression, parameter: Parameter, field: Node) -> tuple[str, str] | None:
        """Return the name of a picture and the digest of its content."""
        if isinstance(value, ast.Constant) and value.value is None:
            return None
        name = self.argument(value, Parameter(parameter.name, "text", parameter.doc), field)
        try:
            return picture_files.read(name, parameter.name, self.scope.files)
        except Fail as fail:
            raise CheckError(fail, value.span) from fail
        except BbiError as error:  # from what finds the pictures of a name
            first = error.diagnostics[0]
            raise at(value.span, first.code, first.message, first.help) from error

    def _checkpoints(
        self, value: ast.Expression, parameter: Parameter, field: Node
    ) -> tuple[tuple[str, str], ...] | None:
        """Return (path, digest) of each file of weights."""
        if isinstance(value, ast.Constant) and value.value is None:
            return None
        name = self.argument(value, Parameter(parameter.name, "text", parameter.doc), field)
        try:
            return weights_files.read(name, parameter.name, self.scope.files)
        except Fail as fail:
            raise CheckError(fail, value.span) from fail

    def _dataset(self, value: ast.Expression, parameter: Parameter, field: Node) -> Node:
        dataset = self.scope.value(value) if isinstance(value, ast.Path) else None
        if isinstance(dataset, Node) and dataset.type.content == "dataset":
            return dataset
        name = value.name if isinstance(value, ast.Path) else "photos"
        help = f'name one: `dataset {name} = "folder/"`, `--data {name}=folder/`, or `data=` in Python'
        raise at(value.span, "E213", f"{describe(value)} is not a dataset", help)

    def _datasets(self, value: ast.Expression, parameter: Parameter, field: Node) -> Node | tuple[Node, ...]:
        """Return a dataset, or a tuple of several."""
        if isinstance(value, ast.List):
            return tuple(self._part(item, parameter, field) for item in value.items)
        return self._part(value, parameter, field)

    def _part(self, value: ast.Expression, parameter: Parameter, field: Node) -> Node:
        """Return a dataset, or the part of one that a reader encloses: `lasso(map)`, or its name."""
        made = isinstance(value, ast.Call) and value.name in SELECTIONS
        named = isinstance(value, ast.Path) and (binding := self.scope.find(value.name)) is not None and binding.value
        chosen = self.scope.value(value) if made or (isinstance(named, Node) and named.op == LASSO) else None
        if not isinstance(chosen, Node) or chosen.op != LASSO:
            return self._dataset(value, parameter, field)
        dataset = drawn_dataset(chosen["over"])
        operation = self.scope.registry.operations["at"]
        called = chosen["title"] or chosen["called"] or ("in the bin" if chosen.get("by") else "in the lasso")
        type = operation.type(dataset.type, {"selection": chosen})
        return self.scope.make("at", (dataset,), {"selection": chosen, "called": called}, type, value.span)

    def _measures(self, value: ast.Expression, parameter: Parameter, field: Node) -> Any:
        if isinstance(value, ast.List):
            return tuple(literal(item, parameter) for item in value.items)
        return literal(value, parameter)


def _as_literal(value: bool | int | float | str, at: ast.Expression) -> ast.Expression:
    """Return a bound literal as an expression with the span of its use."""
    if isinstance(value, bool):
        return ast.Constant(value, span=at.span)
    return ast.String(value, span=at.span) if isinstance(value, str) else ast.Number(value, span=at.span)

"""Calls that start a pipe: `weights(block5c.depthwise, block5c.project)`, and the index behind one."""

from __future__ import annotations

from dataclasses import replace

from bbilang.compiler.check.arguments.binding import CheckError, at, bind, describe, literal
from bbilang.compiler.check.layers import LayerReader
from bbilang.compiler.check.scope import INPUT_LAYER, Layers, Scope
from bbilang.compiler.contract import Fail, Operation, Parameter
from bbilang.compiler.ir.program import Node
from bbilang.grammar import ast
from bbilang.grammar.source import Span


class StartReader:
    """Reads operations whose call starts a pipe (`Operation.called`)."""

    def __init__(self, scope: Scope, layers: LayerReader):
        self.scope, self.layers = scope, layers

    def call(self, call: ast.Call, operation: Operation) -> Node:
        """Check a call that starts a pipe. Raises CheckError."""
        models: list[str] = []

        def read(value: ast.Expression, parameter: Parameter) -> object:
            if parameter.kind != "layer":
                return literal(value, parameter)
            layer = self._layer(value, parameter)
            models.append(layer.model)
            return layer.names[0]

        given = operation.filled(call.arguments)
        arguments, spans = bind(call.name, call.span, given, operation.parameters, read)
        if len(set(models)) > 1:
            raise at(call.span, "E235", f"`{call.name}` is of layers of one model")
        model = models[0] if models else self.scope.model.slot.alias
        try:
            parameters, type = operation.started(arguments, self.scope.context(model, call.span).description)
        except Fail as fail:
            raise CheckError(fail, spans.get(fail.argument or "", call.span)) from fail
        return self.scope.make(call.name, (), dict(parameters), replace(type, model=model), call.span)

    def _layer(self, value: ast.Expression, parameter: Parameter) -> Layers:
        """Read the name of one layer, or `input`. Raises CheckError E234."""
        if isinstance(value, ast.Path) and value.name == INPUT_LAYER and value.model is None:
            return Layers(self.scope.model.slot.alias, (INPUT_LAYER,))
        layers = self.scope.value(value)
        if isinstance(layers, Layers) and len(layers.names) == 1:
            return layers
        if isinstance(layers, Node) and layers.type.atom == "whole" and len(layers.type.layers) == 1:
            return Layers(layers.type.model, layers.type.layers)
        message = f"`{parameter.name}` is one layer without an atom, and {describe(value)} is none"
        help = "as in `weights(earlier, later)`; an index picks a channel: `weights(later)[to=3]`"
        raise at(value.span, "E234", message, help)

    def index(self, node: Node, expression: ast.Index, operation: Operation) -> Node:
        """Check an index behind such a call: `[to=3, from=447]`. Raises CheckError E236."""
        chosen: dict[str, int] = {}
        names = ", ".join(f"{name}=..." for name in operation.indices)
        for argument in expression.arguments:
            axis_name = operation.indices.get(argument.name or "")
            if axis_name is None:
                what = f"`{argument.name}`" if argument.name else "a number alone"
                raise at(argument.span, "E236", f"{what} says not which end it is of", f"as in `[{names}]`")
            axis, number = node.type.axis(axis_name), argument.value
            if axis is None or argument.name in chosen:
                raise at(argument.span, "E236", f"`{argument.name}` is chosen already")
            value = literal(number, Parameter(argument.name or "", "integer", "channels are counted from zero"))
            if not 0 <= value < axis.size:
                message = f"{axis_name} {value} is outside 0..{axis.size - 1}"
                raise at(number.span, "E236", message, "channels are counted from zero")
            chosen[argument.name or ""] = value
        return self._indexed(node, chosen, operation, expression.span)

    def _indexed(self, node: Node, chosen: dict[str, int], operation: Operation, span: Span) -> Node:
        type = node.type.without(*(operation.indices[name] for name in chosen))
        picked = {f"{name}_index": number for name, number in chosen.items()}
        return self.scope.make(node.op, (), {**dict(node.parameters), **picked}, type, span)

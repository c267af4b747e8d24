"""The stages of a derived model, `model b = a | ablate(...)`: what changes the network of another model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from bbilang.compiler.check.arguments.binding import CheckError, at, bind
from bbilang.compiler.check.definitions import unknown_operation
from bbilang.compiler.check.resolve import Resolver
from bbilang.compiler.check.scope import Layers, ModelContext
from bbilang.compiler.check.settings import settings_of
from bbilang.compiler.contract import ExamplesOf, Fail, ModelChange, Parameter
from bbilang.compiler.ir.models import models_in, rebased
from bbilang.compiler.ir.program import Node, walk
from bbilang.grammar import ast
from bbilang.grammar.source import Span


class ChangeReader:
    """Reads the stages of derived models, with the names of the model that they change."""

    def __init__(self, resolver: Resolver):
        self.resolver = resolver

    def read(self, items: Iterable[ast.ModelItem], models: dict[str, ModelContext]) -> None:
        """Put the changes of the derived models among some into ``models``, which the resolver reads. Raises CheckError
        E210, E288, E290 and those of the arguments."""
        for item in items:
            if item.stages and item.alias is not None:
                models[item.alias.text] = self._model(item)

    def _model(self, item: ast.ModelItem) -> ModelContext:
        """Return one of them."""
        assert item.alias is not None, "the parser gives a derived model a name"
        resolver, context = self.resolver, self.resolver.models[item.alias.text]
        assert context.slot.base is not None, "a model with stages is derived"
        base, inputs = resolver.models[context.slot.base.alias], resolver.inputs
        resolver.inputs = 1  # the same network for any number of them
        try:
            self._check_reports(item)
            changes = tuple(self._change(base, stage) for stage in item.stages)
        finally:
            resolver.inputs = inputs
        return ModelContext(replace(context.slot, base=base.slot, changes=changes), context.description)

    def _change(self, base: ModelContext, stage: ast.Call) -> Node:
        """Read one stage of a model that is derived from another."""
        resolver, registry = self.resolver, self.resolver.registry
        operation = registry.find("operations", stage.name)
        if operation is None or operation.head:
            raise unknown_operation(stage, resolver)
        if not isinstance(operation, ModelChange) or not operation.changes_model:
            known = [f"`{name}`" for name, one in registry.operations.items() if one.changes_model]
            help = f"{', '.join(known[:-1])} and {known[-1]} do"
            raise at(stage.name_span, "E288", f"`{stage.name}` does not change a network", help)
        alias = base.slot.alias
        neurons = resolver.fields.substrate(_first_layer(base), "whole", stage.span)
        with resolver.within(alias):
            parameters = operation.model_parameters

            def read(value: ast.Expression, parameter: Parameter) -> object:
                return self._argument(alias, resolver.owner(stage, parameters, parameter, neurons), value, parameter)

            arguments, spans = bind(stage.name, stage.span, stage.arguments, parameters, read)
            try:
                if operation.model_settings:
                    arguments = {**arguments, "settings": settings_of(operation.model_settings, resolver.settings)}
                make = partial(resolver.inner, stage.span)
                inputs, parameters_of, type = operation.in_model(arguments, base.description, make)
            except Fail as fail:
                raise CheckError(fail, spans.get(fail.argument or "", stage.span)) from fail
        return resolver.make(stage.name, inputs, dict(parameters_of), type, stage.span)

    def _check_reports(self, item: ast.ModelItem) -> None:
        """Raise CheckError E292 for a stage that reports of the model before it, and stands behind others."""
        for stage in item.stages[1:]:
            operation = self.resolver.registry.find("operations", stage.name)
            if isinstance(operation, ModelChange) and operation.reported_by:
                message = f"`{stage.name}` is the first change of a model"
                raise at(stage.name_span, "E292", message, "name the network before it: `model b = a | ...`")

    def _argument(self, alias: str, neurons: Node, value: ast.Expression, parameter: Parameter) -> object:
        argument: object = self.resolver.arguments.argument(value, parameter, neurons)
        for other in models_in(argument):
            if other != alias and not self.resolver.alike(other, alias):
                message = f"this is of the model `{other}`, and the change is of `{alias}`"
                raise at(value.span, "E318", message, f"name atoms of `{alias}`, without a model before them")
        if isinstance(argument, Node):
            argument = argument if argument.type.model in ("", alias) else rebased(argument, alias)
            self._check_constant(argument, parameter, value.span)
        return argument

    def _check_constant(self, argument: Node, parameter: Parameter, span: Span) -> None:
        """Raise CheckError E290 for atoms that depend on the picture: a network is the same for all."""
        if parameter.kind != "field":
            return
        operations = self.resolver.registry.operations
        for node in walk(argument):
            needed = operations[node.op].demands(node, self.resolver.registry)
            if node.op == "input" or any(not isinstance(demand, ExamplesOf) for demand in needed):
                help = "name them by their numbers, as in `some_layer.channel[7]`, or by a concept of a dataset"
                message = "which atoms these are depends on the picture, and a network is the same for all pictures"
                raise at(span, "E290", message, help)


def _first_layer(context: ModelContext) -> Layers:
    """Return a layer of the model: the arguments are read for one of its fields."""
    return Layers(context.slot.alias, (context.description.layers[0].name,))

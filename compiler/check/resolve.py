"""From expressions to typed nodes: names, lists, calls, indices and pipes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from bbilang.compiler.check import subsets
from bbilang.compiler.check.arguments import stages
from bbilang.compiler.check.arguments.binding import SOME_LAYER, CheckError, Poisoned, at, bind, describe, written
from bbilang.compiler.check.arguments.checkpoints import CheckpointReader, projected
from bbilang.compiler.check.arguments.kinds import ArgumentReader
from bbilang.compiler.check.arguments.methods import MethodReader
from bbilang.compiler.check.arguments.starts import StartReader
from bbilang.compiler.check.datasets import DatasetReader
from bbilang.compiler.check.definitions import Expander, unknown_operation
from bbilang.compiler.check.fields import FieldReader
from bbilang.compiler.check.layers import LayerReader
from bbilang.compiler.check.present import PresentReader
from bbilang.compiler.check.scope import INPUT_LAYER, Layers, Scope
from bbilang.compiler.check.selections import SELECTIONS, SelectionReader
from bbilang.compiler.check.settings import set_for
from bbilang.compiler.check.statements import places
from bbilang.compiler.check.targets import TargetReader
from bbilang.compiler.contract import Fail, Parameter, did_you_mean
from bbilang.compiler.ir.model_description import LayerDescription
from bbilang.compiler.ir.models import models_in
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import ATOMS, Axis, FieldType
from bbilang.grammar import ast
from bbilang.grammar.source import Span

_INDEX = Parameter("index", "integer", "atoms are picked by their numbers, which count from zero")


@dataclass
class Resolver(Scope):
    """Turns expressions into typed nodes, by a reader for each kind of them. Raises CheckError, Poisoned."""

    def __post_init__(self) -> None:
        self.layers = LayerReader(self)
        self.fields = FieldReader(self, self.layers)
        self.targets = TargetReader(self, self.fields)
        self.selections = SelectionReader(self, self.fields)
        self.methods = MethodReader(self)
        self.arguments = ArgumentReader(self, self.fields, self.targets, self.selections, self.methods)
        self.presenter = PresentReader(self, self.fields, self.arguments)
        self.definitions = Expander(self)
        self.datasets = DatasetReader(self)
        self.starts = StartReader(self, self.layers)
        self.checkpoints = CheckpointReader(self)

    # --- values ----------------------------------------------------------------------------------------------------

    def value(self, expression: ast.Expression) -> Any:
        """Check an expression. Returns a node, layers or a literal."""
        return self.checkpoints.read(expression, self._value)

    def _value(self, expression: ast.Expression) -> object:
        match expression:
            case ast.Number() | ast.Constant():
                return expression.value
            case ast.String():
                layers = self.layers.quoted(expression.value, expression.span)
                return expression.value if layers is None else layers
            case ast.Path():
                return self.path(expression)
            case ast.Attribute(value=ast.String() as named) if expression.name in ATOMS:
                read = self.layers.quoted_heads if expression.name == "head" else self.layers.quoted_layer
                return self.fields.atom_of(read(named.value, named.span), expression.name, expression.span)
            case ast.Attribute():
                return self.fields.atom_of(self.value(expression.value), expression.name, expression.span)
            case ast.Index():
                return self.index(expression)
            case ast.Call():
                return self.call(expression)
            case ast.Pipe():
                return self.pipe(expression)
            case ast.List():
                return self.list(expression)
            case ast.Binary(operator="->"):
                return self.targets.chain(expression)
            case ast.Binary() | ast.Unary():
                return self.targets.combine(expression)
        raise at(expression.span, "E234", f"{describe(expression)} has no meaning here")

    def path(self, path: ast.Path) -> Any:
        """Resolve a name: a binding, `input`, `output`, or a layer, each with or without an atom behind it."""
        if path.model is not None:
            return self._of_model(path, path.model)
        if (binding := self.find(path.name)) is not None:
            if binding.value is None:
                raise Poisoned
            return projected(self, binding.value)
        head, _, atom = path.name.rpartition(".")
        if head and (binding := self.find(head)) is not None:
            if binding.value is None:
                raise Poisoned
            return self.fields.atom_of(projected(self, binding.value), atom, path.span)
        if path.name == "input":
            return self.fields.picture(path.span)
        if path.name == "output" or head == "output":
            return self.targets.output(path, atom)
        if head == "input":
            return self.fields.substrate(Layers(self.model.slot.alias, (INPUT_LAYER,)), atom, path.span)
        for word in (path.name, head):
            if word in self.later and not self.layers.is_layer(word):
                span = path.span if word == path.name else Span(path.span.start, path.span.end - len(atom) - 1)
                if word == self.binding:
                    raise at(span, "E222", f"`{word}` is used in its own definition", "choose another name")
                raise at(span, "E222", f"`{word}` is used before it is bound", "move its line above this one")
        return self.fields.layer_path(path.name, None, path.span)

    def _of_model(self, path: ast.Path, alias: str) -> object:
        """Resolve `b:layer.channel`, `b:output`, `b:input`, or a name that is bound to layers, `b:layers.channel`."""
        self.context(alias, path.span)
        span = path.span
        if self.model.slot.of == alias:  # it is read for each checkpoint
            alias = self.model.slot.alias
        bare = ast.Path(path.name, span=Span(span.start + len(path.model or "") + 1, span.end))
        head, _, atom = path.name.rpartition(".")
        with self.within(alias, own=True):
            if path.name in (INPUT_LAYER, "output") or head in (INPUT_LAYER, "output"):
                return self.path(bare)
            for name, word in ((path.name, ""), (head, atom)):
                binding = self.find(name) if name else None
                if binding is not None and isinstance(binding.value, Layers):
                    own = [self.layers.layers_named(layer, alias, path.span) for layer in binding.value.names]
                    layers = Layers(alias, tuple(layer.names[0] for layer in own), binding.value.listed)
                    return self.fields.atom_of(layers, word, path.span) if word else layers
            return self.fields.layer_path(path.name, alias, path.span)

    def list(self, expression: ast.List) -> Any:
        """Resolve a list: `[mixed3a, mixed4a]` and `[mixed3a..mixed5a]` are layers, `[output[a], output[b]]` targets,
        `[6, 6]` numbers."""
        if not expression.items:
            raise at(expression.span, "E213", "this list is empty")
        values: list[Any] = []
        for item in expression.items:
            if isinstance(item, ast.Range):
                values.append(self.layers.range(item))
            else:
                values.append(self.value(item))
        if all(isinstance(v, Layers) for v in values):
            if len({v.model for v in values}) > 1:
                raise at(expression.span, "E235", "a list of layers is of one model")
            return Layers(values[0].model, tuple(dict.fromkeys(n for v in values for n in v.names)), listed=True)
        if len(models := models_in(tuple(values))) > 1:
            raise at(expression.span, "E318", f"this list mixes the models {', '.join(sorted(models))}",
                     "show each in an element of its own")  # fmt: skip
        if all(isinstance(v, Node) and v.type.content == "score" for v in values):
            return self.targets.stack(values, expression.span)
        if all(isinstance(v, int | float | str) for v in values):
            return tuple(values)
        if all(isinstance(v, Node) and (v.type.atom == "group" or v.type.content == "score") for v in values):
            layers = tuple(dict.fromkeys(name for v in values for name in v.type.layers))
            states = tuple(axis for v in values for axis in v.type.states)
            type = FieldType("list", "list", layers, (self.input_axis(),), model=values[0].type.model)
            return self.make("fields", tuple(values), {}, type.with_states(*states), expression.span)
        if all(isinstance(v, Node) and v.type.content == "weight" for v in values):
            signed = any(value.type.signed for value in values)
            type = FieldType("weights", "list", _ends(values), (), model=values[0].type.model, signed=signed)
            return self.make("fields", tuple(values), {}, type, expression.span)
        if all(isinstance(v, Node) and v.op == "substrate" for v in values):
            help = f"choose the atoms of all layers at once, as in `[{SOME_LAYER}, ...].channel`"
            raise at(expression.span, "E213", "a list of layers has its atoms behind it", help)
        kinds = [_kind(value) for value in values]
        odd = next((i for i, kind in enumerate(kinds) if kind != kinds[0]), 0)
        message = "a list holds layers, or targets, or numbers, and this one mixes them"
        raise at(expression.items[odd].span, "E213", message, f"it begins with {kinds[0]}, and this is {kinds[odd]}")

    # --- calls and pipes -------------------------------------------------------------------------------------------

    def call(self, call: ast.Call) -> Any:
        """Check a call outside of a pipe: a selection, a definition, or an operation that starts one."""
        if call.name in SELECTIONS:
            with self.checkpoints.first():
                return self.selections.make(call)
        if call.name in self.macros:
            return self.definitions.expand(call, None)
        operation = self.registry.find("operations", call.name)
        if operation is not None and operation.called:
            return self.starts.call(call, operation)
        if operation is not None and operation.draws and (field := places.start(call, self)) is not None:
            return self.presenter.present(field, call, call.span)
        if operation is not None:
            help = f"put it after a pipe: `{SOME_LAYER}.channel | {call.name}(...)`"
            raise at(call.span, "E234", f"`{call.name}` is an operation and needs a field before it", help)
        if self.open:
            raise Poisoned
        known = (n for n, o in self.registry.operations.items() if not o.head or o.called)
        names = [*SELECTIONS, *self.macros, *known]
        raise at(call.name_span, "E210", f"`{call.name}` is not known", did_you_mean(call.name, names))

    def pipe(self, pipe: ast.Pipe) -> Node:
        """Resolve a pipe stage by stage. After an error the names in the stages behind it are still checked."""
        number, field = -1, None
        try:
            field = self.fields.field(pipe.head)
            for number in range(len(pipe.stages)):
                stage = pipe.stages[number]
                field = self.stage(field, stage, pipe.head.span | stage.span)
        except (CheckError, Poisoned) as error:
            if isinstance(error, CheckError) and field is not None:
                error.layers = error.layers or field.type.layers
            self._check_names(pipe.stages[number + 1 :])
            raise
        return field

    def _check_names(self, stages: Iterable[ast.Call]) -> None:
        """Report unknown operations and styles in stages that cannot be typed because the field before them failed."""
        for stage in stages:
            if stage.name in self.macros or self.open:
                continue
            operation = self.registry.find("operations", stage.name)
            if operation is None or operation.head:
                self.notes.append(unknown_operation(stage, self))
            elif stage.name == "present" and stage.arguments:
                style = stage.arguments[0].value
                if isinstance(style, ast.Path) and self.registry.find("styles", style.name) is None:
                    near = did_you_mean(style.name, self.registry.styles)
                    self.notes.append(at(style.span, "E218", f"`{style.name}` is not a style", near))

    def index(self, expression: ast.Index) -> Node:
        """Resolve an index: `output[...]` is scores of classes, `layer.channel[7]` one atom of a layer. Raises
        CheckError E236."""
        base = expression.value
        if isinstance(base, ast.Path) and base.name == "output":
            if base.model is None:
                return self.targets.indexed(expression)
            self.context(base.model, base.span)
            alias = self.model.slot.alias if self.model.slot.of == base.model else base.model
            with self.within(alias, own=True):
                return self.targets.indexed(expression)
        node = self.fields.field(expression.value)
        names = [a.value.value for a in expression.arguments if isinstance(a.value, ast.String)]
        if node.op == "input" and len(names) == len(expression.arguments):
            files = ", ".join(f'"{name}"' for name in names)
            raise at(
                expression.span, "E236", "the files of `input` are written without brackets", f"write `input {files}`"
            )
        operation = self.registry.operations.get(node.op)
        if operation is not None and operation.indices:
            return self.starts.index(node, expression, operation)
        if node.op != "substrate" and not self.registry.operations[node.op].directs:
            raise at(expression.span, "E236", "an index picks atoms of a layer or classes of `output`")
        axes = [axis for axis in node.type.axes if axis.name not in ("input", "layer")]
        if not axes:
            help = f"as in `{SOME_LAYER}.channel[7]` or `{SOME_LAYER}.spatial[3, 3]`"
            raise at(expression.value.span, "E236", "an index needs atoms to pick from: name them before it", help)
        numbers = [self._number(a.value, node) for a in expression.arguments]
        if len(numbers) != len(axes):
            message = f"{node.type.atom} atoms have {len(axes)} indices ({', '.join(axis.name for axis in axes)})"
            raise at(expression.span, "E236", f"{message}, and {len(numbers)} are given")
        if not all(axis.exact for axis in axes):
            raise at(expression.span, "E236", f"how many {node.type.atom}s there are is the reader's choice")
        for number, axis, argument in zip(numbers, axes, expression.arguments, strict=True):
            if not 0 <= number < axis.size:
                help = "indices count from zero"
                help += f", and none counts from the end: the last is {axis.size - 1}" if number < 0 else ""
                raise at(argument.span, "E236", f"{axis.name} {number} is outside 0..{axis.size - 1}", help)
        name = axes[0].name if len(axes) == 1 else node.type.atom
        varies = tuple(sorted({other for axis in axes for other in axis.varies}))
        fused = Axis(name, 1, tuple(axis.name for axis in axes), varies=varies, whole=False)
        remaining = tuple(axis for axis in node.type.axes if axis not in axes)
        type = replace(node.type, axes=(*remaining, fused))
        return self.make("pick_atom", (node,), {"index": tuple(numbers)}, type, expression.span)

    def _number(self, value: ast.Expression, node: Node) -> int:
        """Return the number of an atom, which may be given by its name where it has one. Raises CheckError E236."""
        labels = self.registry.operations[node.op].labels(node)
        if not isinstance(value, ast.String) or not labels:
            number: int = self.arguments.argument(value, _INDEX, node)
            return number
        if value.value not in labels:
            names = ", ".join(f'"{label}"' for label in labels)
            near = did_you_mean(value.value, labels, f"they are {names}")
            raise at(value.span, "E236", f'none of these is called "{value.value}"', near)
        return labels.index(value.value)

    def stage(self, field: Node, call: ast.Call, span: Span) -> Node:
        """Apply one stage of a pipe to the field before it. ``span``: of the pipe up to here."""
        if field.op == "present":
            raise at(call.span, "E234", "nothing can follow `present`: what is drawn is no field any more")
        if call.name in self.macros:
            return self.fields.as_field(self.definitions.expand(call, field), call)
        operation = self.registry.find("operations", call.name)
        if operation is None and self.open:
            raise Poisoned
        if operation is None or operation.head:
            raise unknown_operation(call, self)
        stages.check_kind(field, call, operation)
        if (made := self.checkpoints.stage(field, call, operation, span, self.stage)) is not None:
            return made
        own = field.type.model and field.type.model != self.current and len(self.models) > 1
        if own and not self.models[field.type.model].slot.members:
            with self.within(field.type.model):  # in the arguments of a stage names are of the pipe's model
                return self.stage(field, call, span)
        if call.name == "present":
            return self.presenter.present(field, call, span)
        if operation.content and field.op == "input":
            field = self.fields.substrate(Layers(field.type.model, (INPUT_LAYER,)), "whole", call.span)
        if operation.of_channels and field.op == "substrate" and field.type.atom == "whole":
            field = self.fields.substrate(Layers(field.type.model, field.type.layers), "channel", call.span)
        if not operation.content and not operation.of_channels:
            field = self.fields.with_content(field, call.span)
        if operation.over_examples and field.type.atom == "group":
            field = self.targets.directions.of_groups(field, span, partial(self.inner, span))
        arguments, spans = bind(
            call.name,
            call.span,
            call.arguments,
            operation.parameters,
            lambda value, parameter: self.arguments.argument(
                value, parameter, self.owner(call, operation.parameters, parameter, field)
            ),
        )
        arguments |= set_for(operation, spans, self.settings)
        for name, value in arguments.items() if not operation.crosses_models else ():
            self.check_alike(field, value, spans.get(name, call.span))
        subsets.check_stage(operation, field, arguments, spans, call.span, self.registry)
        try:
            self.methods.with_layers(operation, arguments, field)
            self.methods.check_targets(operation, arguments)
            if (context := self.models.get(field.type.model)) is not None:
                arguments = dict(operation.within(arguments, context.description))
            type = operation.refined(operation.type(field.type, arguments), arguments, self.registry)
            type = operation.shaped(type, arguments, self._layers_of(type))
            arguments = dict(operation.expand(field, arguments, partial(self.inner, span)))
            inputs = operation.fed(field, arguments, self.registry)
        except Fail as fail:
            raise CheckError(fail, spans.get(fail.argument or "", call.span)) from fail
        return self.make(call.name, inputs, arguments, type, span)

    def _layers_of(self, type: FieldType) -> tuple[LayerDescription, ...]:
        """Return the descriptions of the layers that a field has atoms of."""
        context = self.models.get(type.model)
        layers = [context.layer(name) for name in type.layers] if context is not None else []
        return tuple(layer for layer in layers if layer is not None)

    def check_alike(self, field: Node, value: object, span: Span) -> None:
        """Raise CheckError E318 for an argument whose atoms are those of another network than the field's."""
        for other in models_in(value):
            if not self.alike(field.type.model, other) and not _of_classes(value):
                message = f"this is of the model `{other}`, and the pipe is of `{field.type.model}`"
                help = (
                    f"their atoms do not correspond: name some of the same model, as in `{field.type.model}:some_layer`"
                )
                raise at(span, "E318", message, help)

    def owner(self, call: ast.Call, parameters: Sequence[Parameter], parameter: Parameter, field: Node) -> Node:
        """Return the field that an argument of a call is read for: the pipe's, or the dataset of another argument, of
        the call's ``parameters``."""
        if not parameter.of:
            return field
        other = next(each for each in parameters if each.name == parameter.of)
        value = written(other.name, call.arguments, parameters)
        if value is None:
            raise at(call.span, "E212", f"`{call.name}` needs `{other.name}`: {other.doc}")
        datasets: Node | tuple[Node, ...] = self.arguments.argument(value, other, field)
        return datasets[0] if isinstance(datasets, tuple) else datasets

    def inner(self, span: Span, name: str, field: Node, **named: Any) -> Node:
        """Build a node of an operation that another operation expands to."""
        operation = self.registry.operations[name]
        arguments = {p.name: p.default for p in operation.parameters} | named
        type = operation.refined(operation.type(field.type, arguments), arguments, self.registry)
        return self.make(name, (field,), arguments, type, span)


def _of_classes(value: object) -> bool:
    """Return whether a value is a choice among classes, which two networks may share (`TargetReader` checks that)."""
    return isinstance(value, Node) and value.type.content == "selection" and value.type.axes[0].components == ("class",)


def _ends(weights: Iterable[Node]) -> tuple[str, ...]:
    """Return the layers that weights lead from and to."""
    return tuple(dict.fromkeys(name for node in weights for name in (*node.type.layers, *node.type.linked)))


def _kind(value: Any) -> str:
    """Describe the kind of a list's member, for the message about mixed lists."""
    if isinstance(value, Layers):
        return "a layer"
    if isinstance(value, Node):
        return {"score": "a target", "selection": "a selection"}.get(value.type.content, "a field")
    return "a text" if isinstance(value, str) else "a number"

"""From expressions to typed nodes: names, layers, atoms, calls and pipes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bbilang.compiler.check.argument_kinds import Layers, Reader
from bbilang.compiler.check.arguments import SOME_LAYER, At, Poisoned, at, bind, describe
from bbilang.compiler.check.bounding_boxes import Place
from bbilang.compiler.check.definitions import Expanded, Macro, bounded, expand
from bbilang.compiler.check.layers import INPUT_LAYER, ModelContext, Substrates
from bbilang.compiler.check.present import Presenter
from bbilang.compiler.check.selections import SELECTIONS, Selector
from bbilang.compiler.check.targets import Targeter
from bbilang.compiler.contract import Fail, Registry, did_you_mean
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import ATOMS, Axis, FieldType
from bbilang.grammar import ast
from bbilang.grammar.source import Span


@dataclass
class Binding:
    value: Any  # Node, Layers, a literal, or None where its definition was wrong
    span: Span
    used: bool = False
    element: str = ""  # id of the element that it is


@dataclass
class Resolver(Substrates):
    """Expressions in, typed nodes out. Raises `At`; remembers for every node the spans that asked for it."""

    registry: Registry
    models: Mapping[str, ModelContext]
    inputs: int
    settings: dict[str, Any]
    scopes: list[dict[str, Binding]] = field(default_factory=lambda: [{}])
    origins: dict[Node, list[Span]] = field(default_factory=lambda: defaultdict(list))
    asked: set[tuple[Node, Span]] = field(default_factory=set)  # the same, to ask quickly
    later: dict[str, Span] = field(default_factory=dict)  # names that the file binds further down
    elsewhere: dict[str, tuple[str, bool]] = field(default_factory=dict)  # names of other interfaces -> title, drawn?
    binding: str = ""  # the name that the statement read now binds
    macros: dict[str, Macro | None] = field(default_factory=dict)  # made by `def`; None where that went wrong
    used_macros: set[str] = field(default_factory=set)
    depth: int = 0  # of definitions being expanded
    expanded: Expanded = field(default_factory=Expanded)  # what they become
    foreign: Span | None = None  # the `use` whose file is read now: places in it are shown there
    open: bool = False  # a `use` that failed may have brought any name
    name: str | None = None  # of the binding whose value is read now: selections are called so
    drawn: list[Node] = field(default_factory=list)  # elements of the interface read now, to draw over
    element_names: dict[Node, str] = field(default_factory=dict)
    notes: list[At] = field(default_factory=list)  # complaints that need not stop the reading
    files: Place = field(default_factory=Place)  # where names of files start

    def __post_init__(self) -> None:
        self.targets = Targeter(self)
        self.selections = Selector(self)
        self.presenter = Presenter(self)
        self.reader = Reader(self)

    # --- nodes -----------------------------------------------------------------------------------------------------

    def unavailable(self, span: Span, what: str, help: str | None = None) -> None:
        """Typed, but not to be run yet: said once a place, and the rest is still checked."""
        if all(note.span != span for note in self.notes):
            self.notes.append(at(span, "E901", f"{what} is not available yet", help))

    def make(self, op: str, inputs: tuple[Node, ...], parameters: dict[str, Any], type: FieldType, span: Span) -> Node:
        node = bounded(Node(op, inputs, tuple(sorted(parameters.items())), type), span)
        span = self.foreign or span
        if (node, span) not in self.asked:
            self.asked.add((node, span))
            self.origins[node].append(span)
        return node

    @property
    def model(self) -> ModelContext:
        return next(iter(self.models.values()))

    def context(self, alias: str, span: Span) -> ModelContext:
        if alias not in self.models:
            named = [name for name in self.models if name]
            help = did_you_mean(alias, named, f"models are {', '.join(named)}") if named else f"leave out `{alias}:`"
            span = Span(span.start, span.start + len(alias))
            raise at(span, "E421", f"no model is called `{alias}`", help)
        return self.models[alias]

    def input_axis(self) -> Axis:
        return Axis("input", self.inputs)

    @contextmanager
    def scope(self) -> Iterator[dict[str, Binding]]:
        self.scopes.append({})
        try:
            yield self.scopes[-1]
        finally:
            self.scopes.pop()

    def find(self, name: str) -> Binding | None:
        for scope in reversed(self.scopes):
            if name in scope:
                scope[name].used = True
                return scope[name]
        return None

    def known_names(self) -> list[str]:
        return [name for scope in self.scopes for name in scope] + ["input", "output"]

    # --- values ----------------------------------------------------------------------------------------------------

    def value(self, expression: ast.Expression) -> Any:
        """A node, layers or a literal."""
        match expression:
            case ast.Number() | ast.Constant():
                return expression.value
            case ast.String():
                layers = self.quoted(expression.value, expression.span)
                return expression.value if layers is None else layers
            case ast.Path():
                return self.path(expression)
            case ast.Attribute(value=ast.String() as named) if expression.name in ATOMS:
                return self.atom_of(self.quoted(named.value, named.span, must=True), expression.name, expression.span)
            case ast.Attribute():
                return self.atom_of(self.value(expression.value), expression.name, expression.span)
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

    def field(self, expression: ast.Expression) -> Node:
        """A node with values over axes: pipes, substrates, targets."""
        return self.as_field(self.value(expression), expression)

    def as_field(self, value: Any, expression: ast.Expression) -> Node:
        if isinstance(value, Layers):
            return self.substrate(value, "whole", expression.span)
        if not isinstance(value, Node):
            raise at(
                expression.span,
                "E234",
                f"{describe(expression)} is not a field",
                f"a pipe starts with a layer and its atoms, as in `{SOME_LAYER}.channel`",
            )
        if value.type.content == "selection":
            raise at(
                expression.span,
                "E234",
                f"{describe(expression)} is a selection, not a field",
                "hand it to an operation: `... | at(cell)`",
            )
        return value

    def path(self, path: ast.Path) -> Any:
        if path.model is not None:
            self.context(path.model, path.span)
            return self._layer_path(path.name, path.model, path.span)
        if (binding := self.find(path.name)) is not None:
            if binding.value is None:
                raise Poisoned
            return binding.value
        head, _, atom = path.name.rpartition(".")
        if head and (binding := self.find(head)) is not None:
            if binding.value is None:
                raise Poisoned
            return self.atom_of(binding.value, atom, path.span)
        if path.name == "input":
            return self.picture(path.span)
        if path.name == "output" or head == "output":
            return self.targets.output(path, atom)
        if head == "input":
            return self.substrate(Layers(self.model.slot.alias, (INPUT_LAYER,)), atom, path.span)
        for word in (path.name, head):
            if word in self.later and not self._is_layer(word):
                span = path.span if word == path.name else Span(path.span.start, path.span.end - len(atom) - 1)
                if word == self.binding:
                    raise at(span, "E222", f"`{word}` is used in its own definition", "choose another name")
                raise at(span, "E222", f"`{word}` is used before it is bound", "move its line above this one")
        return self._layer_path(path.name, None, path.span)

    def list(self, expression: ast.List) -> Any:
        """`[mixed3a, mixed4a]`, `[mixed3a..mixed5a]`: layers. `[output[a], output[b]]`: targets. `[6, 6]`: numbers."""
        if not expression.items:
            raise at(expression.span, "E213", "this list is empty")
        values: list[Any] = []
        for item in expression.items:
            if isinstance(item, ast.Range):
                values.append(self._range(item))
            else:
                values.append(self.value(item))
        if all(isinstance(v, Layers) for v in values):
            if len({v.model for v in values}) > 1:
                raise at(expression.span, "E235", "a list of layers is of one model")
            return Layers(values[0].model, tuple(dict.fromkeys(n for v in values for n in v.names)), listed=True)
        if all(isinstance(v, Node) and v.type.content == "score" for v in values):
            return self.targets.stack(values, expression.span)
        if all(isinstance(v, int | float | str) for v in values):
            return tuple(values)
        if all(isinstance(v, Node) and (v.type.atom == "group" or v.type.content == "score") for v in values):
            layers = tuple(dict.fromkeys(name for v in values for name in v.type.layers))
            states = tuple(axis for v in values for axis in v.type.states)
            type = FieldType("list", "list", layers, (self.input_axis(),), model=values[0].type.model).with_states(
                *states
            )
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
        if call.name in SELECTIONS:
            return self.selections.make(call)
        if call.name in self.macros:
            return self._expanded(call, None)
        if call.name == "weights":
            return self.weights(call)
        if self.registry.find("operations", call.name):
            raise at(
                call.span,
                "E234",
                f"`{call.name}` is an operation and needs a field before it",
                f"put it after a pipe: `{SOME_LAYER}.channel | {call.name}(...)`",
            )
        if self.open:
            raise Poisoned
        names = [*SELECTIONS, *self.macros, *(n for n, o in self.registry.operations.items() if not o.head)]
        raise at(call.name_span, "E210", f"`{call.name}` is not known", did_you_mean(call.name, names))

    def pipe(self, pipe: ast.Pipe) -> Node:
        number, field = -1, None
        try:
            field = self.field(pipe.head)
            for number in range(len(pipe.stages)):
                stage = pipe.stages[number]
                field = self.stage(field, stage, pipe.head.span | stage.span)
        except (At, Poisoned) as error:
            if isinstance(error, At) and field is not None:
                error.layers = error.layers or field.type.layers
            self._look_over(pipe.stages[number + 1 :])
            raise
        return field

    def _look_over(self, stages: Iterable[ast.Call]) -> None:
        """What can be said of stages whose field is unknown: that their names are known."""
        for stage in stages:
            if stage.name in self.macros or self.open:
                continue
            operation = self.registry.find("operations", stage.name)
            if operation is None or operation.head:
                self.notes.append(self.unknown_operation(stage))
            elif stage.name == "present" and stage.arguments:
                style = stage.arguments[0].value
                if isinstance(style, ast.Path) and self.registry.find("styles", style.name) is None:
                    near = did_you_mean(style.name, self.registry.styles)
                    self.notes.append(at(style.span, "E218", f"`{style.name}` is not a style", near))

    def unknown_operation(self, call: ast.Call) -> At:
        names = [*self.macros, *(n for n, o in self.registry.operations.items() if not o.head)]
        if call.name in SELECTIONS:
            help = f"write `at({call.name}(...))`"
            return at(call.name_span, "E210", f"`{call.name}` is a selection, not an operation", help)
        return at(call.name_span, "E210", f"`{call.name}` is not an operation", did_you_mean(call.name, names))

    def stage(self, field: Node, call: ast.Call, span: Span) -> Node:
        if field.op == "present":
            raise at(call.span, "E234", "nothing can follow `present`: what is drawn is no field any more")
        if call.name in self.macros:
            return self.as_field(self._expanded(call, field), call)
        operation = self.registry.find("operations", call.name)
        if operation is None and self.open:
            raise Poisoned
        if operation is None or operation.head:
            raise self.unknown_operation(call)
        if call.name == "present":
            return self.presenter.present(field, call, span)
        if operation.content and field.op == "input":
            field = self.substrate(Layers(field.type.model, (INPUT_LAYER,)), "whole", call.span)
        if not operation.content:
            field = self.with_content(field, call.span)
        arguments, spans = bind(
            call.name,
            call.span,
            call.arguments,
            operation.parameters,
            lambda value, parameter: self.reader.argument(value, parameter, field),
        )
        for parameter in operation.parameters:  # `set attribute(method=...)` speaks where the text does not
            if parameter.name not in spans and f"{call.name}.{parameter.name}" in self.settings:
                arguments[parameter.name] = self.settings[f"{call.name}.{parameter.name}"]
        try:
            self.reader.placed(operation, arguments, field)
            self.reader.suits(operation, arguments)
            type = operation.refined(operation.type(field.type, arguments), arguments, self.registry)
            arguments = dict(operation.expand(field, arguments, partial(self._inner, span)))
        except Fail as fail:
            raise At(fail, spans.get(fail.argument or "", call.span)) from fail
        if not operation.available:
            self.unavailable(call.name_span, f"`{call.name}`", f"it {operation.plan}")
        return self.make(call.name, (field,), arguments, type, span)

    def _inner(self, span: Span, name: str, field: Node, **given: Any) -> Node:
        """A node of an operation that another one is made of."""
        operation = self.registry.operations[name]
        arguments = {p.name: p.default for p in operation.parameters} | given
        type = operation.refined(operation.type(field.type, arguments), arguments, self.registry)
        return self.make(name, (field,), arguments, type, span)

    def _expanded(self, call: ast.Call, piped: Node | None) -> Any:
        macro = self.macros[call.name]
        if macro is None:
            raise Poisoned
        self.used_macros.add(call.name)
        return expand(macro, call, piped, self)

    def bound(self, value: Any, span: Span) -> Binding:
        return Binding(value, span, used=True)

    def with_content(self, field: Node, span: Span) -> Node:
        """The field itself, or its activation where nothing was said: the default content."""
        if field.type.content != "substrate":
            return field
        operation = self.registry.operations["activation"]
        parameters = {p.name: p.default for p in operation.parameters}
        return self.make("activation", (field,), parameters, operation.type(field.type, parameters), span)


def _kind(value: Any) -> str:
    """A member of a list in words, for a message about a list that mixes."""
    if isinstance(value, Layers):
        return "a layer"
    if isinstance(value, Node):
        return {"score": "a target", "selection": "a selection"}.get(value.type.content, "a field")
    return "a text" if isinstance(value, str) else "a number"

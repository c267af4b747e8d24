"""From expressions to typed nodes: names, layers, atoms, calls and pipes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from bbilang.compiler.arguments import At, at, bind, describe, literal
from bbilang.compiler.description import LayerDescription, ModelDescription
from bbilang.compiler.ir import ModelSlot, Node
from bbilang.compiler.macros import Macro, expand
from bbilang.compiler.op import Fail, Parameter, Registry, did_you_mean
from bbilang.compiler.present import Presenter
from bbilang.compiler.reading import Layers, Reader
from bbilang.compiler.select import SELECTIONS, Selector
from bbilang.compiler.target import Targeter
from bbilang.compiler.types import ATOM_AXES, ATOMS, Axis, FieldType
from bbilang.grammar import ast
from bbilang.grammar.source import Span

INPUT_LAYER = "input"


@dataclass
class Binding:
    value: Any  # Node, Layers, a literal, or None where its definition was wrong
    span: Span
    used: bool = False
    element: str = ""  # id of the element that it is


@dataclass
class ModelContext:
    slot: ModelSlot
    description: ModelDescription

    def layer(self, name: str) -> LayerDescription | None:
        if name == INPUT_LAYER:
            return LayerDescription(INPUT_LAYER, "", ("channel", "y", "x"), (3, *self.description.input_size))
        return self.description.by_name.get(name)


class Poisoned(Exception):
    """Something that failed before is used: say nothing twice."""


@dataclass
class Resolver:
    """Expressions in, typed nodes out. Raises `At`; remembers for every node the spans that asked for it."""

    registry: Registry
    models: Mapping[str, ModelContext]
    inputs: int
    settings: dict[str, Any]
    scopes: list[dict[str, Binding]] = field(default_factory=lambda: [{}])
    origins: dict[Node, list[Span]] = field(default_factory=lambda: defaultdict(list))
    later: dict[str, Span] = field(default_factory=dict)  # names that the file binds further down
    binding: str = ""  # the name that the statement read now binds
    macros: dict[str, Macro | None] = field(default_factory=dict)  # made by `def`; None where that went wrong
    used_macros: set[str] = field(default_factory=set)
    depth: int = 0  # of definitions being expanded
    foreign: Span | None = None  # the `use` whose file is read now: places in it are shown there
    open: bool = False  # a `use` that failed may have brought any name
    name: str | None = None  # of the binding whose value is read now: selections are called so
    drawn: list[Node] = field(default_factory=list)  # elements of the interface read now, to draw over
    element_names: dict[Node, str] = field(default_factory=dict)
    notes: list[At] = field(default_factory=list)  # complaints that need not stop the reading

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
        node = Node(op, inputs, tuple(sorted(parameters.items())), type)
        span = self.foreign or span
        if span not in self.origins[node]:
            self.origins[node].append(span)
        return node

    @property
    def model(self) -> ModelContext:
        return next(iter(self.models.values()))

    def context(self, alias: str, span: Span) -> ModelContext:
        if alias not in self.models:
            raise at(span, "E421", f"no model is called `{alias}`", did_you_mean(alias, self.models))
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
                return (
                    self.layers_named(expression.value, None, expression.span)
                    if self._is_layer(expression.value)
                    else expression.value
                )
            case ast.Path():
                return self.path(expression)
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
                "a pipe starts with a layer and its atoms, as in `mixed4d.channel`",
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

    def _is_layer(self, name: str) -> bool:
        return self.model.layer(name) is not None

    def _layer_path(self, name: str, alias: str | None, span: Span) -> Any:
        """`mixed4d` or `mixed4d.channel`: the last word is the atom if it is one of the atom words."""
        context = self.context(alias, span) if alias else self.model
        head, _, last = name.rpartition(".")
        if head and last in ATOMS:
            return self.atom_of(self.layers_named(head, alias, Span(span.start, span.end - len(last) - 1)), last, span)
        if context.layer(name) is None and head and context.layer(head) is not None:
            near = did_you_mean(last, ATOMS, f"atoms are {', '.join(ATOMS[:5])}")
            raise at(Span(span.end - len(last), span.end), "E208", f"`{last}` is not an atom of `{head}`", near)
        return self.layers_named(name, alias, span)

    def layers_named(self, name: str, alias: str | None, span: Span) -> Layers:
        context = self.context(alias, span) if alias else self.model
        layer = context.layer(name)
        if layer is None:
            if self.open:
                raise Poisoned
            description = context.description
            names = [*description.by_name, *self.known_names()]
            near = did_you_mean(name, names)
            listing = f"`bbi layers {context.slot.name}` lists all"
            bare = "." not in name and not any(c.isdigit() for c in name)
            what = (
                f"`{name}` is neither a name of this file nor a layer of {description.name}"
                if bare
                else f"`{name}` is not a layer of {description.name}"
            )
            raise at(span, "E201" if bare else "E204", what, f"{near} {listing}" if near else listing)
        return Layers(context.slot.alias, (layer.name,))

    def picture(self, span: Span) -> Node:
        y, x = self.model.description.input_size
        axes = (self.input_axis(), Axis("y", y), Axis("x", x))
        type = FieldType("picture", "pixel", (INPUT_LAYER,), axes, model=self.model.slot.alias, signed=False)
        return self.make("input", (), {}, type, span)

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
        raise at(expression.span, "E213", "a list holds layers, or targets, or numbers, and this one mixes them")

    def _range(self, item: ast.Range) -> Layers:
        first, last = self.value(item.first), self.value(item.last)
        if not (isinstance(first, Layers) and isinstance(last, Layers)):
            raise at(item.span, "E213", "a range goes from layer to layer")
        order = [layer.name for layer in self.context(first.model, item.span).description.layers]
        # A range is of the level of its ends: `[block1a..block3a]` has the blocks, not their insides.
        depth = first.names[0].count(".")
        low, high = order.index(first.names[0]), order.index(last.names[0])
        if low > high:
            raise at(item.span, "E213", f"`{last.names[0]}` comes before `{first.names[0]}`", "turn the range round")
        return Layers(first.model, tuple(n for n in order[low : high + 1] if n.count(".") == depth), listed=True)

    # --- substrates ------------------------------------------------------------------------------------------------

    def atom_of(self, value: Any, atom: str, span: Span) -> Node:
        if isinstance(value, Layers):
            if atom not in ATOMS:
                word = Span(span.end - len(atom), span.end)
                raise at(
                    word, "E208", f"`{atom}` is not an atom", did_you_mean(atom, ATOMS, f"atoms are {', '.join(ATOMS)}")
                )
            return self.substrate(value, atom, span)
        if isinstance(value, Node) and value.op == "factorize" and atom in ("spatial", "channel"):
            return self.factor(value, atom, span)
        if isinstance(value, Node) and value.op == "input":
            return self.substrate(Layers(value.type.model, (INPUT_LAYER,)), atom, span)
        raise at(span, "E208", f"`.{atom}` needs a layer or a list of layers before it")

    def factor(self, groups: Node, atom: str, span: Span) -> Node:
        """`g.spatial`: where each group is. `g.channel`: which channels it is made of."""
        layer = self.context(groups.type.model, span).layer(groups.type.layers[0])
        names = ("y", "x") if atom == "spatial" else ("channel",)
        axes = tuple(Axis(name, layer.sizes[name]) for name in names if name in layer.sizes)
        type = replace(
            groups.type, content="loading", atom=atom, axes=(*groups.type.axes, *axes), unit="weight in the group"
        )
        return self.make("factor", (groups,), {"which": atom}, type, span)

    def substrate(self, layers: Layers, atom: str, span: Span) -> Node:
        context = self.context(layers.model, span)
        if layers.names == (INPUT_LAYER,) and atom not in ("pixel", "whole"):
            raise at(span, "E209", f"the input has no atom `{atom}`", "its atoms are `input.pixel`")
        found = [context.layer(name) for name in layers.names]
        for name, layer in zip(layers.names, found, strict=True):
            wanted = {"token"} if atom == "token" else {"y", "x"} if atom in ("spatial", "pixel") else set()
            if atom in ("group", "class", "example") or (atom == "pixel" and name != INPUT_LAYER):
                raise at(span, "E209", f"the layer `{name}` has no atom `{atom}`", _atoms_of(layer))
            if not wanted <= set(layer.axes):
                raise at(
                    span,
                    "E209",
                    f"`{name}` has the axes {', '.join(layer.axes)}, so no atom `{atom}`",
                    _atoms_of(layer),
                )
        keep = ("y", "x", "token", "channel") if atom == "neuron" else ATOM_AXES[atom]
        axes = [self.input_axis()]
        if layers.listed:
            axes.append(Axis("layer", len(layers.names)))
            if len({layer.axes for layer in found}) > 1:
                raise at(span, "E235", "these layers have different axes", "list layers of one kind: maps or vectors")
        for name in keep:
            sizes = tuple(layer.sizes[name] for layer in found if name in layer.sizes)
            if sizes:
                axes.append(Axis(name, max(sizes), sizes=sizes if layers.listed else ()))
        signed = not all(layer.nonnegative for layer in found)
        type = FieldType("substrate", atom, layers.names, tuple(axes), model=layers.model, signed=signed)
        return self.make("substrate", (), {"model": layers.model, "layers": layers.names, "atom": atom}, type, span)

    def index(self, expression: ast.Index) -> Any:
        if (
            isinstance(expression.value, ast.Path)
            and expression.value.name == "output"
            and expression.value.model is None
        ):
            return self.targets.indexed(expression)
        node = self.as_field(self.value(expression.value), expression.value)
        if node.op != "substrate":
            raise at(expression.span, "E236", "an index picks atoms of a layer or classes of `output`")
        axes = [axis for axis in node.type.axes if axis.name not in ("input", "layer")]
        if not axes:
            help = "as in `mixed4d.channel[447]` or `mixed4d.spatial[6, 6]`"
            raise at(expression.value.span, "E236", "an index needs atoms to pick from: name them before it", help)
        numbers = [literal(a.value, Parameter("index", "integer", "a zero-based index")) for a in expression.arguments]
        if len(numbers) != len(axes):
            names = ", ".join(axis.name for axis in axes)
            raise at(
                expression.span,
                "E236",
                f"{node.type.atom} atoms have {len(axes)} indices ({names}), and {len(numbers)} stand here",
            )
        for number, axis, argument in zip(numbers, axes, expression.arguments, strict=True):
            if not 0 <= number < axis.size:
                raise at(
                    argument.span,
                    "E236",
                    f"{axis.name} {number} is outside 0..{axis.size - 1}",
                    "indices count from zero",
                )
        name = axes[0].name if len(axes) == 1 else node.type.atom
        fused = Axis(name, 1, tuple(axis.name for axis in axes), whole=False)
        type = node.type.without(*(axis.name for axis in axes))
        type = FieldType(
            type.content, type.atom, type.layers, (*type.axes, fused), model=type.model, signed=type.signed
        )
        return self.make("pick_atom", (node,), {"index": tuple(numbers)}, type, expression.span)

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
                f"put it after a pipe: `mixed4d.channel | {call.name}(...)`",
            )
        if self.open:
            raise Poisoned
        names = [*SELECTIONS, *self.macros, *(n for n, o in self.registry.operations.items() if not o.head)]
        raise at(call.name_span, "E210", f"`{call.name}` is not known", did_you_mean(call.name, names))

    def weights(self, call: ast.Call) -> Node:
        """`weights(from, to)`: the summed kernel of the one linear operation between two layers."""
        parameters = (Parameter("from", "layer", "the earlier layer"), Parameter("to", "layer", "the later layer"))
        found, spans = bind(call.name, call.span, call.arguments, parameters, lambda value, _: self.value(value))
        first, last = found["from"], found["to"]
        for name, layers in (("from", first), ("to", last)):
            if not isinstance(layers, Layers) or len(layers.names) != 1:
                raise at(
                    spans[name], "E234", f"`{name}` is one layer without an atom", "as in `weights(mixed4c, mixed4d)`"
                )
        self.in_order(first.names, last.names, first.model, spans["to"])
        context = self.context(first.model, call.span)
        axes = tuple(
            Axis(f"{end}.channel", context.layer(layers.names[0]).sizes["channel"])
            for end, layers in (("from", first), ("to", last))
        )
        type = FieldType(
            "weight", "channel", (first.names[0], last.names[0]), axes, model=first.model, unit="sum over the kernel"
        )
        self.unavailable(call.name_span, "`weights`", "it draws the kernel between two layers")
        return self.make("weights", (), {"from": first.names[0], "to": last.names[0]}, type, call.span)

    def in_order(self, earlier: Iterable[str], later: Iterable[str], alias: str, span: Span) -> None:
        """Attribution goes from earlier layers to later ones. Raises E237."""
        order = {layer.name: number for number, layer in enumerate(self.context(alias, span).description.layers)}
        for a in earlier:
            for b in later:
                if order.get(a, -1) >= order.get(b, len(order)):
                    raise at(
                        span,
                        "E237",
                        f"`{b}` does not come after `{a}`",
                        "attribution goes from an earlier layer to a later one",
                    )

    def pipe(self, pipe: ast.Pipe) -> Node:
        number = -1
        try:
            field = self.field(pipe.head)
            for number, stage in enumerate(pipe.stages):
                field = self.stage(field, stage, pipe.head.span | stage.span)
        except (At, Poisoned):
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
        try:
            type = operation.type(field.type, arguments)
        except Fail as fail:
            raise At(fail, spans.get(fail.argument or "", call.span)) from fail
        if not operation.available:
            self.unavailable(call.name_span, f"`{call.name}`", f"it {operation.plan}")
        return self.make(call.name, (field,), arguments, type, span)

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


def _atoms_of(layer: LayerDescription) -> str:
    has = ["channel", "neuron"]
    if "y" in layer.axes:
        has.insert(0, "spatial")
    if "token" in layer.axes:
        has.insert(0, "token")
    return f"it has {', '.join(f'`.{a}`' for a in has)}"

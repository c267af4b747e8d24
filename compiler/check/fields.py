"""Fields from layers: the atoms of a layer, the input as a picture, and what a pipe starts from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bbilang.compiler.check.arguments.binding import SOME_LAYER, at, describe
from bbilang.compiler.check.arguments.checkpoints import stacked
from bbilang.compiler.check.layers import LayerReader
from bbilang.compiler.check.scope import INPUT_LAYER, Layers, ModelContext, Scope
from bbilang.compiler.contract import did_you_mean
from bbilang.compiler.ir.model_description import NOT_PICTURES, LayerDescription, ModelDescription
from bbilang.compiler.ir.models import is_stack
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import ATOM_AXES, ATOMS, LAYER_AXES, Axis, FieldType
from bbilang.grammar import ast
from bbilang.grammar.source import Span


class FieldReader:
    """Makes fields from layers and their atoms."""

    def __init__(self, scope: Scope, layers: LayerReader):
        self.scope, self.layers = scope, layers
        self._contents: dict[tuple[int, Span], tuple[Node, Node]] = {}  # field and its activation, by place

    def layer_path(self, name: str, alias: str | None, span: Span) -> Any:
        """Resolve `mixed4d` or `mixed4d.channel`: the last word is the atom if it is one of the atom words."""
        context = self.scope.context(alias, span) if alias else self.scope.model
        head, _, last = name.rpartition(".")
        if head and last in ATOMS and (last != "head" or context.layer(name) is None):
            if last == "head":
                span_of_module = Span(span.start, span.end - len(last) - 1)
                return self.substrate(self.layers.with_heads(head, alias, span_of_module), last, span)
            return self.atom_of(
                self.layers.layers_named(head, alias, Span(span.start, span.end - len(last) - 1)), last, span
            )
        if context.layer(name) is None and head and context.layer(head) is not None:
            near = did_you_mean(last, ATOMS, f"atoms are {', '.join(ATOMS[:5])}")
            raise at(Span(span.end - len(last), span.end), "E208", f"`{last}` is not an atom of `{head}`", near)
        return self.layers.layers_named(name, alias, span)

    def picture(self, span: Span) -> Node:
        """Return the input as a picture. Raises CheckError E209 for a model that takes no picture."""
        model = self.scope.model
        description = model.description
        if description.reads in NOT_PICTURES and description.reads != "audio":
            message = f"{description.name} takes {description.reads}s ({', '.join(description.input.axes)}), which are "
            help = "its entries are atoms: `input.channel | attribute(output) | top(8) | present(bars)`"
            raise at(span, "E209", f"{message}no pictures", help)
        if description.reads == "text":
            first = next((layer.name for layer in description.layers if "token" in layer.axes), "")
            help = f"its words are the tokens of a layer: `{first}.token | attribute(output) | present(heatmap)`"
            raise at(span, "E209", f"{description.name} reads text, and this is a picture", help)
        y, x = description.input_size  # of a sound those of its spectrogram: it is shown as one
        axes = (self.scope.input_axis(), Axis("y", y), Axis("x", x))
        type = FieldType("picture", "pixel", (INPUT_LAYER,), axes, model=model.slot.alias, signed=False)
        return self.scope.make("input", (), {}, type, span)

    def atom_of(self, value: Any, atom: str, span: Span) -> Node:
        """Resolve `value.atom`: the atoms of layers, of a factorization or of the input. Raises CheckError E208,
        E209."""
        if isinstance(value, Layers):
            if atom not in ATOMS:
                help = did_you_mean(atom, ATOMS, f"atoms are {', '.join(ATOMS)}")
                raise at(Span(span.end - len(atom), span.end), "E208", f"`{atom}` is not an atom", help)
            return self.substrate(value, atom, span)
        operation = self.scope.registry.operations.get(_maker(value).op) if isinstance(value, Node) else None
        if isinstance(value, Node) and operation is not None and atom in operation.factors:
            return self.factor(value, atom, span)
        if isinstance(value, Node) and value.op == "input":
            return self.substrate(Layers(value.type.model, (INPUT_LAYER,)), atom, span)
        raise at(span, "E208", f"`.{atom}` needs a layer or a list of layers before it")

    def factor(self, groups: Node, atom: str, span: Span) -> Node:
        """Resolve `g.spatial` (where each group is) or `g.channel` (which channels it is made of)."""
        layer = self.scope.context(groups.type.model, span).known_layer(groups.type.layers[0])
        names = [name for name in layer.axes if (name == "channel") == (atom == "channel")]
        if not names:
            raise at(span, "E209", f"`{layer.name}` has no positions, so its {groups.type.atom}s have no `.spatial`")
        axes = tuple(Axis(name, layer.sizes[name]) for name in sorted(names, key=LAYER_AXES.index))
        name = self.scope.registry.operations[_maker(groups).op].factor
        type = self.scope.registry.operations[name].type(groups.type, {"of": groups, "axes": axes, "which": atom})
        return self.scope.make(name, (groups,), {"which": atom}, type, span)

    def substrate(self, layers: Layers, atom: str, span: Span) -> Node:
        """Return all atoms of one kind of some layers. Raises CheckError E209, E235."""
        context = self.scope.context(layers.model, span)
        if self.scope.model.slot.of == layers.model:
            context = self.scope.model
            layers = replace(layers, model=context.slot.alias)
        if context.slot.members:
            each = [self.substrate(replace(layers, model=one), atom, span) for one in context.slot.members]
            return stacked(self.scope, each, span)
        if layers.names == (INPUT_LAYER,):
            own = _input_atoms(context.description)
            if atom not in (*own, "whole"):
                listing = ", ".join(f"`input.{name}`" for name in own)
                raise at(span, "E209", f"the input has no atom `{atom}`", f"its atoms are {listing}")
        if atom == "head":
            layers = replace(layers, names=tuple(self.layers.heads_of(name, context, span) for name in layers.names))
        described = [_with_atom(context, name, atom, span) for name in layers.names]
        axes = [self.scope.input_axis()]
        if layers.listed:
            axes.append(Axis("layer", len(layers.names)))
            if len({layer.axes for layer in described}) > 1:
                raise at(span, "E235", "these layers have different axes", "list layers of one kind: maps or vectors")
        for name in LAYER_AXES if atom == "neuron" else ATOM_AXES[atom]:
            sizes = tuple(layer.sizes[name] for layer in described if name in layer.sizes)
            if sizes:
                axes.append(Axis(name, max(sizes), sizes=sizes if layers.listed else ()))
        signed = not all(layer.nonnegative for layer in described)
        type = FieldType("substrate", atom, layers.names, tuple(axes), model=layers.model, signed=signed)
        parameters = {"model": layers.model, "layers": layers.names, "atom": atom}
        return self.scope.make("substrate", (), parameters, type, span)

    def field(self, expression: ast.Expression) -> Node:
        """Check an expression that must have values over axes: a pipe, a substrate or a target."""
        return self.as_field(self.scope.value(expression), expression)

    def as_field(self, value: Any, expression: ast.Expression) -> Node:
        """Return the value of an expression as a field; layers become their whole activation. Raises CheckError
        E234."""
        if isinstance(value, Layers):
            return self.substrate(value, "whole", expression.span)
        if not isinstance(value, Node):
            help = f"a pipe starts with a layer and its atoms, as in `{SOME_LAYER}.channel`"
            raise at(expression.span, "E234", f"{describe(expression)} is not a field", help)
        if value.type.content == "selection":
            message = f"{describe(expression)} is a selection, not a field"
            raise at(expression.span, "E234", message, "hand it to an operation: `... | at(cell)`")
        return value

    def with_content(self, field: Node, span: Span) -> Node:
        """Return the field itself, or its activation where the text names no content."""
        if field.type.content != "substrate":
            return field
        key = id(field), self.scope.use_span or span
        known = self._contents.get(key)  # holes try many stages on one field
        if known is None:
            known = self._contents[key] = field, self._activation(field, span)
        return known[1]

    def _activation(self, field: Node, span: Span) -> Node:
        if is_stack(field):
            return stacked(self.scope, [self.with_content(member, span) for member in field.inputs], span)
        operation = self.scope.registry.operations["activation"]
        parameters = {p.name: p.default for p in operation.parameters}
        return self.scope.make("activation", (field,), parameters, operation.type(field.type, parameters), span)


def _maker(node: Node) -> Node:
    """Return what made an atom that was picked by its number: `concepts[0]`."""
    return node.inputs[0] if node.op == "pick_atom" else node


def _with_atom(context: ModelContext, name: str, atom: str, span: Span) -> LayerDescription:
    """Return the layer described for one kind of atoms. Raises CheckError E209 where it has no such atoms."""
    layer = context.known_layer(name)
    if atom in ("group", "class", "example") or (atom == "pixel" and name != INPUT_LAYER):
        raise at(span, "E209", f"the layer `{name}` has no atom `{atom}`", _atoms_of(layer))
    if atom == "spatial" and layer.grid:
        layer = layer.as_map
    if layer.is_heads and atom not in ("head", "neuron", "token", "whole"):
        message = f"`{name}` has the axes {', '.join(layer.axes)}, and each head has channels of its own"
        raise at(span, "E209", message, _atoms_of(layer))
    needed = {atom} if atom in ("token", "frame") else {"y", "x"} if atom in ("spatial", "pixel") else set()
    if context.description.reads in NOT_PICTURES and "frame" not in layer.axes:  # positions along one axis
        needed -= {"y"}
    if not needed <= set(layer.axes):
        message = f"`{name}` has the axes {', '.join(layer.axes)}, so no atom `{atom}`"
        raise at(span, "E209", message, _atoms_of(layer))
    return layer


def _input_atoms(description: ModelDescription) -> tuple[str, ...]:
    """Return the kind of atoms that the input has: pixels for a picture, entries for numbers."""
    if description.reads not in NOT_PICTURES:
        return ("pixel",) if description.channels == 3 else ("pixel", "channel", "neuron")
    if description.reads == "audio":
        return ("frame", "channel", "neuron")
    return ("channel",) if description.reads == "vector" else ("channel", "spatial", "neuron")


def _atoms_of(layer: LayerDescription) -> str:
    if layer.is_heads:
        return "it has `.head`, `.token`, `.neuron`"
    has = ["channel", "neuron"]
    if "y" in layer.as_map.axes or "x" in layer.axes:
        has.insert(0, "spatial")
    has = [*(name for name in ("token", "frame") if name in layer.axes), *has]
    return f"it has {', '.join(f'`.{a}`' for a in has)}"

"""Layers and their atoms: what a pipe starts from."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bbilang.compiler.check.argument_kinds import Layers
from bbilang.compiler.check.arguments import SOME_LAYER, At, Poisoned, at, bind
from bbilang.compiler.contract import Parameter, did_you_mean
from bbilang.compiler.ir.model_description import (
    IDLE,
    NO_TENSOR,
    NOT_PICTURES,
    SCRIPTED,
    SEVERAL,
    UNLIKE,
    LayerDescription,
    ModelDescription,
    in_text,
)
from bbilang.compiler.ir.program import ModelSlot, Node
from bbilang.compiler.ir.types import ATOM_AXES, ATOMS, Axis, FieldType
from bbilang.grammar import ast
from bbilang.grammar.source import Span

if TYPE_CHECKING:
    from bbilang.compiler.check.resolve import Resolver

INPUT_LAYER = "input"
WHY = {  # a module that is no layer: the code, what is wrong, what to do
    SEVERAL: ("E501", "runs several times in one pass, and has no one result", "name the module around it"),
    IDLE: ("E502", "does not run when the network is evaluated", "name one that does"),
    NO_TENSOR: ("E502", "gives no tensor", "name a module inside it, or around it"),
    UNLIKE: (
        "E502",
        "gives a tensor whose axes are not those of a layer: its first is not that of the inputs, or it has too many",
        "a recurrent layer or attention takes `batch_first=True`; or name a module before or after it",
    ),
    SCRIPTED: (
        "E502",
        "is part of a scripted module, whose parts cannot be seen",
        "give the module before `torch.jit`",
    ),
}


@dataclass
class ModelContext:
    slot: ModelSlot
    description: ModelDescription

    def layer(self, name: str) -> LayerDescription | None:
        return self.description.input if name == INPUT_LAYER else self.description.by_name.get(name)


class Substrates:
    """The part of the resolver that knows layers. ``self`` is the whole resolver."""

    def _is_layer(self: Resolver, name: str) -> bool:
        return self.model.layer(name) is not None

    def quoted(self: Resolver, name: str, span: Span, must: bool = False) -> Layers | None:
        """What a text in quotes names: a layer, also one called like a word of the language. None where it names none,
        unless it ``must``."""
        layer = self.model.description.quoted(name)
        if layer is not None:
            return Layers(self.model.slot.alias, (layer.name,))
        if self._is_layer(name) or must or name in self.model.description.absent:
            return self.layers_named(name, None, span)
        return None

    def _layer_path(self: Resolver, name: str, alias: str | None, span: Span) -> Any:
        """`mixed4d` or `mixed4d.channel`: the last word is the atom if it is one of the atom words."""
        context = self.context(alias, span) if alias else self.model
        head, _, last = name.rpartition(".")
        if head and last in ATOMS:
            return self.atom_of(self.layers_named(head, alias, Span(span.start, span.end - len(last) - 1)), last, span)
        if context.layer(name) is None and head and context.layer(head) is not None:
            near = did_you_mean(last, ATOMS, f"atoms are {', '.join(ATOMS[:5])}")
            raise at(Span(span.end - len(last), span.end), "E208", f"`{last}` is not an atom of `{head}`", near)
        return self.layers_named(name, alias, span)

    def layers_named(self: Resolver, name: str, alias: str | None, span: Span) -> Layers:
        context = self.context(alias, span) if alias else self.model
        layer = context.layer(name)
        if layer is None:
            if self.open:
                raise Poisoned
            description = context.description
            if name in description.absent:
                raise self._absent(name, description, span)
            names = [*description.by_name, *self.known_names()]
            near = did_you_mean(name, names)
            listing = f"`bbi layers {context.slot.name}` lists all"
            if near is None:
                listing = f"{description.some_layers()}; {listing}"
            if name in self.elsewhere:
                title, drawn = self.elsewhere[name]
                message = f"`{name}` is a name of another interface, {title}"
                help = "bind it outside of the interfaces, and it is known in all of them"
                if drawn:
                    help = "an element belongs to one interface: write its line in this one too"
                raise at(span, "E201", message, help)
            bare = "." not in name and not any(c.isdigit() for c in name)
            what = (
                f"`{name}` is neither a name of this file nor a layer of {description.name}"
                if bare
                else f"`{name}` is not a layer of {description.name}"
            )
            raise at(span, "E201" if bare else "E204", what, f"{near} {listing}" if near else listing)
        return Layers(context.slot.alias, (layer.name,))

    def _absent(self: Resolver, name: str, description: ModelDescription, span: Span) -> At:
        """What to say of a module that is there and is no layer."""
        code, what, help = WHY[description.absent[name]]
        around = next((h for h in _heads(name) if h in description.by_name), None)
        inside = next((layer.name for layer in description.layers if layer.module.startswith(f"{name}.")), None)
        others = [n for n in (inside, around) if n] or list(did_you_mean_layers(name, description))
        listing = f", as in `{in_text(others[0])}`" if others and description.absent[name] != SCRIPTED else ""
        return at(span, code, f"`{name}` {what}", f"{help}{listing}")

    def picture(self: Resolver, span: Span) -> Node:
        description = self.model.description
        if description.reads in NOT_PICTURES:
            axes = ", ".join(description.input.axes)
            help = "its entries are atoms: `input.channel | attribute(output) | top(8) | present(bars)`"
            raise at(
                span, "E209", f"{description.name} takes {description.reads}s ({axes}), which are no pictures", help
            )
        if self.model.description.reads == "text":
            first = next((layer.name for layer in self.model.description.layers if "token" in layer.axes), "")
            help = f"its words are the tokens of a layer: `{first}.token | attribute(output) | present(heatmap)`"
            raise at(span, "E209", f"{self.model.description.name} reads text, and this is a picture", help)
        y, x = self.model.description.input_size
        axes = (self.input_axis(), Axis("y", y), Axis("x", x))
        type = FieldType("picture", "pixel", (INPUT_LAYER,), axes, model=self.model.slot.alias, signed=False)
        return self.make("input", (), {}, type, span)

    def _range(self: Resolver, item: ast.Range) -> Layers:
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

    def atom_of(self: Resolver, value: Any, atom: str, span: Span) -> Node:
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

    def factor(self: Resolver, groups: Node, atom: str, span: Span) -> Node:
        """`g.spatial`: where each group is. `g.channel`: which channels it is made of."""
        layer = self.context(groups.type.model, span).layer(groups.type.layers[0])
        names = [name for name in layer.axes if (name == "channel") == (atom == "channel")]
        if not names:
            raise at(span, "E209", f"`{layer.name}` has no positions, so its groups have no `.spatial`")
        axes = tuple(Axis(name, layer.sizes[name]) for name in sorted(names, key=("y", "x", "token", "channel").index))
        type = self.registry.operations["factor"].type(groups.type, {"of": groups, "axes": axes, "which": atom})
        return self.make("factor", (groups,), {"which": atom}, type, span)

    def substrate(self: Resolver, layers: Layers, atom: str, span: Span) -> Node:
        context = self.context(layers.model, span)
        if layers.names == (INPUT_LAYER,):
            own = _input_atoms(context.description)
            if atom not in (*own, "whole"):
                listing = ", ".join(f"`input.{name}`" for name in own)
                raise at(span, "E209", f"the input has no atom `{atom}`", f"its atoms are {listing}")
        found = [context.layer(name) for name in layers.names]
        for name, layer in zip(layers.names, found, strict=True):
            wanted = {"token"} if atom == "token" else {"y", "x"} if atom in ("spatial", "pixel") else set()
            if context.description.reads in NOT_PICTURES:  # positions along one axis
                wanted -= {"y"}
            if atom in ("group", "class", "example") or (atom == "pixel" and name != INPUT_LAYER):
                raise at(span, "E209", f"the layer `{name}` has no atom `{atom}`", _atoms_of(layer))
            if atom == "spatial" and layer.grid:
                found[layers.names.index(name)] = layer = layer.as_map
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

    def index(self: Resolver, expression: ast.Index) -> Any:
        if (
            isinstance(expression.value, ast.Path)
            and expression.value.name == "output"
            and expression.value.model is None
        ):
            return self.targets.indexed(expression)
        node = self.as_field(self.value(expression.value), expression.value)
        if node.op == "input" and all(isinstance(a.value, ast.String) for a in expression.arguments):
            files = ", ".join(f'"{a.value.value}"' for a in expression.arguments)
            raise at(expression.span, "E236", "the files of `input` stand without brackets", f"write `input {files}`")
        if node.op != "substrate":
            raise at(expression.span, "E236", "an index picks atoms of a layer or classes of `output`")
        axes = [axis for axis in node.type.axes if axis.name not in ("input", "layer")]
        if not axes:
            help = f"as in `{SOME_LAYER}.channel[7]` or `{SOME_LAYER}.spatial[3, 3]`"
            raise at(expression.value.span, "E236", "an index needs atoms to pick from: name them before it", help)
        whole = Parameter("index", "integer", "atoms are picked by their numbers, which count from zero")
        numbers = [self.reader.argument(a.value, whole, node) for a in expression.arguments]
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
                    "indices count from zero"
                    + (f", and none counts from the end: the last is {axis.size - 1}" if number < 0 else ""),
                )
        name = axes[0].name if len(axes) == 1 else node.type.atom
        fused = Axis(name, 1, tuple(axis.name for axis in axes), whole=False)
        type = node.type.without(*(axis.name for axis in axes))
        type = FieldType(
            type.content, type.atom, type.layers, (*type.axes, fused), model=type.model, signed=type.signed
        )
        return self.make("pick_atom", (node,), {"index": tuple(numbers)}, type, expression.span)

    def weights(self: Resolver, call: ast.Call) -> Node:
        """`weights(from, to)`: the summed kernel of the one linear operation between two layers."""
        parameters = (Parameter("from", "layer", "the earlier layer"), Parameter("to", "layer", "the later layer"))
        found, spans = bind(call.name, call.span, call.arguments, parameters, lambda value, _: self.value(value))
        first, last = found["from"], found["to"]
        for name, layers in (("from", first), ("to", last)):
            if not isinstance(layers, Layers) or len(layers.names) != 1:
                raise at(
                    spans[name], "E234", f"`{name}` is one layer without an atom", "as in `weights(earlier, later)`"
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

    def in_order(self: Resolver, earlier: Iterable[str], later: Iterable[str], alias: str, span: Span) -> None:
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


def _input_atoms(description: ModelDescription) -> tuple[str, ...]:
    """The atoms that the input has: of a picture its pixels, of numbers their entries."""
    if description.reads not in NOT_PICTURES:
        return ("pixel",) if description.channels == 3 else ("pixel", "channel", "neuron")
    return ("channel",) if description.reads == "vector" else ("channel", "spatial", "neuron")


def _heads(name: str) -> Iterable[str]:
    """`a.b.c` -> `a.b`, `a`."""
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def did_you_mean_layers(name: str, description: ModelDescription) -> Iterable[str]:
    """Layers of this model, the near ones first."""
    near = difflib.get_close_matches(name, description.by_name, 1, 0.5)
    return (*near, *(layer.name for layer in description.layers[:1]))


def _atoms_of(layer: LayerDescription) -> str:
    has = ["channel", "neuron"]
    if "y" in layer.as_map.axes or "x" in layer.axes:
        has.insert(0, "spatial")
    if "token" in layer.axes:
        has.insert(0, "token")
    return f"it has {', '.join(f'`.{a}`' for a in has)}"

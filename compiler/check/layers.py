"""Resolve names of layers, written as paths, in quotes and in ranges, and check their order in the model."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from bbilang.compiler.check.arguments.binding import CheckError, Poisoned, at
from bbilang.compiler.check.scope import Layers, ModelContext, Scope
from bbilang.compiler.contract import did_you_mean
from bbilang.compiler.ir.model_description import (
    HEADS,
    IDLE,
    NO_TENSOR,
    SCRIPTED,
    SEVERAL,
    UNLIKE,
    ModelDescription,
    in_text,
)
from bbilang.grammar import ast
from bbilang.grammar.source import Span

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


class LayerReader:
    """Checks names of layers."""

    def __init__(self, scope: Scope):
        self.scope = scope

    def is_layer(self, name: str) -> bool:
        return self.scope.model.layer(name) is not None

    def quoted(self, name: str, span: Span) -> Layers | None:
        """Return the layer that a quoted name stands for, or None.

        Raises CheckError E501, E502 for a module that is no layer.
        """
        model = self.scope.model
        if model.description.quoted(name) is None and not self.is_layer(name) and name not in model.description.absent:
            return None
        return self.quoted_layer(name, span)

    def quoted_layer(self, name: str, span: Span) -> Layers:
        """Return the layer of a quoted name, even one that is also a word of the language.

        Raises CheckError where there is none.
        """
        model = self.scope.model
        layer = model.description.quoted(name)
        return self.layers_named(name, None, span) if layer is None else Layers(model.slot.alias, (layer.name,))

    def layers_named(self, name: str, alias: str | None, span: Span) -> Layers:
        """Return the layer of a name in the model of an alias, or in the first.

        Raises CheckError E201, E204, E501, E502; Poisoned.
        """
        context = self.scope.context(alias, span) if alias else self.scope.model
        layer = context.layer(name)
        if layer is not None:
            return Layers(context.slot.alias, (layer.name,))
        if self.scope.open:
            raise Poisoned
        if name in context.description.absent:
            raise self._absent(name, context.description, span)
        if name in self.scope.elsewhere:
            raise self._of_another_interface(name, span)
        raise self._unknown(name, context, span)

    def with_heads(self, name: str, alias: str | None, span: Span) -> Layers:
        """Return the heads of a module with attention, even one that is no layer. Raises as `layers_named`."""
        context = self.scope.context(alias, span) if alias else self.scope.model
        own = context.description.heads.get(name)
        return self.layers_named(name, alias, span) if own is None else Layers(context.slot.alias, (own,))

    def quoted_heads(self, name: str, span: Span) -> Layers:
        """Return the heads of a quoted module with attention; else as `quoted_layer`."""
        own = self.scope.model.description.heads.get(name)
        return self.quoted_layer(name, span) if own is None else Layers(self.scope.model.slot.alias, (own,))

    def heads_of(self, name: str, context: ModelContext, span: Span) -> str:
        """Return the layer of the heads of a layer with attention. Raises CheckError E293."""
        description = context.description
        if (layer := context.known_layer(name)).is_heads:
            return name
        if (own := description.heads.get(name) or description.heads.get(layer.module)) is not None:
            return own
        every = [known.name.removesuffix(HEADS) for known in description.layers if known.is_heads]
        if not every:
            help = f"{description.name} has no attention, or none whose heads are joined by one projection"
            raise at(span, "E293", f"`{name}` has no attention heads", help)
        near = [one for one in every if one.startswith(f"{name}.")] or every
        listing = f"`bbi layers {context.slot.name}` lists all"
        help = f"layers with heads are {' and '.join(f'`{in_text(one)}.head`' for one in near[:2])}; {listing}"
        raise at(span, "E293", f"`{name}` has no attention heads", help)

    def _of_another_interface(self, name: str, span: Span) -> CheckError:
        title, drawn = self.scope.elsewhere[name]
        help = "bind it outside of the interfaces, and it is known in all of them"
        if drawn:
            help = "an element belongs to one interface: write its line in this one too"
        return at(span, "E201", f"`{name}` is a name of another interface, {title}", help)

    def _unknown(self, name: str, context: ModelContext, span: Span) -> CheckError:
        description = context.description
        near = did_you_mean(name, [*description.by_name, *self.scope.known_names()])
        listing = f"`bbi layers {context.slot.name}` lists all"
        help = f"{near} {listing}" if near else f"{description.some_layers()}; {listing}"
        if name and name in self.scope.models:
            layer = next((layer.name for layer in self.scope.models[name].description.layers), "some_layer")
            return at(span, "E201", f"`{name}` is a model, and no layer", f"name one of its layers: `{name}:{layer}`")
        if "." not in name and not any(c.isdigit() for c in name):
            message = f"`{name}` is neither a name of this file nor a layer of {description.name}"
            return at(span, "E201", message, help)
        return at(span, "E204", f"`{name}` is not a layer of {description.name}", help)

    def _absent(self, name: str, description: ModelDescription, span: Span) -> CheckError:
        """Return the error for a module that exists but is not a layer."""
        code, what, help = WHY[description.absent[name]]
        around = next((parent for parent in _parents(name) if parent in description.by_name), None)
        inside = next((layer.name for layer in description.layers if layer.module.startswith(f"{name}.")), None)
        others = [n for n in (inside, around) if n] or list(_similar_layers(name, description))
        listing = f", as in `{in_text(others[0])}`" if others and description.absent[name] != SCRIPTED else ""
        return at(span, code, f"`{name}` {what}", f"{help}{listing}")

    def range(self, expression: ast.Range) -> Layers:
        """Resolve `[block1a..block3a]`: the layers from one to another on the same level, so blocks without their
        insides."""
        first, last = self.scope.value(expression.first), self.scope.value(expression.last)
        if not (isinstance(first, Layers) and isinstance(last, Layers)):
            raise at(expression.span, "E213", "a range goes from layer to layer")
        description = self.scope.context(first.model, expression.span).description
        order = [layer.name for layer in description.layers]
        depth = first.names[0].count(".")
        low, high = order.index(first.names[0]), order.index(last.names[0])
        if low > high:
            message = f"`{last.names[0]}` comes before `{first.names[0]}`"
            raise at(expression.span, "E213", message, "turn the range round")
        layers = description.layers[low : high + 1]
        heads = layers[0].is_heads
        own = (x.name for x in layers if x.name.count(".") == depth and x.is_heads == heads)
        return Layers(first.model, tuple(own), listed=True)

    def in_order(self, earlier: Iterable[str], later: Iterable[str], alias: str, span: Span) -> None:
        """Raise E237 unless attribution goes from earlier layers to later ones."""
        order = {layer.name: number for number, layer in enumerate(self.scope.context(alias, span).description.layers)}
        for a in earlier:
            for b in later:
                if order.get(a, -1) >= order.get(b, len(order)):
                    raise at(
                        span,
                        "E237",
                        f"`{b}` does not come after `{a}`",
                        "attribution goes from an earlier layer to a later one",
                    )


def _parents(name: str) -> Iterable[str]:
    """Yield the enclosing names: `a.b` and `a` for `a.b.c`."""
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _similar_layers(name: str, description: ModelDescription) -> Iterable[str]:
    """Return the layers of this model, the most similar name first."""
    near = difflib.get_close_matches(name, description.by_name, 1, 0.5)
    return (*near, *(layer.name for layer in description.layers[:1]))

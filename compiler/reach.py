"""Selections that nobody could use: every `hover` and `click` needs an element that shows its atoms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bbilang.compiler.arguments import At, at
from bbilang.compiler.ir import Element, Node, walk
from bbilang.compiler.op import Registry
from bbilang.compiler.resolve import Resolver

POINTED = ("hover", "click")  # a `pick` brings a menu of its own


def unreachable(elements: Iterable[Element], registry: Registry, resolver: Resolver) -> Iterator[At]:
    """E306 for every selection in use whose atoms no element shows."""
    nodes = list(dict.fromkeys(element.node for element in elements))
    for selection in dict.fromkeys(node for node in walk(*nodes) if node.op in POINTED):
        if not any(_shows(element, selection, registry) for element in nodes):
            axis = selection.type.axes[0]
            what = ", ".join(c for c in axis.components if c != "layer")
            help = _help(axis.components, selection.type.layers)
            message = f"no element shows what this selection ranges over ({what}), so nobody could {selection.op} it"
            yield at(resolver.origins[selection][0], "E306", message, help)


def _shows(element: Node, selection: Node, registry: Registry) -> bool:
    """True where marks or cells of the element are atoms of the selection, whatever the reader chose before."""
    wanted, layers = selection.type.axes[0].components, selection.type.layers
    style = registry.styles[element["style"]]
    if style.name == "image":
        return wanted == ("y", "x") and len(layers) == 1  # a photo shows the positions of every layer
    type = element.type.without(element["facet"]) if element["facet"] else element.type
    drawn = style.spend(type)
    shown = ("y", "x") if drawn.cells else drawn.slots.components if drawn.slots else ()
    if shown == ("class",):
        return wanted == shown
    plain = [tuple(c for c in components if c != "layer") for components in (wanted, shown)]
    return plain[0] == plain[1] and bool(set(layers) & set(element.type.layers))


def _help(components: tuple[str, ...], layers: tuple[str, ...]) -> str:
    if components == ("class",):
        return "show the classes: `output[top(5)] | present(bars)`, or make it a menu: `pick(...)`"
    if components == ("y", "x") and len(layers) == 1:
        return "show the positions: `photo = input | present(image)`"
    if "channel" in components and "y" not in components:
        return f"show them: `{layers[0]}.channel | top(8) | present(featvis)`, or make it a menu: `pick(...)`"
    return "show them in an element, and select among its atoms: `hover(element)`"

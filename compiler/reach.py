"""Selections that nobody could use: every `hover` and `click` needs an element that shows its atoms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from bbilang.compiler.arguments import At, at
from bbilang.compiler.ir import Element, Node, walk
from bbilang.compiler.op import Registry
from bbilang.compiler.resolve import Resolver

POINTED = ("hover", "click")  # a `pick` brings a menu of its own
PHOTO = ("picture",)


def unreachable(elements: Iterable[Element], registry: Registry, resolver: Resolver) -> Iterator[At]:
    """E306 for every selection in use whose atoms no element shows."""
    nodes = list(dict.fromkeys(element.node for element in elements))
    shown = _shown(nodes, registry)
    for selection in dict.fromkeys(node for node in walk(*nodes) if node.op in POINTED):
        if not _shows(shown, selection):
            axis = selection.type.axes[0]
            what = ", ".join(c for c in axis.components if c != "layer")
            help = _help(axis.components, selection.type.layers)
            message = f"no element shows what this selection ranges over ({what}), so nobody could {selection.op} it"
            yield at(resolver.origins[selection][0], "E306", message, help)


def _shown(elements: Iterable[Node], registry: Registry) -> Mapping[tuple[str, ...], set[str]]:
    """What tells the marks or cells of elements apart, without `layer` -> the layers whose atoms they are."""
    found: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for element in elements:
        style = registry.styles[element["style"]]
        if style.name == "image":
            found[PHOTO].add(element.op)
            continue
        type = element.type.without(element["facet"]) if element["facet"] else element.type
        drawn = style.spend(type)
        components = ("y", "x") if drawn.cells else drawn.slots.components if drawn.slots else ()
        found[_without_layer(components)].update(type.layers)
        if drawn.cells and drawn.series:  # masks show their groups too
            found[_without_layer(drawn.series.components)].update(type.layers)
    return found


def _shows(shown: Mapping[tuple[str, ...], set[str]], selection: Node) -> bool:
    """True where marks or cells of some element are atoms of the selection, whatever the reader chose before."""
    wanted, layers = selection.type.axes[0].components, selection.type.layers
    if wanted == ("y", "x") and len(layers) == 1 and PHOTO in shown:  # a photo shows the positions of every layer
        return True
    if wanted == ("class",):
        return wanted in shown
    return not shown.get(_without_layer(wanted), set()).isdisjoint(layers)


def _without_layer(components: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(c for c in components if c != "layer")


def _help(components: tuple[str, ...], layers: tuple[str, ...]) -> str:
    if components == ("class",):
        return "show the classes: `output[top(5)] | present(bars)`, or make it a menu: `pick(...)`"
    if components == ("y", "x") and len(layers) == 1:
        return "show the positions: `photo = input | present(image)`"
    if "channel" in components and "y" not in components:
        return f"show them: `{layers[0]}.channel | top(8) | present(featvis)`, or make it a menu: `pick(...)`"
    return "show them in an element, and select among its atoms: `hover(element)`"

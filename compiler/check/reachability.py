"""Finds selections that no reader can use: every `hover` and `click` needs an element that shows its atoms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from bbilang.compiler.check.arguments.binding import CheckError, at
from bbilang.compiler.check.resolve import Resolver
from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.program import Element, Node, walk

POINTED = ("hover", "click")  # a `pick` brings a menu of its own
PHOTO = ("picture",)
Marks = tuple[tuple[str, ...], tuple[str, ...]]  # the components that identify them, and the layers that they belong to
Showing = tuple[tuple[Marks, ...], tuple[Node, ...]]  # the marks of an element, the selections in it


def unreachable(
    elements: Iterable[Element], registry: Registry, resolver: Resolver, memo: dict[Node, Showing] | None = None
) -> Iterator[CheckError]:
    """Yield E306 for every used selection whose atoms no element shows. ``memo``: results of an earlier check."""
    memo = {} if memo is None else memo
    nodes = list(dict.fromkeys(element.node for element in elements))
    shown: dict[tuple[str, ...], set[str]] = defaultdict(set)
    used: dict[Node, None] = {}
    for node in nodes:
        if node not in memo:
            pointed = tuple(dict.fromkeys(inner for inner in walk(node) if inner.op in POINTED))
            memo[node] = (tuple(_shown(node, registry)), pointed)
        marks, pointed = memo[node]
        for components, layers in marks:
            shown[components].update(layers)
        used |= dict.fromkeys(pointed)
    for selection in used:
        if not _shows(shown, selection):
            axis = selection.type.axes[0]
            what = ", ".join(c for c in axis.components if c != "layer")
            help = _help(axis.components, selection.type.layers)
            message = f"no element shows what this selection ranges over ({what}), so no reader can {selection.op} it"
            yield at(resolver.origins[selection][0], "E306", message, help)


def _shown(element: Node, registry: Registry) -> Iterator[Marks]:
    """Yield the components that identify the marks or cells of an element, without `layer`, and the layers of their
    atoms."""
    style = registry.styles[element["style"]]
    if style.shows_input and element.type.axis("example") is None:
        yield PHOTO, (element.op,)
        return
    type = element.type.panel(element["facet"])
    drawn = style.spend(type)
    positions = tuple(name for name in ("y", "x", "frame") if name in drawn.spent)
    components = positions if drawn.cells else drawn.slots.components if drawn.slots else ()
    yield _without_layer(components), type.layers
    if drawn.cells and drawn.series:  # masks show their groups too
        yield _without_layer(drawn.series.components), type.layers


def _shows(shown: Mapping[tuple[str, ...], set[str]], selection: Node) -> bool:
    """Return whether marks or cells of some element are atoms of the selection, whatever the reader chose before."""
    components, layers = selection.type.axes[0].components, selection.type.layers
    if components == ("y", "x") and len(layers) == 1 and PHOTO in shown:  # a photo shows the positions of every layer
        return True
    if components in (("class",), ("example",)):  # whatever else is computed of them
        return components in shown
    return not shown.get(_without_layer(components), set()).isdisjoint(layers)


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

"""The goals of an interface, as numbers: what it shows, how it connects, how much there is to look at, what the page
checks, and what it costs. From the typed program and its plan alone; nothing runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from bbilang.compiler.complete.fill import Filled
from bbilang.compiler.complete.spending import Spending
from bbilang.compiler.contract import ENCODINGS, IconsOf, Operation, Registry, bound
from bbilang.compiler.ir.program import Element, Node
from bbilang.compiler.ir.types import FieldType
from bbilang.grammar.frozen import frozen

Layer: TypeAlias = tuple[str, str]  # (model, name)
Below: TypeAlias = tuple[frozenset[tuple[Node, int]], frozenset[Layer]]

WORDS = {
    "what": "share of the atoms that are shown as pictures, then how many atoms are shown, then best approximations",
    "how": "layers that are connected, the output counted as one",
    "human_scale": "items to look at, then states, then how accurately numbers are read, then words of the legend",
    "trust": "checks that the page makes of its numbers",
    "cost": "floating-point operations, then passes",
}  # every goal, in the order of tables


@frozen
class Goals:
    """The numbers of one interface. ``closest``: elements that approximate the content as closely as so few numbers can
    (`Operation.keeps_most`). ``reading``: the places of its elements' encodings among `ENCODINGS`, added up, and
    ``read`` the last of these. ``seconds`` are estimated from ``flops`` by the speeds of a device."""

    what: float
    shown: int
    pictured: float
    closest: int
    how: int
    items: int
    states: int
    reading: int
    read: str
    words: int
    trust: int
    passes: int
    flops: int
    bytes: int
    icons: int
    seconds: float

    def key(self, goal: str) -> tuple[float, ...]:
        """Return what is compared for a goal; smaller is better."""
        match goal:
            case "what":
                return (-self.pictured, -self.shown, -self.closest)
            case "how":
                return (-self.how,)
            case "human_scale":
                return (self.items, self.states, self.reading, self.words)
            case "trust":
                return (-self.trust,)
        return (self.flops, self.passes)

    def said(self, goal: str) -> str:
        """Return the number of a goal in words."""
        match goal:
            case "what":
                pictures = f", {100 * self.pictured:.3g} % as pictures" if self.pictured else ""
                closest = ", as close as so few numbers come" if self.closest else ""
                return (
                    f"{self.shown:,} atom{'' if self.shown == 1 else 's'} ({100 * self.what:.3g} %{pictures}){closest}"
                )
            case "how":
                return f"{self.how} layer{'' if self.how == 1 else 's'} connected"
            case "human_scale":
                states = f", {self.states:,} states" if self.states > 1 else ""
                read = f", read by {self.read}" if self.read else ""
                return f"{self.items:,} item{'' if self.items == 1 else 's'}{states}{read}"
            case "trust":
                return f"{self.trust} check{'' if self.trust == 1 else 's'}"
        icons = f", {self.icons} icon{'' if self.icons == 1 else 's'}" if self.icons else ""
        return f"{self.passes:,} pass{'' if self.passes == 1 else 'es'}{icons}"


class _Part(NamedTuple):
    """The numbers of one element. ``inside``: whether it shows something of the network."""

    inside: bool
    share: float
    shown: int
    pictured: float
    closest: bool
    items: int
    reading: int
    words: int


class Measure:
    """Measures the goals of the completions of one text; what depends on a pipe's beginning alone, once. Nodes are
    known by their address, and kept."""

    def __init__(self, registry: Registry):
        self.registry = registry
        self._parts: dict[int, tuple[Element, _Part]] = {}
        self._shares: dict[int, tuple[Node, float]] = {}
        self._below: dict[int, tuple[Node, Below]] = {}
        self._together: dict[tuple[Below, ...], tuple[int, int]] = {}

    def goals(self, filled: Filled, spending: Spending) -> Goals:
        """Measure the goals of a page."""
        elements = filled.elements
        known = [self._of_nodes(node) for node in filled.checked.kept]
        known += [self._of_nodes(element.node) for element in elements]
        key = tuple(dict.fromkeys(known))
        counts = self._together.get(key)
        if counts is None:
            counts = self._together[key] = _counted(key)
        parts = [self._of_element(element) for element in elements]
        inside = [part for part in parts if part.inside]
        states = {axis.name: axis.size for e in elements for axis in e.node.type.states}
        return Goals(
            math.fsum([part.share for part in inside]) / max(len(inside), 1),
            sum([part.shown for part in inside]),
            math.fsum([part.pictured for part in inside]) / max(len(inside), 1),
            sum([part.closest for part in inside]),
            counts[1],
            sum([part.items for part in parts]),
            math.prod(states.values()),
            sum([part.reading for part in inside]),
            ENCODINGS[max([part.reading for part in inside])] if inside else "",
            sum([part.words for part in parts]),
            counts[0],
            spending.passes,
            spending.flops,
            spending.bytes,
            spending.icons,
            spending.flops / filled.checked.choices.speeds.forward.flops,
        )

    def _of_element(self, element: Element) -> _Part:
        node, known = element.node, self._parts.get(id(element.node))
        if known is None:
            share, words = self._share(node), len(_legend(node.type).split())
            pictured = share * self._pictured(node)
            inside = node.type.content != "picture"
            items = items_of(element, self.registry)
            reading = ENCODINGS.index(self.registry.styles[node["style"]].encoding)
            closest = self._any(node, lambda operation, each: operation.keeps_most(each))
            part = _Part(inside, share, _count(node.type), pictured, closest, items, reading, words)
            known = self._parts[id(node)] = element, part
        return known[1]

    def _pictured(self, node: Node) -> float:
        """Return how much of its atoms an element pictures: an icon is of one end of a direction."""
        if not has_pictures(node, self.registry):
            return 0.0
        halves = self._any(node, lambda operation, each: operation.two_ended(each))
        return 0.5 if halves and shows_icons(node, self.registry) else 1.0

    def _any(self, node: Node, holds: Callable[[Operation, Node], bool]) -> bool:
        """Return whether something holds of a stage of a pipe."""
        while node.inputs:
            node = node.inputs[0]
            operation = self.registry.operations.get(node.op)
            if operation is not None and holds(operation, node):
                return True
        return False

    def _share(self, node: Node) -> float:
        """Return the share of a pipe's atoms that is left by what keeps some of them. What the reader reaches by a
        choice is shown, and so is what a sum adds up."""
        known = self._shares.get(id(node))
        if known is None:
            share = self._share(node.inputs[0]) if node.inputs else 1.0
            operation = self.registry.operations.get(node.op)
            if operation is not None and operation.selects and node.inputs:
                share *= min(_count(node.type) / _count(node.inputs[0].type), 1.0)
            known = self._shares[id(node)] = node, share
        return known[1]

    def _of_nodes(self, node: Node) -> Below:
        """Return (nodes of which the page checks numbers, with how many checks; layers of which numbers are shown or
        explained), of a node and all below it."""
        known = self._below.get(id(node))
        if known is None:
            type, checks = node.type, _checks(node, self.registry)
            layers = () if type.content in ("picture", "selection") else (*type.layers, *type.linked)
            checked = frozenset([(node, checks)]) if checks else frozenset[tuple[Node, int]]()
            own = checked, frozenset([(type.model, name) for name in layers])
            below = [self._of_nodes(child) for child in node.children]
            if len(below) == 1 and own[0] <= below[0][0] and own[1] <= below[0][1]:
                known = self._below[id(node)] = node, below[0]
            else:
                united = own[0].union(*[each[0] for each in below]), own[1].union(*[each[1] for each in below])
                known = self._below[id(node)] = node, united
        return known[1]


def _counted(parts: Sequence[Below]) -> tuple[int, int]:
    """Return (checks, layers) of several elements together."""
    checks = frozenset[tuple[Node, int]]().union(*[each[0] for each in parts])
    return sum([count for _, count in checks]), len(frozenset[Layer]().union(*[each[1] for each in parts]))


def has_pictures(node: Node, registry: Registry) -> bool:
    """Return whether an element says of each atom what it responds to: by an icon, or by examples."""
    style = registry.styles[node["style"]]
    examples = style.shows_examples and node.type.axis("example") is not None
    return examples or shows_icons(node, registry)


def shows_icons(node: Node, registry: Registry) -> bool:
    """Return whether an element has an icon of each atom."""
    return any(isinstance(demand, IconsOf) for demand in registry.styles[node["style"]].demands(node))


def _count(type: FieldType) -> int:
    return math.prod(axis.size for axis in type.atom_axes)


def items_of(element: Element, registry: Registry) -> int:
    """Return how many things an element shows at once: a map is one, of however many cells."""
    node = element.node
    field, facet = node.inputs[0], node["facet"]
    style = registry.styles[node["style"]]
    axis = node.type.axis(facet) if facet else None
    shown, _ = style.marks(field, style.spend(field.type.panel(facet)))
    return (axis.size if axis is not None else 1) * max(shown, 1)


def _legend(type: FieldType) -> str:
    signs = ("negative", "positive") if type.signed else ()  # what each end means
    return " ".join((type.content, type.unit, type.scope, *type.steps, *signs))


def _checks(node: Node, registry: Registry) -> int:
    """Count what the page checks of an operation's numbers: measures of trust, random sets, a sum that comes out."""
    operation = registry.operations.get(node.op)
    if operation is None:
        return 0
    count = 0
    for parameter in operation.parameters:
        value = node.get(parameter.name)
        if parameter.kind == "measures":
            count += len(value) if isinstance(value, tuple) else 1
        if parameter.name == operation.controls and value:
            count += 1
        if parameter.kind == "method" and not (isinstance(value, tuple) and value[0] == "list"):
            count += bound(registry, value)[0].completes
    return count

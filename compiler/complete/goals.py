"""The goals of an interface, as numbers: what it shows, how it connects, how much there is to look at, what the page
checks, and what it costs. From the typed program and its plan alone; nothing runs."""

from __future__ import annotations

import math
from collections.abc import Iterator

from bbilang.compiler.contract import IconsOf, Registry, bound
from bbilang.compiler.ir.program import Element, Node, Program, walk
from bbilang.compiler.ir.types import FieldType
from bbilang.compiler.plan.plan import COUNTED, Plan
from bbilang.grammar.frozen import frozen

WORDS = {
    "what": "share of the atoms that are shown as pictures, then how many atoms are shown",
    "how": "layers that are connected, the output counted as one",
    "human_scale": "items to look at, then states, then words of the legend: fewer is better",
    "trust": "checks that the page makes of its numbers",
    "cost": "floating-point operations, then passes",
}  # every goal, in the order of tables


@frozen
class Goals:
    """The numbers of one interface. ``seconds`` are estimated from ``flops`` by the speeds of a device."""

    what: float
    shown: int
    pictured: float
    how: int
    items: int
    states: int
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
                return (-self.pictured, -self.shown)
            case "how":
                return (-self.how,)
            case "human_scale":
                return (self.items, self.states, self.words)
            case "trust":
                return (-self.trust,)
        return (self.flops, self.passes)

    def said(self, goal: str) -> str:
        """Return the number of a goal in words."""
        match goal:
            case "what":
                pictures = f", {100 * self.pictured:.3g} % as pictures" if self.pictured else ""
                return f"{self.shown:,} atom{'' if self.shown == 1 else 's'} ({100 * self.what:.3g} %{pictures})"
            case "how":
                return f"{self.how} layer{'' if self.how == 1 else 's'} connected"
            case "human_scale":
                states = f", {self.states:,} states" if self.states > 1 else ""
                return f"{self.items:,} item{'' if self.items == 1 else 's'}{states}"
            case "trust":
                return f"{self.trust} check{'' if self.trust == 1 else 's'}"
        icons = f", {self.icons} icon{'' if self.icons == 1 else 's'}" if self.icons else ""
        return f"{self.passes:,} pass{'' if self.passes == 1 else 'es'}{icons}"


def goals_of(plan: Plan, registry: Registry) -> Goals:
    """Measure the goals of the page of a plan."""
    program = plan.program
    totals = [plan.total(kind) for kind in COUNTED]
    icons, icon_flops = plan.total("icons")
    flops = sum(count for _, count in totals) + icon_flops
    elements = program.elements
    inside = [element for element in elements if element.node.type.content != "picture"]  # of the network
    shares = [_share_shown(element.node, registry) for element in inside]
    pictured = [share * _has_pictures(e.node, registry) for share, e in zip(shares, inside, strict=True)]
    return Goals(
        math.fsum(shares) / max(len(inside), 1),
        sum(_count(element.node.type) for element in inside),
        math.fsum(pictured) / max(len(inside), 1),
        len(_layers(program)),
        sum(_items(element, registry) for element in elements),
        math.prod(axis.size for axis in {axis.name: axis for e in elements for axis in e.node.type.states}.values()),
        sum(len(_legend(element.node.type).split()) for element in elements),
        sum(_checks(node, registry) for node in walk(*program.roots)),
        sum(passes for passes, _ in totals),
        flops,
        sum(step.bytes for step in plan.steps),
        icons,
        flops / program.choices.speeds.forward.flops,
    )


def _chain(node: Node) -> Iterator[Node]:
    """Iterate over a pipe from its end to its start."""
    while True:
        yield node
        if not node.inputs:
            return
        node = node.inputs[0]


def _share_shown(node: Node, registry: Registry) -> float:
    """Return the share of a pipe's atoms that is left by what keeps some of them. What the reader reaches by a choice
    is shown, and so is what a sum adds up."""
    share = 1.0
    for each in _chain(node):
        operation = registry.operations.get(each.op)
        if operation is not None and operation.selects and each.inputs:
            share *= min(_count(each.type) / _count(each.inputs[0].type), 1.0)
    return share


def _has_pictures(node: Node, registry: Registry) -> bool:
    """Return whether an element says of each atom what it responds to: by an icon, or by examples."""
    style = registry.styles[node["style"]]
    examples = style.shows_examples and node.type.axis("example") is not None
    return examples or any(isinstance(demand, IconsOf) for demand in style.demands(node))


def _count(type: FieldType) -> int:
    return math.prod(axis.size for axis in type.atom_axes)


def _layers(program: Program) -> set[tuple[str, str]]:
    """Return the layers of which numbers are shown or explained."""
    nodes = [node for node in walk(*program.roots) if node.type.content not in ("picture", "selection")]
    return {(node.type.model, name) for node in nodes for name in (*node.type.layers, *node.type.linked)}


def _items(element: Element, registry: Registry) -> int:
    """Return how many things an element shows at once: a map is one, of however many cells."""
    node = element.node
    field, facet = node.inputs[0], node["facet"]
    style = registry.styles[node["style"]]
    axis = node.type.axis(facet) if facet else None
    shown, _ = style.marks(field, style.spend(field.type.panel(facet)))
    return (axis.size if axis is not None else 1) * max(shown, 1)


def _legend(type: FieldType) -> str:
    return " ".join((type.content, type.unit, type.scope, *type.steps))


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

"""A program of several models as one program for each of them, whose results are joined on the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from bbilang.compiler.contract import Fail, IconsOf, Registry
from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.models import CHECKPOINT, CHECKPOINT_AXIS, others_below
from bbilang.compiler.ir.program import Element, Interface, ModelSlot, Node, Program
from bbilang.compiler.optimize.lower import with_passes
from bbilang.compiler.optimize.related import with_relatives

MEMBER = " of checkpoint "  # stands in the id of an element of one checkpoint's icons, before its number in the field
PARTNERS = " partners"  # ends the id of an element of the channels that those of another element are matched with


class NoOrder(Fail):
    """What a page of several models cannot compute: ``node``. Two that need numbers of each other, or a method whose
    rules know no change."""

    def __init__(self, node: Node, message: str, help: str):
        super().__init__("E321", message, help)
        self.node = node


def with_parts(program: Program, descriptions: Mapping[str, ModelDescription], registry: Registry) -> Program:
    """Give a program its passes: those of its model, or a part for each model that an element needs, in the order in
    which they run. Raises `Fail` E321 where two models wait for each other."""
    slots = {slot.alias: slot for slot in program.models}
    if len(slots) == 1:
        return _lowered(program, registry)
    matched = (*_matched(program, registry), *_of_checkpoints(program, slots, registry))
    kept = _needed_elsewhere(program, slots, matched)
    parts = {alias: _part(program, slot, descriptions[alias], kept.get(alias, ())) for alias, slot in slots.items()}
    parts = {alias: part for alias, part in parts.items() if part.roots}
    lowered = [*with_relatives([_lowered(parts[alias], registry) for alias in _ordered(parts)], registry)]
    for alias in dict.fromkeys(element.node.type.model for element in matched):
        elements = tuple(element for element in matched if element.node.type.model == alias)
        lowered.append(_lowered(_icons_of(program, slots[alias], descriptions[alias], elements), registry))
    if len(lowered) == 1:
        return lowered[0]
    return replace(program, parts=tuple(lowered))


def _matched(program: Program, registry: Registry) -> tuple[Element, ...]:
    """Return elements of the channels that those of others are matched with, where these are of another model and have
    icons: while that model is loaded again, the icons are made."""
    made = []
    for element in program.elements:
        node, (field, *_) = element.node, element.node.inputs
        drawn = registry.styles[node["style"]].demands(node)
        if field.type.partner and field.type.partner[0] and any(isinstance(demand, IconsOf) for demand in drawn):
            type = registry.operations["partners"].type(field.type, {})
            own = {**dict(node.parameters), "over": None, "size": None, "size_of": None, "facet": None}
            shown = Node(node.op, (Node("partners", (field,), (), type),), tuple(own.items()), type)
            made.append(Element(f"{element.id}{PARTNERS}", shown))
    return tuple(made)


def _of_checkpoints(program: Program, slots: Mapping[str, ModelSlot], registry: Registry) -> Iterator[Element]:
    """Yield elements of the icons of each checkpoint, for those that show all: each network is loaded again for them,
    once it is known of which atoms they are."""
    for element in program.elements:
        node, (field, *_) = element.node, element.node.inputs
        members = slots[node.type.model].members if node.type.model in slots else ()
        drawn = registry.styles[node["style"]].demands(node)
        if not members or not any(isinstance(demand, IconsOf) for demand in drawn):
            continue
        axis = field.type.axis(CHECKPOINT_AXIS)
        assert axis is not None, "icons are of single checkpoints"
        for number, member in enumerate(members[-axis.size :]):  # a difference has no first one
            type = replace(registry.operations[CHECKPOINT].type(field.type, {}), model=member)
            own = {**dict(node.parameters), "over": None, "size": None, "size_of": None, "facet": None}
            one = Node(CHECKPOINT, (field,), (("position", number),), type)
            shown = replace(type, states=node.type.states)
            yield Element(f"{element.id}{MEMBER}{number}", Node(node.op, (one,), tuple(own.items()), shown))


def _icons_of(
    program: Program, slot: ModelSlot, description: ModelDescription, elements: tuple[Element, ...]
) -> Program:  # fmt: skip
    """Return the program of the icons of channels that others are matched with."""
    ids = tuple(element.id for element in elements)
    own = replace(program, models=(slot,), description=description, bindings=(), names=(), partners=True)
    others = others_below(own, *(element.node for element in elements))
    return replace(own, interfaces=(Interface("", elements, ("column", ids)),), others=tuple(others))


def _lowered(program: Program, registry: Registry) -> Program:
    description, changes = program.description, [node for one in program.models[0].lineage for node in one.changes]
    if program.models[0].members:
        return with_passes(program, registry, False, icons=False)
    scored = description is not None and description.classes > 0 and bool(program.inputs) and not program.partners
    made = with_passes(program, registry, scored)
    ruled = next((forward for forward in made.forwards if forward.rule and forward.serves), None)
    if ruled is not None and any(registry.operations[node.op].intervenes for node in changes):
        message = f"`{ruled.rule[0]}` has rules for the operations of a network, and none for a change of its atoms"
        raise NoOrder(ruled.serves[0], message, "`linear`, `gradient` and `integrated_gradients` need none")
    return made


def _part(program: Program, slot: ModelSlot, description: ModelDescription, kept: tuple[Node, ...]) -> Program:
    """Return the program of one model, without passes: its elements, and what those of others need of it."""
    own = replace(program, models=(slot,), description=description, kept=kept)
    first = slot == program.models[0]

    def shows(node: Node) -> bool:
        return node.type.model == slot.alias or (first and not node.type.model)

    interfaces = []
    for interface in program.interfaces:
        elements = tuple(element for element in interface.elements if shows(element.node))
        if elements:
            interfaces.append(Interface(interface.title, elements, ("column", tuple(e.id for e in elements))))
    names = [slot.alias for slot in slot.lineage]
    shown = [element.node for interface in interfaces for element in interface.elements]
    return replace(
        own,
        kept_as=tuple(node.digest for node in kept),
        others=tuple(others_below(own, *shown, *kept)),
        interfaces=tuple(interfaces),
        bindings=tuple((name, node) for name, node in program.bindings if shows(node)),
        names=tuple(replace(name, model=slot.alias) for name in program.names if name.model in names),
    )


def _needed_elsewhere(
    program: Program, slots: Mapping[str, ModelSlot], matched: tuple[Element, ...]
) -> dict[str, tuple[Node, ...]]:
    """Return the nodes of each model that pipes of other models read."""
    needed: dict[str, dict[Node, None]] = {}
    elements = (*program.elements, *matched)
    pending = [(element.node.type.model or program.models[0].alias, element.node) for element in elements]
    while pending:
        alias, root = pending.pop()
        for node in others_below(replace(program, models=(slots[alias],)), root):
            if node not in needed.setdefault(node.type.model, {}):
                needed[node.type.model][node] = None
                pending.append((node.type.model, node))
    return {alias: tuple(nodes) for alias, nodes in needed.items()}


def _ordered(parts: Mapping[str, Program]) -> list[str]:
    """Return the models in an order in which each comes after those that it needs values of, and, where that leaves
    the choice, after the one that it is derived from, which is loaded then. Raises `Fail` E321."""
    needs, bases = {}, {}
    for alias, part in parts.items():
        bases[alias] = {slot.alias for slot in part.models[0].lineage[1:]} & parts.keys()
        needs[alias] = ({node.type.model for node in part.others} & parts.keys()) - {alias}
    order: list[str] = []
    while len(order) < len(parts):
        ready = [alias for alias in parts if alias not in order and needs[alias] <= set(order)]
        ready.sort(key=lambda alias: not bases[alias] <= set(order))  # stable
        if not ready:
            waiting = " and ".join(f"`{alias}`" for alias in parts if alias not in order)
            message = f"{waiting} need numbers of each other, and one network is loaded at a time"
            help = "let the pipes of one model use those of the other, and not both"
            raise NoOrder(next(parts[alias].others[0] for alias in parts if alias not in order), message, help)
        order.append(ready[0])
    return order

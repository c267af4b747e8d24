"""Invariants of a typed program: names resolve, digests hold, axes are spent, every request can be served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bbilang.compiler.ir.program import Node, Program, Rerun, walk
from bbilang.grammar.verification import require

if TYPE_CHECKING:
    from bbilang.compiler.contract import Registry


def verify_program(program: Program, registry: Registry) -> None:
    """Raise InvariantError if a checked program violates the optimizer's assumptions."""
    require(bool(program.elements), "a program shows nothing")
    ids = [element.id for element in program.elements]
    require(len(set(ids)) == len(ids), "two elements have one id")
    nodes = list(walk(*(element.node for element in program.elements)))
    for node in nodes:
        _verify_node(node, registry)
    for element in program.elements:
        require(element.node.op == "present", f"element {element.id} is no `present`")
        require(element.over is None or element.over in ids, f"{element.id} is drawn over {element.over}")
        _verify_spent(element.node, registry)
    verify_passes(program)


def _verify_node(node: Node, registry: Registry) -> None:
    require(registry.find("operations", node.op) is not None, f"no operation is called {node.op}")
    anew = Node(node.op, node.inputs, node.parameters, node.type)
    require(anew.digest == node.digest, f"{node} has another digest than its parts give")
    require(node.depth > max((child.depth for child in node.children), default=0), f"{node} is not above its inputs")
    names = [axis.name for axis in (*node.type.axes, *node.type.states)]
    require(len(set(names)) == len(names), f"{node} has two axes of one name")
    require(all(axis.size >= 1 for axis in (*node.type.axes, *node.type.states)), f"{node} has an empty axis")


def _verify_spent(node: Node, registry: Registry) -> None:
    """Check that every axis of an element is drawn, laid out, or left to the reader."""
    style, facet = registry.styles[node["style"]], node["facet"]
    panel = node.inputs[0].type.panel(facet)
    left = set(panel.names) - set(style.spend(panel).spent) - {"input"}
    require(not left, f"{node} leaves the axes {sorted(left)}")


def verify_passes(program: Program) -> None:
    """Check that every derivative follows a forward of the program and serves nodes that an element needs."""
    shown = {id(node) for node in walk(*program.roots)}
    bound = {id(node) for _, binding in program.bindings for node in walk(binding)}
    layers = None if program.description is None else {"input", *program.description.by_name}
    count = len(program.forwards)
    for forward in program.forwards:
        require(bool(forward.layers or forward.scores), "a forward captures nothing")
        require(layers is None or set(forward.layers) <= layers, f"a forward captures {forward.layers}")
        require(not (forward.stops and forward.scores), "a forward stops below the scores that it gives")
    for derivative in program.derivatives:
        require(0 <= derivative.forward < count, "a derivative follows no forward")
        if isinstance(derivative, Rerun):
            require(-1 <= derivative.baseline < count, "a rerun has no forward for its baseline")
            require(derivative.visits >= 0, "a rerun makes less than no visits")
        require(bool(derivative.requests), "a derivative serves no request")
        for request in derivative.requests:
            require(id(request.node) in shown | bound, f"a derivative serves {request.node}, which is not shown")
            require(bool(request.layers), f"{request.node} requests no layer")
    elements = {element.id for element in program.elements}
    for icons in program.icons:
        require(set(icons.elements) <= elements, f"icons for {icons.elements}")

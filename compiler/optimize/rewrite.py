"""Rules that change the nodes themselves, and the rebuilding of a program that they need."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeAlias

from bbilang.compiler.ir.identity_map import IdentityMap
from bbilang.compiler.ir.program import Backward, DerivativeRequest, Forward, Node, Program, Rerun, Tangents, walk
from bbilang.compiler.optimize.target_slots import atoms_of

Derivative: TypeAlias = Backward | Tangents | Rerun
Requests: TypeAlias = dict[Node, list[tuple[int, DerivativeRequest]]]  # with their number in Program.derivatives
Change = Callable[[Node, Node], Node]  # (as it was, with its children rebuilt) -> its replacement


def with_derivatives(program: Program, derivatives: Iterable[Derivative]) -> Program:
    """Replace all of a program's derivatives."""
    every = list(derivatives)
    return replace(
        program,
        backwards=tuple(d for d in every if isinstance(d, Backward)),
        tangents=tuple(d for d in every if isinstance(d, Tangents)),
        reruns=tuple(d for d in every if isinstance(d, Rerun)),
    )


def rebuilt(program: Program, change: Change) -> tuple[Program, dict[Node, Node]]:
    """Rebuild every node that an element needs from its rebuilt children, each once; and return what became of each.
    Children come first."""
    known: dict[Node, Node] = {}
    done: IdentityMap[Node, Node] = IdentityMap()
    for node in walk(*program.roots):
        if node not in known:
            known[node] = change(node, _with_children(node, done))
        done[node] = known[node]

    def one(nodes: Iterable[Node]) -> tuple[Node, ...]:
        return tuple(dict.fromkeys(known.get(node, node) for node in nodes))

    def moved(request: DerivativeRequest) -> DerivativeRequest:
        return replace(
            request, target=known.get(request.target, request.target), node=known.get(request.node, request.node)
        )

    interfaces = tuple(
        replace(i, elements=tuple(replace(e, node=known[e.node]) for e in i.elements)) for i in program.interfaces
    )
    origins = dict(program.origins)
    for old, new in known.items():
        if new != old and old in origins:
            origins[new] = tuple(dict.fromkeys((*origins.get(new, ()), *origins[old])))
    program = replace(
        program,
        interfaces=interfaces,
        bindings=tuple((name, known.get(node, node)) for name, node in program.bindings),
        forwards=tuple(replace(f, serves=one(f.serves)) for f in program.forwards),
        scans=tuple(replace(s, dataset=known.get(s.dataset, s.dataset), serves=one(s.serves)) for s in program.scans),
        kept=tuple(known[node] for node in program.kept),
        origins=origins,
    )
    derivatives = [replace(d, requests=tuple(map(moved, d.requests))) for d in program.derivatives]
    return with_derivatives(program, derivatives), known


def _with_children(node: Node, done: IdentityMap[Node, Node]) -> Node:
    """Return the node with its rebuilt children; itself if none changed."""

    def parameter(value: object) -> object:
        if isinstance(value, Node):
            return done[value]
        return tuple(map(parameter, value)) if isinstance(value, tuple) else value

    inputs = tuple(done[child] for child in node.inputs)
    parameters = tuple((name, parameter(value)) for name, value in node.parameters)
    same = all(a is b for a, b in zip(inputs, node.inputs, strict=True)) and _identical(parameters, node.parameters)
    return node if same else Node(node.op, inputs, parameters, node.type)


def _identical(a: object, b: object) -> bool:
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(_identical, a, b))
    return a is b if isinstance(a, Node) else a == b


def unify_equal_nodes(program: Program) -> Program:
    """Merge equal nodes."""
    return rebuilt(program, lambda old, new: new)[0]


def select_first(program: Program) -> Program:
    """Differentiate only the atoms that the reader can choose, if these are few: `layer | attribute(t) | at(s)` becomes
    `layer | at(s) | attribute(t)`, since each atom's number is its own."""
    requests: Requests = {}
    for number, derivatives in enumerate(program.derivatives):
        for request in derivatives.requests:
            requests.setdefault(request.node, []).append((number, request))
    moved: dict[Node, list[Node]] = {}  # a derivative operation -> those of chosen atoms that replace it

    def change(old: Node, new: Node) -> Node:
        if new.op != "at" or not _movable(program, old, requests):
            return new
        selected = _selected_first(new)
        moved.setdefault(old.inputs[0], []).append(selected)
        return selected

    program, known = rebuilt(program, change)
    if not moved:
        return program
    needed = set(walk(*program.roots))
    replacements = {old: tuple(dict.fromkeys(nodes)) for old, nodes in moved.items()}
    changed = []
    for number, derivatives in enumerate(program.derivatives):
        more = [
            replace(request, target=known.get(request.target, request.target), node=node)
            for old, nodes in moved.items()
            for where, request in requests[old]
            if where == number
            for node in nodes
        ]
        retained = dict.fromkeys(request for request in (*derivatives.requests, *more) if request.node in needed)
        changed.append(replace(derivatives, requests=tuple(retained)))

    def serving(forward: Forward) -> Forward:
        more = (node for old, nodes in replacements.items() if known[old] in forward.serves for node in nodes)
        every = dict.fromkeys((*forward.serves, *more))
        return replace(forward, serves=tuple(node for node in every if node in needed))

    program = replace(program, forwards=tuple(map(serving, program.forwards)))
    return with_derivatives(program, changed)


def _selected_first(node: Node) -> Node:
    """Rewrite `frame | derivative | at` as `frame | at | derivative`."""
    content = node.inputs[0]
    (frame,) = content.inputs
    touched = set(content.type.names) - set(node.type.names)
    type = frame.type.without(*touched).with_states(*node.type.states)
    axes = (replace(a, varies=tuple(v for v in a.varies if v not in touched)) for a in type.axes)
    chosen = Node("at", (frame,), node.parameters, replace(type, axes=tuple(axes)))
    return Node(content.op, (chosen,), content.parameters, node.type)


def _movable(program: Program, node: Node, requests: Requests) -> bool:
    """Return whether the node is an `at` of few atoms, directly after a derivative of a layer's own atoms that tangents
    could compute."""
    content, description = node.inputs[0], program.description
    if content not in requests or description is None or not all(request.parts for _, request in requests[content]):
        return False
    frame, selection = content.inputs[0], node["selection"]
    touched = set(content.type.names) - set(node.type.names)
    if frame.op != "substrate" or not touched or not touched <= set(frame.type.names):
        return False
    total = sum(atoms_of(frame, layer, description) for layer in frame.type.layers)
    size: int = selection.type.axes[0].size
    return size < total

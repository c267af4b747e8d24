"""Rules that change the nodes themselves, and the rebuilding that they need."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from bbilang.compiler.ir.program import DerivativeRequest, Node, Program, walk
from bbilang.compiler.optimize.target_slots import atoms_of

DERIVATIVES = ("backwards", "tangents", "reruns")
Change = Callable[[Node, Node], Node]  # (as it was, with its children rebuilt) -> what stands in its place


def rebuilt(program: Program, change: Change) -> tuple[Program, dict[Node, Node]]:
    """The program with every node that an element needs rebuilt from its rebuilt children, each once; and what became
    of each. Children come first."""
    known: dict[Node, Node] = {}
    done: dict[int, Node] = {}

    def parameter(value: object) -> object:
        if isinstance(value, Node):
            return done[id(value)]
        return tuple(map(parameter, value)) if isinstance(value, tuple) else value

    for node in walk(*(element.node for element in program.elements)):
        if node not in known:
            inputs = tuple(done[id(child)] for child in node.inputs)
            parameters = tuple((name, parameter(value)) for name, value in node.parameters)
            same = all(a is b for a, b in zip(inputs, node.inputs, strict=True)) and _identical(
                parameters, node.parameters
            )
            known[node] = change(node, node if same else Node(node.op, inputs, parameters, node.type))
        done[id(node)] = known[node]

    def one(nodes: Iterable[Node]) -> tuple[Node, ...]:
        return tuple(dict.fromkeys(known.get(node, node) for node in nodes))

    interfaces = tuple(
        replace(i, elements=tuple(replace(e, node=known[e.node]) for e in i.elements)) for i in program.interfaces
    )
    origins = dict(program.origins)
    for old, new in known.items():
        if new != old and old in origins:
            origins[new] = tuple(dict.fromkeys((*origins.get(new, ()), *origins[old])))
    changed: dict[str, Any] = {
        name: tuple(
            replace(
                d,
                requests=tuple(
                    replace(a, target=known.get(a.target, a.target), node=known.get(a.node, a.node)) for a in d.requests
                ),
            )
            for d in getattr(program, name)
        )
        for name in DERIVATIVES
    }
    program = replace(
        program,
        interfaces=interfaces,
        bindings=tuple((name, known.get(node, node)) for name, node in program.bindings),
        forwards=tuple(replace(f, serves=one(f.serves)) for f in program.forwards),
        origins=origins,
        **changed,
    )
    return program, known


def _identical(a: object, b: object) -> bool:
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(_identical, a, b))
    return a is b if isinstance(a, Node) else a == b


def unify_equal_nodes(program: Program) -> Program:
    """Equal nodes are one node (1)."""
    return rebuilt(program, lambda old, new: new)[0]


def select_first(program: Program) -> Program:
    """Of a few atoms that the reader can choose, only theirs are derived: `layer | attribute(t) | at(s)` is
    `layer | at(s) | attribute(t)`, since each atom's number is its own (7)."""
    requests: dict[Node, list[tuple[str, int, DerivativeRequest]]] = {}
    for name in DERIVATIVES:
        for index, derivatives in enumerate(getattr(program, name)):
            for request in derivatives.requests:
                requests.setdefault(request.node, []).append((name, index, request))
    moved: dict[Node, list[Node]] = {}  # a derivative operation -> those of chosen atoms that stand in its place

    def change(old: Node, new: Node) -> Node:
        if new.op != "at" or not _movable(program, old, requests):
            return new
        content = new.inputs[0]
        (frame,) = content.inputs
        touched = set(content.type.names) - set(new.type.names)
        type = frame.type.without(*touched).with_states(*new.type.states)
        type = replace(
            type, axes=tuple(replace(a, varies=tuple(v for v in a.varies if v not in touched)) for a in type.axes)
        )
        chosen = Node("at", (frame,), new.parameters, type)
        found = Node(content.op, (chosen,), content.parameters, new.type)
        moved.setdefault(old.inputs[0], []).append(found)
        return found

    program, known = rebuilt(program, change)
    if not moved:
        return program
    needed = set(walk(*(element.node for element in program.elements)))
    after: dict[str, Any] = {}
    for name in DERIVATIVES:
        after[name] = []
        for index, derivatives in enumerate(getattr(program, name)):
            more = [
                replace(request, target=known.get(request.target, request.target), node=new)
                for old, news in moved.items()
                for where, number, request in requests[old]
                if (where, number) == (name, index)
                for new in news
            ]
            kept = tuple(dict.fromkeys(request for request in (*derivatives.requests, *more) if request.node in needed))
            after[name] += [replace(derivatives, requests=kept)]
        after[name] = tuple(after[name])
    news = {old: tuple(dict.fromkeys(found)) for old, found in moved.items()}
    forwards = tuple(
        replace(
            f,
            serves=tuple(
                node
                for node in dict.fromkeys(
                    (*f.serves, *(n for o, ns in news.items() if known[o] in f.serves for n in ns))
                )
                if node in needed or not f.serves
            ),
        )
        for f in program.forwards
    )
    return replace(program, forwards=forwards, **after)


def _movable(program: Program, node: Node, requests: dict[Node, list[tuple[str, int, DerivativeRequest]]]) -> bool:
    """True for `at` of few atoms, directly after a derivative of a layer's own atoms that tangents could find."""
    content, description = node.inputs[0], program.description
    if content not in requests or description is None or not all(request.parts for _, _, request in requests[content]):
        return False
    frame, selection = content.inputs[0], node["selection"]
    touched = set(content.type.names) - set(node.type.names)
    if frame.op != "substrate" or not touched or not touched <= set(frame.type.names):
        return False
    total = sum(atoms_of(frame, layer, description) for layer in frame.type.layers)
    return selection.type.axes[0].size < total

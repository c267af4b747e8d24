"""The optimizer: pure functions from program to program, in one visible order. Same outputs, same types, fewer passes.

Numbers in brackets are the rules of the architecture. What was computed before comes from the cache, while running (9).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from bbilang.compiler.ir import Backward, Forward, Icons, Node, Program, walk


def optimize(program: Program) -> Program:
    """The same pages from fewer passes. Applying it twice changes nothing."""
    for rule in RULES:
        program = rule(program)
    return replace(program, optimized=True)


def drop_unshown(program: Program) -> Program:
    """Nothing that no element shows is computed (9)."""
    shown = {id(node) for node in walk(*(element.node for element in program.elements))}

    def kept(nodes: Iterable[Node]) -> tuple[Node, ...]:
        return tuple(node for node in nodes if id(node) in shown)

    forwards = [replace(f, serves=kept(f.serves)) for f in program.forwards]
    backwards = [replace(b, serves=kept(b.serves)) for b in program.backwards]
    # The page's own forward serves no node: it is there for the predictions.
    needed = [index for index, f in enumerate(forwards) if f.serves or not program.forwards[index].serves]
    place = {index: position for position, index in enumerate(needed)}
    return replace(
        program,
        forwards=tuple(forwards[index] for index in needed),
        backwards=tuple(replace(b, forward=place[b.forward]) for b in backwards if b.serves),
        bindings=(),
    )


def unify_equal_nodes(program: Program) -> Program:
    """Equal nodes are one node (1)."""
    known: dict[Node, Node] = {}
    done: dict[int, Node] = {}

    def rebuilt(value: object) -> object:
        if isinstance(value, Node):
            return done[id(value)]
        return tuple(map(rebuilt, value)) if isinstance(value, tuple) else value

    for node in walk(*(element.node for element in program.elements)):
        if node not in known:
            inputs = tuple(done[id(child)] for child in node.inputs)
            parameters = tuple((name, rebuilt(value)) for name, value in node.parameters)
            same = all(a is b for a, b in zip(inputs, node.inputs, strict=True)) and _identical(
                parameters, node.parameters
            )
            known[node] = node if same else Node(node.op, inputs, parameters, node.type)
        done[id(node)] = known[node]

    def one(nodes: Iterable[Node]) -> tuple[Node, ...]:
        return tuple(dict.fromkeys(known.get(node, node) for node in nodes))

    interfaces = tuple(
        replace(i, elements=tuple(replace(e, node=known[e.node]) for e in i.elements)) for i in program.interfaces
    )
    return replace(
        program,
        interfaces=interfaces,
        bindings=tuple((name, known.get(node, node)) for name, node in program.bindings),
        forwards=tuple(replace(f, serves=one(f.serves)) for f in program.forwards),
        backwards=tuple(replace(b, serves=one(b.serves), targets=one(b.targets)) for b in program.backwards),
    )


def _identical(a: object, b: object) -> bool:
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(_identical, a, b))
    return a is b if isinstance(a, Node) else a == b


def share_forward(program: Program) -> Program:
    """One forward captures every demanded layer (2)."""
    if len(program.forwards) <= 1:
        return program
    layers = _union(f.layers for f in program.forwards)
    serves = tuple(dict.fromkeys(node for f in program.forwards for node in f.serves))
    one = Forward(layers, any(f.scores for f in program.forwards), False, serves)
    return replace(program, forwards=(one,), backwards=tuple(replace(b, forward=0) for b in program.backwards))


def stop_at_deepest(program: Program) -> Program:
    """A forward whose scores nobody reads stops at the deepest layer (2)."""
    return replace(program, forwards=tuple(replace(f, stops=not f.scores) for f in program.forwards))


def share_backward(program: Program) -> Program:
    """One backward per target serves every layer (3): equal targets are one, and so are equal classes of different
    ones.

    Targets that depend on what other gradients found stay in a later group.
    """
    groups: dict[tuple[int, int], list[Backward]] = {}
    for backward in program.backwards:
        for target in backward.targets:
            groups.setdefault((backward.forward, level(target, program)), []).append(backward)
    merged = []
    for (forward, _), members in sorted(groups.items()):
        targets = tuple(dict.fromkeys(t for b in members for t in b.targets))
        serves = tuple(dict.fromkeys(node for b in members for node in b.serves))
        merged.append(
            Backward(targets, _union(b.layers for b in members), forward, all(b.stops for b in members), serves)
        )
    return replace(program, backwards=tuple(merged))


def level(target: Node, program: Program) -> int:
    """How many rounds of gradients must be there before the target is known: a class that the reader selects in an
    element of attributions is known after those."""
    with_gradients = {node for b in program.backwards for node in b.serves}
    depth: dict[int, int] = {}
    for node in walk(target):
        below = max((depth[id(child)] for child in node.children), default=0)
        depth[id(node)] = below + (node in with_gradients)
    return depth[id(target)]


def stop_at_earliest(program: Program) -> Program:
    """A backward stops at the earliest layer that somebody reads (3)."""
    return replace(program, backwards=tuple(replace(b, stops=True) for b in program.backwards))


def choose_before_visualizing(program: Program) -> Program:
    """Icons are made after the numbers, only for atoms that some state shows, once for all elements (7)."""
    if len(program.icons) <= 1:
        return program
    elements = tuple(e for icons in program.icons for e in icons.elements)
    return replace(program, icons=(Icons(elements, sum(icons.at_most for icons in program.icons)),))


def _union(layers: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted({layer for group in layers for layer in group}))


RULES: tuple[Callable[[Program], Program], ...] = (
    drop_unshown,
    unify_equal_nodes,
    share_forward,
    stop_at_deepest,
    share_backward,
    stop_at_earliest,
    choose_before_visualizing,
)

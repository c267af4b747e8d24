"""Holes: `?` for a layer, an atom, an operation with its arguments, or one argument; `?*` for a rest of a pipe.

A hole is a word of its own in a pipe that is shown or bound. What stands at another place is refused here, when a line
is parsed; what could fill a hole is the compiler's to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from bbilang.grammar import ast, codes
from bbilang.grammar.diagnostic import Diagnostic
from bbilang.grammar.frozen import frozen
from bbilang.grammar.source import Span
from bbilang.grammar.walk import walk

HOLE: Final = "?"
REST: Final = "?*"
MOST_STAGES: Final = 3  # that `?*` stands for

Kind = Literal["layer", "atom", "operation", "rest", "argument"]


@frozen
class Hole:
    """One hole of a text: what it stands for, and where."""

    kind: Kind
    span: Span


def has_hole(node: ast.Node) -> bool:
    """Return whether there is a hole anywhere in a tree."""
    return any(_is_hole(each) for each in walk(node))


def holes(node: ast.Node) -> tuple[Hole, ...]:
    """Return the holes of a tree, in the order of the text."""
    arguments = {id(a.value) for n in walk(node) if isinstance(n, ast.Call) for a in n.arguments}
    found = [hole for each in walk(node) for hole in _of_node(each, id(each) in arguments)]
    return tuple(sorted(found, key=lambda hole: hole.span.start))


def splits(path: ast.Path) -> tuple[str, str] | None:
    """Return (layer, atom) of a path with a hole, either of which may be the hole; the atom is empty where none is
    written. None where the hole is a part of a longer name."""
    head, dot, atom = path.name.rpartition(".")
    if not dot:
        return path.name, ""
    return (head, atom) if head == HOLE or HOLE not in head.split(".") else None


def misplaced(statement: ast.Node) -> Iterator[Diagnostic]:
    """Iterate over the diagnostics of the holes of a statement that do not stand where one can be filled."""
    if not has_hole(statement):
        return
    if not isinstance(statement, ast.Bind | ast.Show):
        word = "def" if isinstance(statement, ast.Define) else type(statement).__name__.lower()
        for span in _spans(statement):
            help = "holes stand in pipes: `name = ... | ?`, or in a pipe that ends in `present`"
            yield Diagnostic(codes.HOLE_MISPLACED, f"a `{word}` statement has no holes", span, help)
        return
    known = {id(node) for node in _fillable(statement.value)}
    for node in walk(statement):
        if _is_hole(node) and id(node) not in known:
            help = "it stands for a layer, an atom, an operation or one of its arguments: "
            help += "`mixed4d.?`, `... | ?`, `present(?)`"
            yield Diagnostic(codes.HOLE_MISPLACED, "a hole cannot stand here", node.span, help)
        if isinstance(node, ast.Path) and id(node) in known and splits(node) is None:
            help = "a hole is a whole layer, `?.channel`, or its atom, `mixed4d.?`"
            yield Diagnostic(codes.HOLE_MISPLACED, "a hole is not a part of a layer's name", node.span, help)


def _is_hole(node: ast.Node) -> bool:
    match node:
        case ast.Path(name=name):
            return HOLE in name and HOLE in name.split(".")
        case ast.Call(name=name) | ast.Attribute(name=name):
            return name in (HOLE, REST)
        case _:
            return False


def _spans(node: ast.Node) -> Iterator[Span]:
    return (each.span for each in walk(node) if _is_hole(each))


def _fillable(value: ast.Expression) -> Iterator[ast.Node]:
    """Iterate over the nodes of a pipe or its head that may be holes."""
    match value:
        case ast.Pipe(head=head, stages=stages):
            yield from _fillable(head)
            for stage in stages:
                yield stage
                yield from (a.value for a in stage.arguments if isinstance(a.value, ast.Path) and a.value.name == HOLE)
        case ast.Path():
            yield value
        case ast.Attribute(value=inner) | ast.Index(value=inner):
            yield value
            yield from _fillable(inner)
        case ast.List(items=items):
            for item in items:
                yield from _fillable(item)


def _of_node(node: ast.Node, is_argument: bool) -> Iterator[Hole]:
    match node:
        case ast.Path(name=name) if is_argument and name == HOLE:
            yield Hole("argument", node.span)
        case ast.Path(name=name) if _is_hole(node):
            start = node.span.end - len(name)
            words = name.split(".")
            for number, word in enumerate(words):
                if word == HOLE:
                    last = number == len(words) - 1 and number > 0
                    yield Hole("atom" if last else "layer", Span(start, start + 1))
                start += len(word) + 1
        case ast.Attribute(name=name) if name == HOLE:
            yield Hole("atom", Span(node.span.end - 1, node.span.end))
        case ast.Call(name=name) if name in (HOLE, REST):
            yield Hole("operation" if name == HOLE else "rest", node.name_span)

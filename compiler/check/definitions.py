"""`def name(parameters) = pipe`: operations of a reader's own, expanded where they are called.

A call puts its arguments in the parameters' place in the body, so an argument may be whatever may stand there: a
layer, a number, a word. As a stage of a pipe, what comes through the pipe is the first argument.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from bbilang.compiler.check.arguments import At, at, bind
from bbilang.compiler.contract import REQUIRED, Fail, Parameter
from bbilang.compiler.ir.program import MOST_STAGES, Node
from bbilang.grammar import ast
from bbilang.grammar.frozen import frozen
from bbilang.grammar.source import Source, Span
from bbilang.grammar.walk import children

if TYPE_CHECKING:
    from bbilang.compiler.check.resolve import Resolver

DEEPEST = 32  # definitions within definitions
MOST_EXPANDED = 20_000  # expressions that the definitions of a text become
MOST_NESTED = 160  # of them inside each other
PIPED = "|"  # the name, which no text can spell, of what comes through the pipe


@frozen
class Macro:
    """A definition. ``source`` is the file that it stands in, where that is another one than the file being checked."""

    definition: ast.Define
    source: Source | None = None

    @property
    def name(self) -> str:
        return self.definition.name.text

    def parameters(self) -> tuple[Parameter, ...]:
        return tuple(
            Parameter(
                p.name, "expression", "a parameter of the definition", REQUIRED if p.default is None else p.default
            )
            for p in self.definition.parameters
        )


def check_definition(macro: Macro, resolver: Resolver) -> None:
    """What can be said before any call: every stage of the body is an operation, and none is the definition itself."""
    for call in _stages(macro.definition.value):
        if call.name == macro.name:
            raise at(
                call.name_span, "E241", f"`{macro.name}` calls itself", "a definition is expanded, so it has no end"
            )
        operation = resolver.registry.find("operations", call.name)
        if call.name not in resolver.macros and (operation is None or operation.head) and not resolver.open:
            raise resolver.unknown_operation(call)
    seen: set[str] = set()
    for parameter in macro.definition.parameters:
        if parameter.name in seen:
            raise at(parameter.span, "E221", f"`{parameter.name}` is a parameter twice", "choose another name")
        seen.add(parameter.name)


def expand(macro: Macro, call: ast.Call, piped: Node | None, resolver: Resolver) -> Any:
    """The value of a call. Errors within the body are shown at the call, with the place in the definition beside it."""
    arguments = call.arguments
    if piped is not None:
        arguments = (ast.Argument(ast.Path(PIPED, span=call.span), span=call.span), *arguments)
    given, _ = bind(macro.name, call.span, arguments, macro.parameters(), lambda value, parameter: value)
    if resolver.depth >= DEEPEST:
        raise at(
            call.span,
            "E241",
            f"`{macro.name}` calls itself by way of others",
            "definitions are expanded, so this has no end",
        )
    body = substitute(macro.definition.value, given)
    resolver.depth += 1
    noted = len(resolver.notes)
    try:
        with resolver.expanded.reading(body, call.span):
            if piped is None:
                return resolver.value(body)
            with resolver.scope() as scope:
                scope[PIPED] = resolver.bound(piped, call.span)
                return resolver.value(body)
    except At as error:
        raise _placed(error, macro, call, arguments) from error
    finally:
        resolver.depth -= 1
        resolver.notes[noted:] = [_placed(note, macro, call, arguments) for note in resolver.notes[noted:]]


class Expanded:
    """How much the definitions of a text became so far, and how deep it is where an expansion is read."""

    def __init__(self) -> None:
        self.count = self.level = 0
        self._known: dict[int, tuple[Any, int, int]] = {}  # a node's identity -> itself, its size, its depth

    @contextmanager
    def reading(self, body: ast.Expression, span: Span) -> Iterator[None]:
        """Around the reading of what a call became. Raises At E314, E315 before it is read."""
        size, depth = self._measure(body)
        self.count += size
        if self.count > MOST_EXPANDED:
            help = "a definition that holds another one twice doubles the text: bind what is needed twice to a name"
            raise at(span, "E314", f"the definitions expand to more than {MOST_EXPANDED:,} expressions", help)
        if self.level + depth > MOST_NESTED:
            help = "bind a part of it to a name, and go on from there"
            raise at(span, "E315", f"the definitions nest more than {MOST_NESTED} expressions in each other", help)
        self.level += depth
        try:
            yield
        finally:
            self.level -= depth

    def _measure(self, node: ast.Node) -> tuple[int, int]:
        """(nodes, levels) of a tree. An argument that stands in several places is one object, looked at once and
        counted in each: so the tree may have more nodes than there is time to visit. Never recurses."""
        pending = [(node, False)]
        while pending:
            node, ready = pending.pop()
            if ready:
                found = [self._known[id(child)] for child in children(node)]
                size = 1 + sum([size for _, size, _ in found])
                self._known[id(node)] = node, size, 1 + max([depth for _, _, depth in found], default=0)
            elif id(node) not in self._known:
                pending.append((node, True))
                pending.extend([(child, False) for child in children(node)])
        return self._known[id(node)][1:]


def bounded(node: Node, span: Span) -> Node:
    """The node itself. Raises At E313 where too many stand above each other."""
    if node.depth > MOST_STAGES:
        help = "pipes, and names for their parts, are at most so long together: does a program write this text?"
        raise at(span, "E313", f"more than {MOST_STAGES} operations follow each other", help)
    return node


def _placed(error: At, macro: Macro, call: ast.Call, arguments: tuple[ast.Argument, ...]) -> At:
    """An error of the body at the call; one of an argument stays where it is."""
    if (
        any(a.span.start <= error.span.start and error.span.end <= a.span.end for a in arguments)
        and macro.source is None
    ):
        return error
    if macro.source is None:
        related = (*error.related, (error.span, f"here, in the definition of `{macro.name}`"))
        return At(error.fail, call.span, related)
    line, column = macro.source.position(error.span.start)
    message = f"{error.fail.message} (in `{macro.name}`, {macro.source.name}:{line}:{column})"
    return At(Fail(error.fail.code, message, error.fail.help), call.span)


def substitute(node: Any, given: Mapping[str, ast.Expression]) -> Any:
    """The expression with parameters replaced; `layer.channel` of a parameter is an atom of its argument."""
    if isinstance(node, ast.Path):
        head, dot, atom = node.name.rpartition(".")
        if node.model is None and node.name in given:
            return given[node.name]
        if node.model is None and dot and head in given:
            return ast.Attribute(given[head], atom, span=node.span)
        return node
    if isinstance(node, tuple):
        return tuple(substitute(item, given) for item in node)
    if is_dataclass(node) and not isinstance(node, Span):
        changed = {f.name: substitute(getattr(node, f.name), given) for f in fields(node) if f.init}
        return replace(node, **changed)
    return node


def _stages(node: Any) -> list[ast.Call]:
    if isinstance(node, ast.Pipe):
        return [*_stages(node.head), *node.stages, *(c for s in node.stages for c in _stages(s.arguments))]
    if isinstance(node, tuple):
        return [call for item in node for call in _stages(item)]
    if is_dataclass(node) and not isinstance(node, Span):
        return [call for f in fields(node) for call in _stages(getattr(node, f.name))]
    return []

"""Fills the holes of one statement: every way that type-checks, by walking along the pipe.

The typed prefix of a pipe is kept, and each candidate of the next stage is tried on it by the checker's own rule
(`Resolver.stage`): a prefix that fails is dropped with everything that could follow it. Prefixes that are equal by the
optimizer's normal form, and of one type, are followed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any, ParamSpec, TypeVar

from bbilang.compiler.check.arguments.binding import CheckError, Poisoned, at
from bbilang.compiler.check.holes.candidates import Candidates
from bbilang.compiler.check.resolve import Resolver
from bbilang.compiler.check.scope import Layers
from bbilang.compiler.contract import Fail
from bbilang.compiler.ir.program import Node
from bbilang.compiler.optimize.normal_form import Form, NormalForms
from bbilang.grammar import ast, holes
from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.frozen import frozen
from bbilang.grammar.source import NOWHERE, Span

MOST_TRIES = 200_000  # candidates that are typed for one statement
FIRST_TRIES = 5_000  # of them, to find whether anything fits

P = ParamSpec("P")
T = TypeVar("T")


@frozen
class Filled:
    """A pipe without holes, and what it is: a field, an element, or layers."""

    value: ast.Expression
    result: Any


@frozen
class _Prefix:
    """The beginning of a pipe, typed."""

    head: ast.Expression
    stages: tuple[ast.Call, ...]
    field: Node
    filled: bool  # whether a hole stood in it

    @cached_property
    def kind(self) -> tuple[object, ...]:
        """What decides which stages can follow: the operation, and the type without what it says of earlier stages."""
        type = self.field.type
        return (
            self.field.op, type.content, type.atom, type.layers, type.axes, type.states, type.model, type.signed,
            type.unit, type.scope, type.spent, type.family, type.linked, type.linked_family, type.curves, type.columns,
        )  # fmt: skip


class Search:
    """Fills the holes of one statement. ``resolver``: knows the names that are bound above it."""

    def __init__(self, resolver: Resolver, most: int = MOST_TRIES):
        self.resolver, self.most = resolver, most
        self.candidates = Candidates(resolver)
        self.forms = NormalForms(resolver.registry)
        self.failure: tuple[int, CheckError | None] = (-1, None)  # the one that came furthest along the pipe
        self.refused: set[tuple[tuple[object, ...], ast.Call]] = set()  # what a kind of prefix cannot have
        self.tries = 0

    def statement(self, statement: ast.Bind | ast.Show) -> Iterator[ast.Bind | ast.Show]:
        """Iterate over a statement with its holes filled, equal ones once. Raises CheckError of what stands before the
        first hole, E338, E339."""
        seen: set[Form] = set()
        for filled in self.value(statement.value):
            node = filled.result
            drawn = isinstance(node, Node) and self.resolver.registry.operations[node.op].draws
            if isinstance(statement, ast.Show) and not drawn:
                continue
            if isinstance(node, Node):
                form = self.forms.of(node)
                if form in seen:
                    continue
                seen.add(form)
            yield replace(statement, value=filled.value)

    def value(self, value: ast.Expression) -> Iterator[Filled]:
        """Iterate over an expression with its holes filled."""
        if not isinstance(value, ast.Pipe):
            filled = holes.has_hole(value)
            for start in self.candidates.starts(value):
                result = self._tried(0, filled, self.resolver.value, start)
                if isinstance(result, Node | Layers):
                    yield Filled(start, result)
            return
        prefixes: Iterable[_Prefix] = self._heads(value.head)
        for number, stage in enumerate(value.stages, 1):
            prefixes = self._once_each(self._after(prefixes, stage, number))
        for prefix in prefixes:
            yield Filled(ast.Pipe(prefix.head, prefix.stages, span=value.span), prefix.field)

    # --- along a pipe ---

    def _heads(self, head: ast.Expression) -> Iterator[_Prefix]:
        filled = holes.has_hole(head)
        if isinstance(head, ast.Pipe):
            starts: Iterable[ast.Expression] = (inner.value for inner in self.value(head))
        else:
            starts = self.candidates.starts(head)
        for start in starts:
            field = self._tried(0, filled, self.resolver.fields.field, start)
            if field is not None:
                yield _Prefix(start, (), field, filled)

    def _after(self, prefixes: Iterable[_Prefix], stage: ast.Call, number: int) -> Iterator[_Prefix]:
        if stage.name != holes.REST:
            for prefix in prefixes:
                yield from self._next(prefix, stage, number)
            return
        longest = [replace(prefix, filled=True) for prefix in prefixes]
        yield from longest
        hole = replace(stage, name=holes.HOLE)
        for _ in range(holes.MOST_STAGES):
            longest = list(self._once_each(p for prefix in longest for p in self._next(prefix, hole, number)))
            yield from longest

    def _next(self, prefix: _Prefix, stage: ast.Call, number: int) -> Iterator[_Prefix]:
        """Iterate over the prefix with one more stage, the hole or holes of which are filled."""
        field, operations = prefix.field, self.resolver.registry.operations
        if stage.name == holes.HOLE:
            calls = iter(()) if operations[field.op].draws else self.candidates.stages(field, stage.span)
        elif any(holes.has_hole(argument) for argument in stage.arguments):
            calls = self.candidates.filled(stage, field)
        else:
            calls = iter((stage,))
        for call in calls:
            filled = prefix.filled or call is not stage
            if filled and (prefix.kind, call) in self.refused:
                continue
            after = self._tried(number, filled, self.resolver.stage, field, call, stage.span)
            if after is None:
                self.refused.add((prefix.kind, call))
            else:
                yield _Prefix(prefix.head, (*prefix.stages, call), after, filled)

    def _once_each(self, prefixes: Iterable[_Prefix]) -> Iterator[_Prefix]:
        """Iterate over the prefixes, the first of those that are equal."""
        seen: set[tuple[Form, tuple[object, ...]]] = set()
        for prefix in prefixes:
            key = self.forms.of(prefix.field), prefix.kind[1:]
            if key not in seen:
                seen.add(key)
                yield prefix

    def _tried(
        self, number: int, filled: bool, work: Callable[P, T], *arguments: P.args, **named: P.kwargs
    ) -> T | None:
        """Do what the checker does, or return None where it refuses. Raises its error where no hole was filled."""
        notes = self.resolver.notes
        before = len(notes)
        self.tries += 1
        if self.tries > self.most:
            message = f"there are more than {self.most:,} ways to try"
            raise at(NOWHERE, "E339", message, "write out one of the holes")
        try:
            result = work(*arguments, **named)
            error = notes[before] if len(notes) > before else None
        except CheckError as refused:
            result, error = None, refused
        except Fail as refused:
            result, error = None, CheckError(refused, NOWHERE)
        except BbiError as refused:
            first = refused.diagnostics[0]
            result, error = None, at(first.span or NOWHERE, first.code, first.message, first.help)
        except (Poisoned, RecursionError):
            if not filled:
                raise
            result, error = None, None
        if filled:
            del notes[before:]
        if error is None:
            return result
        if not filled:
            raise error
        if number > self.failure[0]:
            self.failure = number, error
        return None


def first_fit(statement: ast.Bind | ast.Show, resolver: Resolver) -> None:
    """Check that something fits the holes of a statement. Raises CheckError E337, and those of `Search.statement`."""
    search, first = Search(resolver, FIRST_TRIES), holes.holes(statement)[0].span
    try:
        if next(search.statement(statement), None) is not None:
            return
    except CheckError as error:
        if error.fail.code != "E339":
            raise
        return  # whether something fits was not found out
    raise nothing_fits(search, first)


def nothing_fits(search: Search, hole: Span) -> CheckError:
    """Return the error for a statement whose holes nothing fills, with the reason that came furthest."""
    reason = search.failure[1]
    help = None
    related: tuple[tuple[Span, str], ...] = ()
    if reason is not None:
        help = f"what came furthest failed with {reason.fail.code}: {reason.fail.message}"
        if reason.span not in (NOWHERE, hole):
            related = ((reason.span, "here"),)
    error = at(hole, "E337", "nothing fits this hole", help)
    return CheckError(error.fail, hole, related)

"""Fills the holes of one statement: every way that type-checks, by walking along the pipe.

The typed prefix of a pipe is kept, and each candidate of the next stage is tried on it by the checker's own rule
(`Resolver.stage`): a prefix that fails is dropped with everything that could follow it. What was tried on one prefix is
known for all of its kind (`moulds`), and only what draws is tried where a line that shows something must end. Prefixes
that are equal by the optimizer's normal form, and of one kind, are followed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ParamSpec, TypeVar

from bbilang.compiler.check.arguments.binding import CheckError, Poisoned, at
from bbilang.compiler.check.holes.candidates import Candidates, Ends
from bbilang.compiler.check.holes.moulds import Kind, Mould, kind_of, layers_of
from bbilang.compiler.check.resolve import Resolver
from bbilang.compiler.check.scope import Layers
from bbilang.compiler.contract import Fail
from bbilang.compiler.ir.program import Node
from bbilang.compiler.optimize.normal_form import Form, NormalForms
from bbilang.grammar import ast, holes, verification
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


@dataclass(slots=True)
class _Prefix:
    """The beginning of a pipe, typed. ``kind``: a number for that of its field."""

    head: ast.Expression
    stages: tuple[ast.Call, ...]
    field: Node
    kind: int
    filled: bool  # whether a hole stood in it


class _Following:
    """The stages that fit a kind of prefix, found once, as far as they were asked for. Without a mould: those that must
    be typed for each prefix."""

    def __init__(self, found: Iterator[ast.Call | Mould]):
        self._known: list[ast.Call | Mould] = []
        self._rest = found

    def __iter__(self) -> Iterator[ast.Call | Mould]:
        number = 0
        while True:
            if number == len(self._known):
                following = next(self._rest, None)
                if following is None:
                    return
                self._known.append(following)
            yield self._known[number]
            number += 1


class Search:
    """Fills the holes of one statement. ``resolver``: knows the names that are bound above it. ``forms``: of nodes that
    are known already."""

    def __init__(self, resolver: Resolver, most: int = MOST_TRIES, forms: NormalForms | None = None):
        self.resolver, self.most = resolver, most
        self.candidates = Candidates(resolver)
        self.forms = forms or NormalForms(resolver.registry)
        self.failure: tuple[int, CheckError | None] = (-1, None)  # the one that came furthest along the pipe
        self.tries = 0
        self._kinds: dict[Kind, int] = {}
        self._following: dict[tuple[int, int, Ends], _Following] = {}
        self._drawn: dict[tuple[Kind, int], _Following] = {}

    def statement(self, statement: ast.Bind | ast.Show) -> Iterator[ast.Bind | ast.Show]:
        """Iterate over a statement with its holes filled, equal ones once. Raises CheckError of what stands before the
        first hole, E338, E339."""
        for filled in self.filled(statement):
            yield replace(statement, value=filled.value)

    def filled(self, statement: ast.Bind | ast.Show) -> Iterator[Filled]:
        """Iterate over the values of `statement`, with what they are."""
        seen: set[Form] = set()
        shows = isinstance(statement, ast.Show)
        for filled in self.value(statement.value, "must" if shows else "may"):
            node = filled.result
            if shows and not (isinstance(node, Node) and self._draws(node)):
                continue
            if isinstance(node, Node):
                form = self.forms.of(node)
                if form in seen:
                    continue
                seen.add(form)
            yield filled

    def value(self, value: ast.Expression, ends: Ends = "may") -> Iterator[Filled]:
        """Iterate over an expression with its holes filled. ``ends``: whether it draws."""
        if not isinstance(value, ast.Pipe):
            filled = holes.has_hole(value)
            for start in self.candidates.starts(value):
                result = self._tried(0, filled, self.resolver.value, start)
                if isinstance(result, Node | Layers):
                    yield Filled(start, result)
            return
        followed = any(stage.name != holes.REST for stage in value.stages)
        for head in self._heads(value.head, "never" if followed else "may"):
            prefixes: Iterable[_Prefix] = (head,)
            for number, stage in enumerate(value.stages, 1):
                rest = value.stages[number:]
                own = ends if not rest else "may" if all(each.name == holes.REST for each in rest) else "never"
                prefixes = self._once_each(self._after(prefixes, stage, number, own))
            for prefix in prefixes:
                yield Filled(ast.Pipe(prefix.head, prefix.stages, span=value.span), prefix.field)

    # --- along a pipe ---

    def _heads(self, head: ast.Expression, ends: Ends) -> Iterator[_Prefix]:
        filled = holes.has_hole(head)
        if isinstance(head, ast.Pipe):
            for inner in self.value(head, ends):
                if isinstance(inner.result, Node):
                    yield _Prefix(inner.value, (), inner.result, self._kind(inner.result), filled)
            return
        for start in self.candidates.starts(head):
            field = self._tried(0, filled, self.resolver.fields.field, start)
            if field is not None:
                yield _Prefix(start, (), field, self._kind(field), filled)

    def _after(self, prefixes: Iterable[_Prefix], stage: ast.Call, number: int, ends: Ends) -> Iterator[_Prefix]:
        if stage.name != holes.REST:
            for prefix in prefixes:
                yield from self._next(prefix, stage, number, ends)
            return
        longest = [replace(prefix, filled=True) for prefix in prefixes]
        yield from longest
        hole = replace(stage, name=holes.HOLE)
        for left in reversed(range(holes.MOST_STAGES)):
            own: Ends = "may" if left and ends == "must" else ends
            shorter, longest = longest, []
            for found in self._once_each(p for prefix in shorter for p in self._next(prefix, hole, number, own)):
                longest.append(found)
                yield found

    def _next(self, prefix: _Prefix, stage: ast.Call, number: int, ends: Ends) -> Iterator[_Prefix]:
        """Iterate over the prefix with one more stage, the hole or holes of which are filled."""
        is_hole = stage.name == holes.HOLE
        if not is_hole and not any(holes.has_hole(argument) for argument in stage.arguments) and not prefix.filled:
            after = self._tried(number, False, self.resolver.stage, prefix.field, stage, stage.span)
            if after is not None:
                yield _Prefix(prefix.head, (*prefix.stages, stage), after, self._kind(after), False)
            return
        key = prefix.kind, stage.span.start if is_hole else id(stage), ends
        if key not in self._following:
            self._following[key] = _Following(self._fitting(prefix, stage, number, ends))
        for each in self._following[key]:
            if isinstance(each, Mould):
                cast = each.cast(prefix.field)
                if cast is None:
                    continue
                if verification.enabled():
                    self._verify(prefix, each, cast)
                yield _Prefix(prefix.head, (*prefix.stages, each.call), cast, each.kind, True)
                continue
            after = self._tried(number, True, self.resolver.stage, prefix.field, each, stage.span)
            if after is not None:
                yield _Prefix(prefix.head, (*prefix.stages, each), after, self._kind(after), True)

    def _fitting(self, prefix: _Prefix, stage: ast.Call, number: int, ends: Ends) -> Iterator[ast.Call | Mould]:
        """Iterate over what fits after a prefix, and so after all of its kind."""
        field = prefix.field
        if stage.name == holes.HOLE:
            for operation in self.candidates.operations(ends) if not self._draws(field) else ():
                calls = self.candidates.calls(operation, field, stage.span)
                yield from (
                    self._drawing(field, stage.span.start, calls, number)
                    if operation.draws
                    else self._fit(field, calls, number)
                )
            return
        filled = any([holes.has_hole(argument) for argument in stage.arguments])
        calls = self.candidates.filled(stage, field) if filled else iter((stage,))
        named = self.resolver.registry.find("operations", stage.name)
        draws = named is not None and named.draws
        yield from self._drawing(field, id(stage), calls, number) if draws else self._fit(field, calls, number)

    def _drawing(self, field: Node, stage: int, calls: Iterator[ast.Call], number: int) -> Iterable[ast.Call | Mould]:
        """Iterate over what draws a field. Whether a style can is decided by the field's type: not by its operation,
        unless that has several inputs or none, or the reader makes a choice."""
        kind = kind_of(field)
        key = (kind if len(field.inputs) != 1 or field.type.states else kind[1:]), stage
        if key not in self._drawn:
            self._drawn[key] = _Following(self._fit(field, calls, number))
        return self._drawn[key]

    def _fit(self, field: Node, calls: Iterator[ast.Call], number: int) -> Iterator[ast.Call | Mould]:
        """Iterate over the calls that the checker's rules allow after a field."""
        for call in calls:
            if number <= self.failure[0] and not self.candidates.drawable(field, call):
                continue  # the reason that came furthest is known: no other needs its words
            after = self._tried(number, True, self.resolver.stage, field, call, call.span)
            if after is not None:
                layers = layers_of(field, after)
                yield call if layers is None else Mould(call, layers, self._kind(after))

    def _verify(self, prefix: _Prefix, mould: Mould, cast: Node) -> None:
        span = mould.call.span
        typed = self.resolver.stage(prefix.field, mould.call, span)
        verification.require(typed == cast and self._kind(typed) == mould.kind, f"{typed} is not what {cast} is")

    def _draws(self, field: Node) -> bool:
        return self.resolver.registry.operations[field.op].draws

    def _kind(self, field: Node) -> int:
        return self._kinds.setdefault(kind_of(field), len(self._kinds))

    def _once_each(self, prefixes: Iterable[_Prefix]) -> Iterator[_Prefix]:
        """Iterate over the prefixes, the first of those that are equal."""
        seen: set[tuple[Form, int]] = set()
        for prefix in prefixes:
            key = self.forms.of(prefix.field), prefix.kind
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

"""The checker of a text that is being written: a statement whose words and whose inputs are the same is not read again.

What a statement is depends on its words, on what the names in it stand for, and on model, inputs and settings. A
`Memory` keeps for each what it looked up and what came of it; where a look-up gives another value now, it is read anew.
Statements with something wrong are kept too, as long as the names around them are the same (a suggestion names them).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bbilang.compiler.check.arguments import At
from bbilang.compiler.check.check import Checker
from bbilang.compiler.check.definitions import bounded
from bbilang.compiler.check.options import Options
from bbilang.compiler.check.reachability import Showing, unreachable
from bbilang.compiler.check.resolve import Binding, Resolver
from bbilang.compiler.ir.program import Element, Interface, Node
from bbilang.grammar import ast
from bbilang.grammar.diagnostic import Diagnostic
from bbilang.grammar.parse import _moved
from bbilang.grammar.source import Span
from bbilang.grammar.walk import shift
from bbilang.lsp.logical_lines import Lines

MISSING = object()
MOST = 20_000  # statements that are remembered, over all versions of a text
Scope = dict[str, Binding]


@dataclass
class Record:
    """One statement: what it looked up, and what came of it."""

    names: int  # a digest of all names around it; 0 where nothing was wrong, so that they do not matter
    looked_up: dict[str, tuple[Any, bool]]  # name -> (its value, whether it is of the innermost scope)
    macros: dict[str, Any]
    elements: dict[Node, str | None]
    called: list[tuple[str, str, str]]  # selections: (wanted name, digest, name given)
    value: Any = None
    origins: list[tuple[Node, Span]] = field(default_factory=list)
    found: tuple[Diagnostic, ...] = ()  # counted from the statement's beginning


@dataclass
class Memory:
    """What is kept from one version of a text to the next."""

    around: Any = None  # model, inputs, settings: all of it is forgotten when they change
    records: dict[tuple[str, bool], list[Record]] = field(default_factory=dict)
    showing: dict[Node, Showing] = field(default_factory=dict)
    hits: int = 0
    misses: int = 0


class _Watched(dict[Any, Any]):
    """A dictionary that notes into ``seen`` what is looked up in it, while there is one."""

    seen: dict[Any, Any] | None = None

    def get(self, key: Any, default: Any = None) -> Any:
        value = super().get(key, default)
        if self.seen is not None:
            self.seen[key] = value
        return value

    def __contains__(self, key: Any) -> bool:
        if self.seen is not None:
            self.seen[key] = super().get(key)
        return super().__contains__(key)


class Origins(dict[Node, list[Span]]):
    """Node -> the spans that asked for it, put together when somebody wants to know: that is seldom."""

    def __init__(self) -> None:
        super().__init__()
        self.later: list[tuple[int, list[tuple[Node, Span]]]] = []  # (what to add to the spans, nodes with spans)

    def __getitem__(self, node: Node) -> list[Span]:
        for start, asked in self.later:
            for each, span in asked:
                spans, place = self.setdefault(each, []), span.shift(start)
                if place not in spans:
                    spans.append(place)
        self.later.clear()
        return super().__getitem__(node)


class Noting(Resolver):
    """A resolver that notes what the statement read now looks up."""

    record: Record | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.identity = self.selections._identity
        self.selections._identity = self._identified  # type: ignore[method-assign]
        self.origins = Origins()  # type: ignore[assignment]

    def _identified(self, wanted: str, *rest: Any) -> str:
        name = self.identity(wanted, *rest)
        if self.record is not None:
            self.record.called.append((wanted, self.selections.ids[name], name))
        return name

    def find(self, name: str) -> Binding | None:
        binding = super().find(name)
        if self.record is not None and name not in self.record.looked_up:
            value = MISSING if binding is None else binding.value
            self.record.looked_up[name] = value, binding is not None and self.scopes[-1].get(name) is binding
        return binding

    def make(self, op: str, inputs: Any, parameters: Any, type: Any, span: Span) -> Node:
        node = bounded(Node(op, inputs, tuple(sorted(parameters.items())), type), span)
        asked = (node, self.foreign or span)
        if self.record is not None:
            self.record.origins.append(asked)
        else:
            self.origins.later.append((0, [asked]))  # type: ignore[attr-defined]
        return node


def statements_of(lines: Lines) -> tuple[ast.Statement, ...]:
    """The statements of a text. Those that bind or show stand where they are, and what is inside them still counts from
    their beginning: `RememberingChecker` moves it when it has to look."""
    blocks: list[tuple[Any, int, list[Any]]] = [(None, 0, [])]
    end = 0
    for line in lines.lines:
        if line.piece.kind == "open":
            blocks.append((shift(line.statement, line.start) if line.statement else None, line.start, []))
        elif line.piece.kind == "close" and len(blocks) > 1:
            _close(blocks, line.end if line.piece.text else end)
        elif line.statement is not None:
            blocks[-1][2].append(_placed(line.statement, line.start, line.end))
        end = line.end
    while len(blocks) > 1:
        _close(blocks, end)
    return tuple(blocks[0][2])


def _close(blocks: list[tuple[Any, int, list[Any]]], end: int) -> None:
    header, start, statements = blocks.pop()
    title = header.title if header else None
    blocks[-1][2].append(ast.Interface(title, tuple(statements), span=Span(start, end)))


def _placed(statement: Any, start: int, end: int) -> Any:
    if not isinstance(statement, ast.Bind | ast.Show):
        return shift(statement, start)
    copy = object.__new__(type(statement))
    copy.__dict__.update(statement.__dict__, span=Span(start, end), whole=statement)
    if isinstance(statement, ast.Bind):
        name = statement.name
        copy.__dict__["name"] = ast.Name(name.text, span=name.span.shift(start))
    return copy


class RememberingChecker(Checker):
    """The checker of `bbi check`, which finds in ``memory`` what it knows already."""

    def __init__(self, file: ast.File, registry: Any, options: Options, lost: Iterable[str] | None, memory: Memory):
        super().__init__(file, registry, options, lost)
        self.memory, self.text = memory, file.source.text if file.source else ""
        self.scope_of: dict[int, Scope] = {}  # beginning of an interface -> its own names
        self.interfaces: tuple[Interface, ...] = ()
        self.digest = 0
        self.started = False

    def check(self) -> tuple[Diagnostic, ...]:
        """Everything wrong with the text, in the order of the text."""
        found = self.read()
        if found is not None:
            self.interfaces = found[1]
            self.complete(found[1])
        return tuple(sorted(self.diagnostics, key=lambda d: d.span.start if d.span else -1))

    def unreachable(self, shown: Sequence[Element]) -> Iterable[At]:
        assert self.resolver is not None
        return unreachable(shown, self.registry, self.resolver, self.memory.showing)

    # --- one statement ---

    def _start(self) -> None:
        """Before the first statement: a resolver that notes, and a memory that is about this model."""
        plain = self.resolver
        assert plain is not None
        noting = Noting(plain.registry, plain.models, plain.inputs, plain.settings, scopes=plain.scopes)
        noting.element_names = self.names = _Watched()  # type: ignore[assignment]
        noting.later, noting.macros = plain.later, _Watched()
        self.resolver = noting
        models = tuple((context.slot, context.description) for context in plain.models.values())
        around = (models, plain.inputs, tuple(sorted(self.settings.items(), key=str)))
        if self.memory.around is None or not _same_around(self.memory.around, around):
            self.memory.around = around
            self.memory.records.clear()
            self.memory.showing.clear()
        if sum(map(len, self.memory.records.values())) > MOST:
            self.memory.records.clear()
        if len(self.memory.showing) > MOST:
            self.memory.showing.clear()
        self.started = True

    def _look_ahead(self, statements: Sequence[ast.Statement]) -> None:
        if not self.started:
            self._start()
        super()._look_ahead(statements)
        self.digest = hash((self.digest, tuple(self.resolver.later)))  # type: ignore[union-attr]

    def _interface(self, statement: ast.Interface) -> Interface:
        outside = self.digest
        try:
            return super()._interface(statement)
        finally:
            self.digest = outside

    def _statement(self, statement: ast.Statement, elements: list[Element]) -> None:
        whole = getattr(statement, "whole", None)
        resolver = self.resolver
        assert isinstance(resolver, Noting)
        inside = len(resolver.scopes) > 1
        if inside and statement.span.start not in self.scope_of:
            self.scope_of[statement.span.start] = resolver.scopes[-1]
        if whole is None or resolver.open:
            return super()._statement(statement, elements)
        start = statement.span.start
        key = (self.text[start : statement.span.end], inside)
        doubled = isinstance(statement, ast.Bind) and (
            statement.name.text in resolver.scopes[-1] or dict.__contains__(resolver.macros, statement.name.text)
        )
        for record in () if doubled else self.memory.records.get(key, ()):
            if (found := self._found(record)) is not None:
                self.memory.hits += 1
                self._again(statement, record, found, elements)
                break
        else:
            self.memory.misses += 1
            self._anew(shift(whole, start), key, elements, keep=not doubled)
        if isinstance(statement, ast.Bind):
            self.digest = hash((self.digest, statement.name.text))

    def _found(self, record: Record) -> list[Binding] | None:
        """The bindings that the statement looks up, where all that it looked up is as it was; else None."""
        resolver = self.resolver
        assert resolver is not None
        if record.names and record.names != self.digest:
            return None
        found = []
        scopes = resolver.scopes
        inside = len(scopes) > 1
        for name, (value, innermost) in record.looked_up.items():
            binding, own = scopes[-1].get(name), True
            if binding is None and inside:
                binding, own = next((scope[name] for scope in reversed(scopes) if name in scope), None), False
            if binding is None:
                if value is not MISSING:
                    return None
            elif (binding.value is not value and not _equal(binding.value, value)) or innermost != own:
                return None
            else:
                found.append(binding)
        if record.macros and any(dict.get(resolver.macros, name) != macro for name, macro in record.macros.items()):
            return None
        if record.elements and any(dict.get(self.names, node) != name for node, name in record.elements.items()):
            return None
        if record.called:
            ids = resolver.selections.ids
            if any(_called(ids, wanted, digest) != name for wanted, digest, name in record.called):
                return None
        return found

    def _again(self, statement: Any, record: Record, found: Iterable[Binding], elements: list[Element]) -> None:
        """What the statement did, without reading it. ``found``: what it looks up."""
        resolver, start = self.resolver, statement.span.start
        assert resolver is not None
        for binding in found:
            binding.used = True
        if record.macros:
            resolver.used_macros.update(name for name, macro in record.macros.items() if macro is not None)
        for _, digest, name in record.called:
            resolver.selections.ids.setdefault(name, digest)
        resolver.origins.later.append((start, record.origins))  # type: ignore[attr-defined]
        if record.found:
            self.diagnostics += [_moved(diagnostic, start) for diagnostic in record.found]
        if isinstance(statement, ast.Bind):
            name, scope = statement.name.text, resolver.scopes[-1]
            resolver.later.pop(name, None)
            scope[name] = Binding(record.value, statement.name.span)
            if isinstance(record.value, Node):
                self.bindings.append((name, record.value))
                if record.value.op == "present":
                    scope[name].element = self._element(record.value, name, elements)
        elif record.value is not None:
            self._element(record.value, f"element-{len(self.taken) + 1}", elements)

    def _anew(self, statement: Any, key: tuple[str, bool], elements: list[Element], keep: bool) -> None:
        """Read it, and remember what it looked up."""
        resolver, start = self.resolver, statement.span.start
        assert isinstance(resolver, Noting)
        record = Record(self.digest, {}, {}, {}, [])
        before, drawn = len(self.diagnostics), len(elements)
        resolver.record, resolver.macros.seen, self.names.seen = record, record.macros, record.elements  # type: ignore
        try:
            # In the way that `attempt` does it, which then finds nothing left to report.
            self.attempt(super()._statement, statement, elements)
        finally:
            resolver.record, resolver.macros.seen, self.names.seen = None, None, None  # type: ignore
        found = self.diagnostics[before:]
        resolver.origins.later.append((0, record.origins))  # type: ignore[attr-defined]
        if not keep or any(d.related or d.span is None or d.span.start < start for d in found):
            return
        if isinstance(statement, ast.Bind):
            record.value = resolver.scopes[-1][statement.name.text].value
        elif len(elements) > drawn:
            record.value = elements[-1].node
        record.names = self.digest if found else 0
        record.found = tuple(_moved(d, -start) for d in found)
        record.origins = [(node, span.shift(-start)) for node, span in record.origins if span.start >= start]
        kept = self.memory.records.setdefault(key, [])
        kept.insert(0, record)
        del kept[8:]


def _equal(one: Any, other: Any) -> bool:
    if one is MISSING or other is MISSING or one is None or other is None:
        return False
    return type(one) is type(other) and one == other


def _same_around(one: Any, other: Any) -> bool:
    (models, *rest), (others, *rests) = one, other
    if rest != rests or len(models) != len(others):
        return False
    return all(a[0] == b[0] and (a[1] is b[1] or a[1] == b[1]) for a, b in zip(models, others, strict=True))


def _called(ids: Mapping[str, str], wanted: str, digest: str) -> str:
    identity, number = wanted, 2
    while ids.get(identity, digest) != digest:
        identity, number = f"{wanted}-{number}", number + 1
    return identity


def checked(
    file: ast.File, registry: Any, options: Options, lost: Iterable[str] | None, memory: Memory
) -> tuple[RememberingChecker, tuple[Diagnostic, ...]]:
    """The checker after it has read the text, and what is wrong with its meaning. ``file``: of `statements_of`."""
    checker = RememberingChecker(file, registry, options, lost, memory)
    return checker, checker.check()

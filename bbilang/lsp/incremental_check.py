"""Incremental checking: a statement is checked again only if its text or something that it depends on changed.

A statement depends on its text, on the values of the names in it, and on model, inputs and settings. A
`StatementCache` records the look-ups and results of each; a record is valid while every look-up gives the same value.
Statements with diagnostics are cached too, as long as the visible names are the same (suggestions list them).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bbilang.compiler.check.arguments.binding import CheckError
from bbilang.compiler.check.check import Checker
from bbilang.compiler.check.limits import bounded
from bbilang.compiler.check.options import Options
from bbilang.compiler.check.reachability import Showing, unreachable
from bbilang.compiler.check.resolve import Resolver
from bbilang.compiler.check.scope import Binding
from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.program import Element, Interface, ModelSlot, Node
from bbilang.compiler.ir.types import FieldType
from bbilang.grammar import ast
from bbilang.grammar.diagnostic import Diagnostic
from bbilang.grammar.parse import shifted
from bbilang.grammar.source import Span
from bbilang.grammar.walk import shift
from bbilang.lsp.logical_lines import Lines

MISSING = object()
MAX_CACHED = 20_000  # statements, over all versions of a text
MAX_RECORDS = 8  # of one statement text: the same words under different bindings
Scope = dict[str, Binding]
Environment = tuple[tuple[tuple[ModelSlot, ModelDescription], ...], int, tuple[tuple[str, Any], ...]]


@dataclass
class StatementRecord:
    """One checked statement: its look-ups and its results."""

    names: int  # digest of all visible names; 0 without diagnostics, where the other names do not matter
    lookups: dict[str, tuple[Any, bool]]  # name -> (value, whether it is bound in the innermost scope)
    macros: dict[str, Any]
    elements: dict[Node, str | None]
    selection_ids: list[tuple[str, str, str]]  # (preferred name, digest, assigned name)
    value: Any = None
    origins: list[tuple[Node, Span]] = field(default_factory=list)
    diagnostics: tuple[Diagnostic, ...] = ()  # spans relative to the statement


@dataclass
class StatementCache:
    """Check results that are reused from one version of a text to the next."""

    environment: Environment | None = None  # model, inputs, settings: a change clears the cache
    records: dict[tuple[str, bool], list[StatementRecord]] = field(default_factory=dict)
    showing: dict[Node, Showing] = field(default_factory=dict)
    hits: int = 0
    misses: int = 0


class _RecordingDict(dict[Any, Any]):
    """A dictionary that records look-ups into ``seen`` while it is set."""

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


class LazyOrigins(dict[Node, list[Span]]):
    """Node -> the spans of the expressions that made it, merged on first access, which is rare."""

    def __init__(self) -> None:
        super().__init__()
        self.later: list[tuple[int, list[tuple[Node, Span]]]] = []  # (offset of the spans, nodes with spans)

    def __getitem__(self, node: Node) -> list[Span]:
        for start, pairs in self.later:
            for each, span in pairs:
                spans, shifted = self.setdefault(each, []), span.shift(start)
                if shifted not in spans:
                    spans.append(shifted)
        self.later.clear()
        return super().__getitem__(node)


class RecordingResolver(Resolver):
    """A resolver that records the look-ups of the current statement."""

    record: StatementRecord | None = None
    origins: LazyOrigins
    macros: _RecordingDict

    def __post_init__(self) -> None:
        super().__post_init__()
        self.assign_identity = self.selections._identity
        self.selections._identity = self._recorded_identity  # type: ignore[method-assign]  # the hook of this class
        self.origins = LazyOrigins()

    def _recorded_identity(
        self, preferred: str, op: str, parameters: dict[str, Any], type: FieldType, name: str | None
    ) -> str:
        assigned = self.assign_identity(preferred, op, parameters, type, name)
        if self.record is not None:
            self.record.selection_ids.append((preferred, self.selections.ids[assigned], assigned))
        return assigned

    def find(self, name: str) -> Binding | None:
        binding = super().find(name)
        if self.record is not None and name not in self.record.lookups:
            value = MISSING if binding is None else binding.value
            self.record.lookups[name] = value, binding is not None and self.scopes[-1].get(name) is binding
        return binding

    def make(self, op: str, inputs: tuple[Node, ...], parameters: dict[str, Any], type: FieldType, span: Span) -> Node:
        node = bounded(Node(op, inputs, tuple(sorted(parameters.items())), type), span)
        origin = (node, self.use_span or span)
        if self.record is not None:
            self.record.origins.append(origin)
        else:
            self.origins.later.append((0, [origin]))
        return node


def statements_of(lines: Lines) -> tuple[ast.Statement, ...]:
    """Return the statements of a text. In a `Bind` or `Show` only the outer span is absolute; the spans inside stay
    relative to the statement until `IncrementalChecker` has to check it."""
    blocks: list[tuple[Any, int, list[Any]]] = [(None, 0, [])]
    end = 0
    for line in lines.lines:
        if line.piece.kind == "open":
            blocks.append((shift(line.statement, line.start) if line.statement else None, line.start, []))
        elif line.piece.kind == "close" and len(blocks) > 1:
            _close(blocks, line.end if line.piece.text else end)
        elif line.statement is not None:
            blocks[-1][2].append(_with_absolute_span(line.statement, line.start, line.end))
        end = line.end
    while len(blocks) > 1:
        _close(blocks, end)
    return tuple(blocks[0][2])


def _close(blocks: list[tuple[Any, int, list[Any]]], end: int) -> None:
    header, start, statements = blocks.pop()
    title = header.title if header else None
    blocks[-1][2].append(ast.Interface(title, tuple(statements), span=Span(start, end)))


def _with_absolute_span(statement: Any, start: int, end: int) -> Any:
    if not isinstance(statement, ast.Bind | ast.Show):
        return shift(statement, start)
    copy = object.__new__(type(statement))
    copy.__dict__.update(statement.__dict__, span=Span(start, end), whole=statement)
    if isinstance(statement, ast.Bind):
        name = statement.name
        copy.__dict__["name"] = ast.Name(name.text, span=name.span.shift(start))
    return copy


class IncrementalChecker(Checker):
    """The checker of `bbi check`, reusing valid records of ``cache``."""

    def __init__(self, file: ast.File, registry: Registry, options: Options, lost: Iterable[str] | None,
                 cache: StatementCache):  # fmt: skip
        super().__init__(file, registry, options, lost)
        self.cache, self.text = cache, file.source.text if file.source else ""
        self.scope_of: dict[int, Scope] = {}  # start of an interface -> its scope
        self.interfaces: tuple[Interface, ...] = ()
        self.digest = 0
        self.started = False

    def check(self) -> tuple[Diagnostic, ...]:
        """Return all semantic diagnostics, in text order."""
        read = self.read()
        if read is not None:
            self.interfaces = read[1]
            self.complete(read[1])
        return tuple(sorted(self.diagnostics, key=lambda d: d.span.start if d.span else -1))

    def unreachable(self, shown: Sequence[Element]) -> Iterable[CheckError]:
        assert self.resolver is not None
        return unreachable(shown, self.registry, self.resolver, self.cache.showing)

    # --- one statement ---

    def _start(self) -> None:
        """Install a recording resolver, and clear the cache if the environment changed."""
        plain = self.resolver
        assert plain is not None
        recording = RecordingResolver(plain.registry, plain.models, plain.inputs, plain.settings, scopes=plain.scopes)
        self.element_lookups = _RecordingDict()
        recording.element_names = self.names = self.element_lookups
        recording.files, recording.columns, recording.check_other = plain.files, plain.columns, plain.check_other
        recording.later, recording.macros = plain.later, _RecordingDict()
        self.resolver = recording
        models = tuple((context.slot, context.description) for context in plain.models.values())
        environment = (
            models,
            plain.inputs,
            (*sorted(self.settings.items(), key=str), *plain.files.called),
        )
        if self.cache.environment is None or not _same_environment(self.cache.environment, environment):
            self.cache.environment = environment
            self.cache.records.clear()
            self.cache.showing.clear()
        if sum(map(len, self.cache.records.values())) > MAX_CACHED:
            self.cache.records.clear()
        if len(self.cache.showing) > MAX_CACHED:
            self.cache.showing.clear()
        self.started = True

    def _look_ahead(self, statements: Sequence[ast.Statement]) -> None:
        if not self.started:
            self._start()
        super()._look_ahead(statements)
        assert self.resolver is not None
        self.digest = hash((self.digest, tuple(self.resolver.later)))

    def _interface(self, statement: ast.Interface) -> Interface:
        outside = self.digest
        try:
            return super()._interface(statement)
        finally:
            self.digest = outside

    def _statement(self, statement: ast.Statement, elements: list[Element]) -> None:
        whole = getattr(statement, "whole", None)
        resolver = self.resolver
        assert isinstance(resolver, RecordingResolver)
        inside = len(resolver.scopes) > 1
        if inside and statement.span.start not in self.scope_of:
            self.scope_of[statement.span.start] = resolver.scopes[-1]
        if whole is None or resolver.open:
            return super()._statement(statement, elements)
        start = statement.span.start
        key = (self.text[start : statement.span.end], inside)
        rebound = isinstance(statement, ast.Bind) and (
            statement.name.text in resolver.scopes[-1] or dict.__contains__(resolver.macros, statement.name.text)
        )
        rebound = rebound or isinstance(statement, ast.Claim)  # claims are counted together: none is replayed
        for record in () if rebound else self.cache.records.get(key, ()):
            if (bindings := self._bindings_if_valid(record)) is not None:
                self.cache.hits += 1
                self._replay(statement, record, bindings, elements)
                break
        else:
            self.cache.misses += 1
            self._check_and_record(shift(whole, start), key, elements, keep=not rebound)
        if isinstance(statement, ast.Bind):
            self.digest = hash((self.digest, statement.name.text))

    def _bindings_if_valid(self, record: StatementRecord) -> list[Binding] | None:
        """Return the bindings that the statement looks up, or None where a look-up has another result now."""
        resolver = self.resolver
        assert resolver is not None
        if record.names and record.names != self.digest:
            return None
        bindings = []
        scopes = resolver.scopes
        inside = len(scopes) > 1
        for name, (value, innermost) in record.lookups.items():
            binding, own = scopes[-1].get(name), True
            if binding is None and inside:
                binding, own = next((scope[name] for scope in reversed(scopes) if name in scope), None), False
            if binding is None:
                if value is not MISSING:
                    return None
            elif (binding.value is not value and not _equal(binding.value, value)) or innermost != own:
                return None
            else:
                bindings.append(binding)
        if record.macros and any(dict.get(resolver.macros, name) != macro for name, macro in record.macros.items()):
            return None
        if record.elements and any(dict.get(self.names, node) != name for node, name in record.elements.items()):
            return None
        if record.selection_ids:
            ids = resolver.selections.ids
            if any(_unique_id(ids, preferred, digest) != name for preferred, digest, name in record.selection_ids):
                return None
        return bindings

    def _replay(
        self, statement: Any, record: StatementRecord, bindings: Iterable[Binding], elements: list[Element]
    ) -> None:
        """Apply the recorded results of a statement. ``bindings``: what it looks up."""
        resolver, start = self.resolver, statement.span.start
        assert isinstance(resolver, RecordingResolver)
        for binding in bindings:
            binding.used = True
        if record.macros:
            resolver.used_macros.update(name for name, macro in record.macros.items() if macro is not None)
        for _, digest, name in record.selection_ids:
            resolver.selections.ids.setdefault(name, digest)
        resolver.origins.later.append((start, record.origins))
        if record.diagnostics:
            self.diagnostics += [shifted(diagnostic, start) for diagnostic in record.diagnostics]
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

    def _check_and_record(self, statement: Any, key: tuple[str, bool], elements: list[Element], keep: bool) -> None:
        """Check a statement, and record its look-ups and results."""
        resolver, start = self.resolver, statement.span.start
        assert isinstance(resolver, RecordingResolver)
        record = StatementRecord(self.digest, {}, {}, {}, [])
        before, drawn = len(self.diagnostics), len(elements)
        resolver.record, resolver.macros.seen, self.element_lookups.seen = record, record.macros, record.elements
        try:
            # `attempt` reports here, inside the recording, so that the caller's `attempt` has nothing to report.
            self.attempt(super()._statement, statement, elements)
        finally:
            resolver.record, resolver.macros.seen, self.element_lookups.seen = None, None, None
        diagnostics = self.diagnostics[before:]
        resolver.origins.later.append((0, record.origins))
        if not keep or any(d.related or d.span is None or d.span.start < start for d in diagnostics):
            return
        if isinstance(statement, ast.Bind):
            record.value = resolver.scopes[-1][statement.name.text].value
        elif len(elements) > drawn:
            record.value = elements[-1].node
        record.names = self.digest if diagnostics else 0
        record.diagnostics = tuple(shifted(d, -start) for d in diagnostics)
        record.origins = [(node, span.shift(-start)) for node, span in record.origins if span.start >= start]
        records = self.cache.records.setdefault(key, [])
        records.insert(0, record)
        del records[MAX_RECORDS:]


def _equal(one: Any, other: Any) -> bool:
    if one is MISSING or other is MISSING or one is None or other is None:
        return False
    return type(one) is type(other) and one == other


def _same_environment(one: Any, other: Any) -> bool:
    (models, *rest), (others, *rests) = one, other
    if rest != rests or len(models) != len(others):
        return False
    return all(a[0] == b[0] and (a[1] is b[1] or a[1] == b[1]) for a, b in zip(models, others, strict=True))


def _unique_id(ids: Mapping[str, str], preferred: str, digest: str) -> str:
    identity, number = preferred, 2
    while ids.get(identity, digest) != digest:
        identity, number = f"{preferred}-{number}", number + 1
    return identity


def checked(
    file: ast.File, registry: Registry, options: Options, lost: Iterable[str] | None, cache: StatementCache
) -> tuple[IncrementalChecker, tuple[Diagnostic, ...]]:
    """Check a file of `statements_of`; return the checker and the semantic diagnostics."""
    checker = IncrementalChecker(file, registry, options, lost, cache)
    return checker, checker.check()

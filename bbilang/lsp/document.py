"""One open text: its lines, its check results, and the meaning of expressions at an offset."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bbilang.compiler.check.arguments.binding import CheckError, Poisoned
from bbilang.compiler.check.options import Options
from bbilang.compiler.check.resolve import Resolver
from bbilang.compiler.check.scope import Binding, Layers
from bbilang.compiler.contract import Registry
from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.program import Node
from bbilang.grammar import ast
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.parse import lost_names, parse_line, too_large
from bbilang.grammar.source import Source
from bbilang.grammar.walk import shift
from bbilang.lsp.incremental_check import IncrementalChecker, StatementCache, checked, statements_of
from bbilang.lsp.logical_lines import Lines
from bbilang.lsp.model_descriptions import Describer, Pending
from bbilang.registry import registry
from bbilang.runtime.sound.names import is_sound

if TYPE_CHECKING:
    from bbilang.runtime.data.peek import Peek

SOME_PICTURE = ("picture 1",)  # stands in for the picture that the command line will give
_STATEMENT = re.compile(r"^[ \t]*(model|output|set|use|input)(?=[ \t\r(]|$)", re.MULTILINE)


@dataclass(frozen=True)
class Definition:
    """A name that the text binds. ``block``: (start, end) of its interface; None for a name of the whole file."""

    name: str
    start: int
    end: int
    block: tuple[int, int] | None


@dataclass(frozen=True)
class State:
    """Check results of one version of the text. ``checker`` is None where there is no model to check against."""

    checker: IncrementalChecker | None
    diagnostics: tuple[Diagnostic, ...]


class Document:
    """``name``: the path of the text, which relative paths in it start from."""

    def __init__(self, name: str, text: str, describer: Describer | None = None):
        self.name = name
        self.describer = describer or Describer()
        self.registry: Registry = replace(registry(), describe=self.describer.describe)
        self.statement_cache = StatementCache()
        self.expanded: dict[str, tuple[str, ...] | BbiError] = {}
        self.peeked: dict[tuple[str, int], Peek | BbiError] = {}  # (path, its time of change) -> its dataset
        self.formatted_statements: dict[tuple[str, int], str] = {}  # of formatting.py
        self.lines = Lines.of("")
        self.version = 0
        self.text = ""
        self.definitions: tuple[int, list[Definition]] = (0, [])  # (version, its definitions), of names.py
        self._state: State | None = None
        self._previous: tuple[str, State] | None = None
        self.update(text)

    def update(self, text: str) -> None:
        """Replace the text with its next version."""
        if self._state is not None:
            self._previous = self.text, self._state
        self.text = text.replace("\ufeff", " ", 1) if text.startswith("\ufeff") else text
        self.source = Source(self.text, self.name)
        self.version += 1
        self._state = None
        self._blocks: list[tuple[int, int]] | None = None
        self._resolvers: dict[int, Resolver | None] = {}
        self.refusal = too_large(self.text)
        self.lines = Lines.of("") if self.refusal else self.lines.edited(self.text)

    def invalidate(self) -> None:
        """Drop check results because a dependency may have changed: a file the text uses, or a pending model."""
        self._state, self._previous, self._resolvers = None, None, {}
        self.expanded.clear()
        self.peeked.clear()

    # --- diagnostics ---

    @property
    def state(self) -> State:
        if self._state is None:
            self._state = self._checked()
        return self._state

    def _checked(self) -> State:
        return State(None, (self.refusal,)) if self.refusal else self.checked(self.lines, self.source)

    def checked(self, lines: Lines, source: Source) -> State:
        """Check this text, or a version of it that does not exist yet."""
        syntax = lines.diagnostics()
        file = ast.File(statements_of(lines), source=source)
        options = self._options(file)
        lost: frozenset[str] | None = None
        if syntax:
            lost = lost_names(file)
        try:
            checker, semantic = checked(file, self.registry, options, lost, self.statement_cache)
        except Pending:
            return State(None, syntax)
        if syntax:
            words = self._lost_words(file)
            if words & {"model", "output", "set", "use"}:  # what the rest means depends on these
                semantic = ()
            if "input" in words:
                semantic = tuple(d for d in semantic if d.code != "E420")
        diagnostics = tuple(sorted((*syntax, *semantic), key=lambda d: d.span.start if d.span else -1))
        return State(checker if checker.started else None, diagnostics)

    def _lost_words(self, file: ast.File) -> set[str]:
        """Return the keywords of statements that could not be parsed or were ignored where they are."""
        source = file.source or self.source
        parsed = {source.position(statement.span.start)[0] for statement in file.statements}
        return {m[1] for m in _STATEMENT.finditer(source.text) if source.position(m.start(1))[0] not in parsed}

    def _options(self, file: ast.File) -> Options:
        named = any(isinstance(statement, ast.Input) for statement in file.statements)
        return Options(inputs=None if named else SOME_PICTURE, expand=self._expand, is_sound=is_sound, peek=self._peek)

    def _expand(self, name: str) -> Sequence[str]:
        """Return the files that a glob or folder expands to, cached until the text is saved or reopened."""
        from bbilang.runtime.inputs.load import expanded

        if name not in self.expanded:
            try:
                self.expanded[name] = tuple(expanded(name))
            except BbiError as error:
                self.expanded[name] = error
        files = self.expanded[name]
        if isinstance(files, BbiError):
            raise BbiError(files.diagnostics)
        return files

    def _peek(self, name: str, folder: Path, root: Path | None) -> Peek:
        """Look at the files of a dataset, without opening one, again only when the text is saved or the folder or file
        itself has changed."""
        from bbilang.runtime.data.peek import peek

        try:
            changed = os.stat(folder / name).st_mtime_ns
        except (OSError, ValueError):
            changed = 0
        key = str(folder / name), changed
        if key not in self.peeked:
            try:
                self.peeked[key] = peek(name, folder, root)
            except BbiError as error:
                self.peeked[key] = error
        known = self.peeked[key]
        if isinstance(known, BbiError):
            raise BbiError(known.diagnostics)
        return known

    # --- what the checker knows ---

    @property
    def folder(self) -> Path:
        return Path(self.name).parent if not self.name.startswith("<") else Path()

    def state_before(self, offset: int) -> State:
        """Return the state for the lines above ``offset``: the previous one where only what follows changed, so that
        an answer does not wait for a recheck."""
        if self._state is None and self._previous is not None:
            text, state = self._previous
            if state.checker is not None and text[:offset] == self.text[:offset]:
                return state
        return self.state

    def description_at(self, offset: int) -> ModelDescription | None:
        checker = self.state_before(offset).checker
        return checker.resolver.model.description if checker and checker.has_resolver else None

    def names_at(self, offset: int) -> dict[str, Binding]:
        """Return the bindings visible at ``offset``, the innermost last."""
        resolver = self.resolver_at(offset)
        return {} if resolver is None else {n: b for scope in resolver.scopes for n, b in scope.items()}

    def bound(self, name: str, offset: int) -> object:
        """Return the value of a name bound at ``offset``, or None where it is unknown."""
        checker = self.state.checker
        if checker is None or not checker.has_resolver:
            return None
        inner = self._inner_scope(checker, offset) or {}
        binding = inner.get(name) or checker.resolver.scopes[0].get(name)
        return binding.value if binding is not None else None

    def resolver_at(self, offset: int) -> Resolver | None:
        """Return a resolver for an expression at ``offset``, with the names bound above it."""
        if offset not in self._resolvers:
            self._resolvers[offset] = self._resolver_at(offset)
        resolver = self._resolvers[offset]
        if resolver is not None:
            resolver.notes.clear()
        return resolver

    def _resolver_at(self, offset: int) -> Resolver | None:
        checker = self.state_before(offset).checker
        if checker is None or not checker.has_resolver:
            return None
        base = checker.resolver
        scopes = [base.scopes[0], *filter(None, [self._inner_scope(checker, offset)])]
        above = [{name: b for name, b in scope.items() if b.span.start < offset} for scope in scopes]
        resolver = Resolver(self.registry, base.models, base.inputs, base.settings, scopes=above)
        resolver.macros = {name: macro for name, macro in dict(base.macros).items()}
        resolver.element_names, resolver.files = dict(checker.names), base.files
        resolver.columns = base.columns
        resolver.drawn = [b.value for b in above[-1].values() if isinstance(b.value, Node) and b.value.op == "present"]
        return resolver

    def _inner_scope(self, checker: IncrementalChecker, offset: int) -> dict[str, Binding] | None:
        """Return the scope of the interface around ``offset``."""
        block = next((i for i in self.blocks() if i[0] <= offset <= i[1]), None)
        if block is None:
            return None
        return next((scope for start, scope in checker.scope_of.items() if block[0] <= start <= block[1]), None)

    def blocks(self) -> list[tuple[int, int]]:
        """Return (start, end) of every interface."""
        if self._blocks is None:
            self._blocks = self._find_blocks()
        return self._blocks

    def _find_blocks(self) -> list[tuple[int, int]]:
        blocks: list[tuple[int, int]] = []
        opened: int | None = None
        for line in self.lines.lines:
            if line.piece.kind == "open":
                opened = line.start
            elif line.piece.kind == "close" and opened is not None:
                blocks.append((opened, line.end))
                opened = None
        return blocks if opened is None else [*blocks, (opened, len(self.text))]

    def value(self, words: str, offset: int) -> object:
        """Evaluate an expression at ``offset``: a node, layers or a literal; None where it has no meaning."""
        resolver = self.resolver_at(offset)
        statement, _ = parse_line(words.strip()) if words.strip() else (None, ())
        if isinstance(statement, ast.Bind):  # `a = ...`: not an expression
            return None
        if resolver is None or not isinstance(statement, ast.Show):
            return None
        return self.evaluate(statement.value, resolver)

    def bound_here(self, offset: int) -> object:
        """Return the value that the statement at ``offset`` binds."""
        line = next((line for line in self.lines.lines if line.start <= offset < line.end), None)
        resolver = self.resolver_at(line.start) if line is not None else None
        if line is None or resolver is None or not isinstance(line.statement, ast.Bind):
            return None
        return self.evaluate(shift(line.statement.value, line.start), resolver)

    def evaluate(self, expression: ast.Expression, resolver: Resolver) -> object:
        """Evaluate an expression; None where it has an error."""
        try:
            return resolver.value(expression)
        except (CheckError, Poisoned, BbiError, RecursionError):
            return None

    def field(self, words: str, offset: int) -> Node | None:
        """Evaluate an expression as a field, or return None."""
        resolver, value = self.resolver_at(offset), self.value(words, offset)
        if isinstance(value, Layers) and resolver is not None:
            value = resolver.fields.as_field(value, ast.Path("layer"))
        return value if isinstance(value, Node) and value.type.content != "selection" else None

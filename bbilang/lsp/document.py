"""One text that an editor holds open: its lines, what the checker knows of it, and what stands at a place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bbilang.compiler.check.arguments import At, Poisoned
from bbilang.compiler.check.options import Options
from bbilang.compiler.check.resolve import Binding, Layers, Resolver
from bbilang.compiler.contract.operation import Registry
from bbilang.compiler.ir.model_description import ModelDescription
from bbilang.compiler.ir.program import Node
from bbilang.grammar import ast
from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.parse import _too_large, lost_names, parse_line
from bbilang.grammar.source import Source
from bbilang.grammar.walk import shift
from bbilang.lsp.incremental_check import Memory, RememberingChecker, checked, statements_of
from bbilang.lsp.logical_lines import Lines
from bbilang.lsp.model_descriptions import Describer, Pending
from bbilang.registry import registry

SOME_PICTURE = ("picture 1",)  # for a text that leaves its picture to the command line
_STATEMENT = re.compile(r"^[ \t]*(model|output|set|use|input)(?=[ \t\r(]|$)", re.MULTILINE)


@dataclass(frozen=True)
class State:
    """What is known of one version of the text. ``checker`` is None where there is no model to check it with."""

    checker: RememberingChecker | None
    diagnostics: tuple[Diagnostic, ...]


class Document:
    """``name``: where the text is, for the files that it names."""

    def __init__(self, name: str, text: str, describer: Describer | None = None):
        self.name = name
        self.describer = describer or Describer()
        self.registry: Registry = replace(registry(), describe=self.describer.describe)
        self.memory = Memory()
        self.expanded: dict[str, Any] = {}
        self.written: dict[tuple[str, int], str] = {}  # of formatting.py
        self.lines = Lines.of("")
        self.version = 0
        self.text = ""
        self.introduced: tuple[int, list[Any]] = (0, [])  # (version, what names.py found in it)
        self._state: State | None = None
        self._before: tuple[str, State] | None = None
        self.update(text)

    def update(self, text: str) -> None:
        """Another version of the text."""
        if self._state is not None:
            self._before = self.text, self._state
        self.text = text.replace("\ufeff", " ", 1) if text.startswith("\ufeff") else text
        self.source = Source(self.text, self.name)
        self.version += 1
        self._state = None
        self._blocks: list[tuple[int, int]] | None = None
        self._resolvers: dict[int, Resolver | None] = {}
        self.refusal = _too_large(self.text)
        self.lines = Lines.of("") if self.refusal else self.lines.edited(self.text)

    def forget(self) -> None:
        """What the text depends on may be another: files beside it, a model that was waited for."""
        self._state, self._before, self._resolvers = None, None, {}
        self.expanded.clear()

    # --- what is wrong ---

    @property
    def state(self) -> State:
        if self._state is None:
            self._state = self._checked()
        return self._state

    def _checked(self) -> State:
        return State(None, (self.refusal,)) if self.refusal else self.checked(self.lines, self.source)

    def checked(self, lines: Lines, source: Source) -> State:
        """What is known of this text, or of another that it might become."""
        syntax = lines.diagnostics()
        file = ast.File(statements_of(lines), source=source)
        options = self._options(file)
        lost: frozenset[str] | None = None
        if syntax:
            lost = lost_names(file)
        try:
            checker, meaning = checked(file, self.registry, options, lost, self.memory)
        except Pending:
            return State(None, syntax)
        if syntax:
            words = self._lost_words(file)
            if words & {"model", "output", "set", "use"}:  # what the rest means depends on these
                meaning = ()
            if "input" in words:
                meaning = tuple(d for d in meaning if d.code != "E420")
        found = tuple(sorted((*syntax, *meaning), key=lambda d: d.span.start if d.span else -1))
        return State(checker if checker.started else None, found)

    def _lost_words(self, file: ast.File) -> set[str]:
        """The words of statements that could not be parsed, or stand where they do not count."""
        source = file.source or self.source
        kept = {source.position(statement.span.start)[0] for statement in file.statements}
        return {m[1] for m in _STATEMENT.finditer(source.text) if source.position(m.start(1))[0] not in kept}

    def _options(self, file: ast.File) -> Options:
        named = any(isinstance(statement, ast.Input) for statement in file.statements)
        return Options(inputs=None if named else SOME_PICTURE, expand=self._expand)

    def _expand(self, name: str) -> Sequence[str]:
        """The files that a name stands for, asked once: until the text is saved, or opened anew."""
        from bbilang.runtime.inputs.load import expanded

        if name not in self.expanded:
            try:
                self.expanded[name] = tuple(expanded(name))
            except BbiError as error:
                self.expanded[name] = error
        found = self.expanded[name]
        if isinstance(found, BbiError):
            raise BbiError(found.diagnostics)
        return found

    # --- what is known ---

    @property
    def folder(self) -> Path:
        return Path(self.name).parent if not self.name.startswith("<") else Path()

    def known_at(self, offset: int) -> State:
        """What is known of the lines above ``offset``. They need not be checked again when only what follows changed:
        an answer does not wait for that."""
        if self._state is None and self._before is not None:
            text, state = self._before
            if state.checker is not None and text[:offset] == self.text[:offset]:
                return state
        return self.state

    def description_at(self, offset: int) -> ModelDescription | None:
        checker = self.known_at(offset).checker
        return checker.resolver.model.description if checker and checker.resolver else None

    def names_at(self, offset: int) -> dict[str, Binding]:
        """The names that a line at ``offset`` can use, the innermost last."""
        resolver = self.resolver_at(offset)
        return {} if resolver is None else {n: b for scope in resolver.scopes for n, b in scope.items()}

    def bound(self, name: str, offset: int) -> Any:
        """The value of a name that is bound at a place; None where it is not known."""
        checker = self.state.checker
        if checker is None or checker.resolver is None:
            return None
        inner = self._inner_scope(checker, offset) or {}
        binding = inner.get(name) or checker.resolver.scopes[0].get(name)
        return binding.value if binding is not None else None

    def resolver_at(self, offset: int) -> Resolver | None:
        """What reads an expression that stands at ``offset``, with the names that are bound above it."""
        if offset not in self._resolvers:
            self._resolvers[offset] = self._resolver_at(offset)
        resolver = self._resolvers[offset]
        if resolver is not None:
            resolver.notes.clear()
        return resolver

    def _resolver_at(self, offset: int) -> Resolver | None:
        checker = self.known_at(offset).checker
        if checker is None or checker.resolver is None:
            return None
        known = checker.resolver
        scopes = [known.scopes[0], *filter(None, [self._inner_scope(checker, offset)])]
        above = [{name: b for name, b in scope.items() if b.span.start < offset} for scope in scopes]
        found = Resolver(self.registry, known.models, known.inputs, known.settings, scopes=above)
        found.macros = {name: macro for name, macro in dict(known.macros).items()}
        found.element_names, found.files = dict(checker.names), known.files
        found.drawn = [b.value for b in above[-1].values() if isinstance(b.value, Node) and b.value.op == "present"]
        return found

    def _inner_scope(self, checker: RememberingChecker, offset: int) -> dict[str, Binding] | None:
        """The names of the interface that a place is in."""
        block = next((i for i in self.blocks() if i[0] <= offset <= i[1]), None)
        if block is None:
            return None
        return next((scope for start, scope in checker.scope_of.items() if block[0] <= start <= block[1]), None)

    def blocks(self) -> list[tuple[int, int]]:
        """(beginning, end) of every interface."""
        if self._blocks is None:
            self._blocks = self._found_blocks()
        return self._blocks

    def _found_blocks(self) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        opened: int | None = None
        for line in self.lines.lines:
            if line.piece.kind == "open":
                opened = line.start
            elif line.piece.kind == "close" and opened is not None:
                found.append((opened, line.end))
                opened = None
        return found if opened is None else [*found, (opened, len(self.text))]

    def value(self, words: str, offset: int) -> Any:
        """What an expression means at a place: a node, layers, a literal; None where it means nothing."""
        resolver = self.resolver_at(offset)
        statement, _ = parse_line(words.strip()) if words.strip() else (None, ())
        if isinstance(statement, ast.Bind):  # `a = ...` where a name stands for the value
            return None
        if resolver is None or not isinstance(statement, ast.Show):
            return None
        return self.meaning(statement.value, resolver)

    def bound_here(self, offset: int) -> Any:
        """The value that the statement at a place binds."""
        line = next((line for line in self.lines.lines if line.start <= offset < line.end), None)
        resolver = self.resolver_at(line.start) if line is not None else None
        if line is None or resolver is None or not isinstance(line.statement, ast.Bind):
            return None
        return self.meaning(shift(line.statement.value, line.start), resolver)

    def meaning(self, expression: ast.Expression, resolver: Resolver) -> Any:
        try:
            return resolver.value(expression)
        except (At, Poisoned, BbiError, RecursionError):
            return None

    def field(self, words: str, offset: int) -> Node | None:
        """The field that an expression is, or None."""
        resolver, value = self.resolver_at(offset), self.value(words, offset)
        if isinstance(value, Layers) and resolver is not None:
            value = resolver.as_field(value, ast.Path("layer"))
        return value if isinstance(value, Node) and value.type.content != "selection" else None

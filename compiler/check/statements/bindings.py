"""`dataset name = ...`, and what every statement that binds a name checks."""

from __future__ import annotations

from collections.abc import Sequence

from bbilang.compiler.check.arguments.binding import CheckError, at
from bbilang.compiler.check.preamble import Preamble
from bbilang.compiler.check.scope import Binding
from bbilang.compiler.check.selections import SELECTIONS
from bbilang.grammar import ast
from bbilang.grammar.source import NOWHERE, Span


class BindingStatements(Preamble):
    """Checks statements that bind names."""

    def _given_datasets(self, statements: Sequence[ast.Statement]) -> None:
        """Bind the names of datasets that a caller gives and the text does not state."""
        stated = {statement.name.text for statement in statements if isinstance(statement, ast.Dataset)}
        for name, given in self.options.data.items():
            if name not in stated:
                node = self.attempt(self.resolver.datasets.given, name, given, NOWHERE)
                self.resolver.scopes[0][name] = Binding(node, NOWHERE)

    def _dataset(self, statement: ast.Dataset) -> None:
        """Bind a name to the examples of some files, or to some of another dataset's; to what the caller gives for it,
        if anything."""
        name, scope = statement.name.text, self.resolver.scopes[-1]
        if name in scope or name in self.resolver.macros:
            raise bound_twice(statement.name)
        self._warn_of_hiding(name, statement.name.span)
        value = None
        try:
            given = self.options.data.get(name)
            if given is not None:
                value = self.resolver.datasets.given(name, given, statement.value.span)
            else:
                value = self.resolver.datasets.read(name, statement.value, self.resolver)
        finally:
            scope[name] = Binding(value, statement.name.span)

    def _warn_of_hiding(self, name: str, span: Span) -> None:
        """Warn W203 of a name that hides an operation or a selection."""
        if name in self.registry.operations or name in SELECTIONS:
            what = "a selection" if name in SELECTIONS else "an operation"
            self._warn("W203", f"`{name}` is also {what} of the language", span, "choose another name")


def bound_twice(name: ast.Name) -> CheckError:
    """Return the error for a name that is bound already."""
    return at(name.span, "E221", f"`{name.text}` is bound twice", "a name stands for one thing; choose another")

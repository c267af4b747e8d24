"""A statement with holes, as `bbi check` and an editor see it: something fits, or an error says what fails."""

from __future__ import annotations

from bbilang.compiler.check.holes.search import first_fit
from bbilang.compiler.check.scope import Binding
from bbilang.compiler.check.statements.bindings import BindingStatements, bound_twice
from bbilang.grammar import ast
from bbilang.grammar.walk import walk


class HoleStatements(BindingStatements):
    """Checks statements with holes. ``with_holes``: whether the text has any."""

    with_holes = False

    def _holes(self, statement: ast.Bind | ast.Show) -> None:
        """Check that something fits the holes of a statement. What it binds is not known, so nothing that uses it is
        checked. Raises CheckError E337 where nothing fits, and E221."""
        resolver = self.resolver
        for node in walk(statement):
            if isinstance(node, ast.Path):  # which marks the names that it uses as used
                resolver.find(node.name)
                resolver.find(node.name.rpartition(".")[0])
        bound = statement.name if isinstance(statement, ast.Bind) else None
        if bound is not None:
            known = resolver.scopes[-1].get(bound.text)
            if (known is not None and known.span != bound.span) or bound.text in resolver.macros:
                raise bound_twice(bound)
        try:
            self.fill(statement)
        finally:
            if bound is not None:
                resolver.later.pop(bound.text, None)
                resolver.scopes[-1][bound.text] = Binding(None, bound.span)

    def fill(self, statement: ast.Bind | ast.Show) -> None:
        """Fill the holes of a statement once. Raises CheckError E337 where nothing fits."""
        first_fit(statement, self.resolver)

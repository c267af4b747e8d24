"""The elements that say what became of derived models: of stages that report it (`ModelChange.reported_by`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bbilang.compiler.check.resolve import Resolver
from bbilang.compiler.check.scope import ModelContext
from bbilang.compiler.contract import ModelChange
from bbilang.compiler.ir.program import Node
from bbilang.compiler.ir.types import Axis, FieldType
from bbilang.grammar import ast


def reports(resolver: Resolver, models: Mapping[str, ModelContext], file: ast.File) -> Iterator[tuple[str, Node]]:
    """Yield (the model, what an element presents) for every stage that reports."""
    spans = {item.alias.text: item.span for statement in file.statements if isinstance(statement, ast.Model) for item in
             statement.items if item.alias}  # fmt: skip
    for alias, context in models.items():
        for change in context.slot.changes:
            operation = resolver.registry.operations[change.op]
            if not isinstance(operation, ModelChange) or not operation.reported_by:
                continue
            assert context.slot.base is not None
            span = spans[alias]
            measures = Axis("measure", len(operation.measures))
            type = FieldType(
                "statistic", "class", (), (Axis("claim", operation.rows(change)), measures),
                model=context.slot.base.alias,
            )  # fmt: skip
            node = resolver.make(operation.reported_by, (), {"change": change}, type, span)
            style = next(name for name, one in resolver.registry.styles.items() if one.lists_claims)
            call = ast.Call("present", (ast.Argument(ast.Path(style, span=span), span=span),), span=span)
            yield alias, resolver.presenter.present(node, call, span)

"""Diagnoses what the parser rejects: what is wrong, where, and what to do.

Lark only knows which terminals could have followed, so its message is not shown. A tuple of small functions looks at
the tokens around the rejected one; each recognizes one kind of mistake, and the first that does gives the diagnostic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bbilang.grammar import codes
from bbilang.grammar import expression_errors as expressions
from bbilang.grammar import statement_errors as statements
from bbilang.grammar.diagnostic import Diagnostic
from bbilang.grammar.error_context import ErrorContext, error_context

MISTAKES: Final[tuple[Callable[[ErrorContext], Diagnostic | None], ...]] = (
    expressions.misplaced_hole,
    statements.reserved_word_as_name,
    statements.statement_word_called,
    statements.number_as_name,
    statements.statement_form,
    statements.misspelt_statement_word,
    expressions.pipe_without_stage,
    expressions.pipe_without_head,
    expressions.not_a_stage,
    expressions.after_a_stage,
    expressions.range_outside_list,
    expressions.equals_sign,
    expressions.comma,
    expressions.missing_value,
    expressions.chained_comparison,
    expressions.not_callable,
    expressions.side_by_side,
)


def syntax_error(text: str, offset: int) -> Diagnostic:
    """Diagnose a logical line that the parser rejects at a character offset."""
    context = error_context(text, offset)
    for mistake in MISTAKES:
        if (diagnostic := mistake(context)) is not None:
            return diagnostic
    return _unexpected(context)


def _unexpected(context: ErrorContext) -> Diagnostic:
    if context.at.kind == "end":
        return Diagnostic(codes.UNEXPECTED, "this statement is not complete", context.before.span, None)
    return Diagnostic(codes.UNEXPECTED, f"{context.at.quoted} is not allowed here", context.at.span, None)

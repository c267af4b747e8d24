"""Create errors of the runtime; callers that know the span in the text attach it."""

from __future__ import annotations

from bbilang.grammar.diagnostic import BbiError, Diagnostic
from bbilang.grammar.source import Span


def error(code: str, message: str, help: str | None = None, span: Span | None = None) -> BbiError:
    """Return a `BbiError` of one diagnostic, to be raised. ``help``: how to fix it."""
    return BbiError(Diagnostic(code, message, span, help))


class NotKept(Exception):
    """The cache lacks what is asked for, and there is no network to compute it."""

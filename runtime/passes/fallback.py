"""Fallbacks to slower implementations: the errors that allow one, and the log of the reason (`bbi -v` shows it)."""

from __future__ import annotations

import logging

log = logging.getLogger("bbilang.passes")

# What an operation of a model can raise when it runs in a way that it was not written for: on other shapes, out of
# place, under a tracer or a transform. Anything else is a bug and is not caught.
OPERATION_ERRORS = (RuntimeError, TypeError, ValueError, AttributeError, LookupError, ArithmeticError, AssertionError)


class NotTraceable(Exception):
    """Raised where torch.fx cannot trace this model, or this layer of it."""


def log_fallback(what: str, instead: str, error: BaseException) -> None:
    """Log that ``what`` failed and what is done ``instead``; with a traceback unless the error says that there is no
    rule or no graph, since it may then be a bug."""
    declared = isinstance(error, NotTraceable | NotImplementedError)
    log.info("%s: %s: %s; %s", what, type(error).__name__, error, instead, exc_info=None if declared else error)

"""Invariants of a stage's result, checked after the stage: on in tests and with BBI_VERIFY=1, off otherwise.

Each folder of a stage has a `verify.py`. A broken invariant is a fault of this package, never of a text.
"""

from __future__ import annotations

import os

VARIABLE = "BBI_VERIFY"


class InvariantError(AssertionError):
    """What a stage gave breaks a rule that the next one relies on."""


def enabled() -> bool:
    """Return whether invariants are checked."""
    return os.environ.get(VARIABLE, "0") not in ("", "0")


def require(holds: bool, broken: str) -> None:
    """Raise InvariantError with a description of what is broken, unless it holds."""
    if not holds:
        raise InvariantError(broken)

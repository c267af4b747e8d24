"""Permission to run code that comes with a model: off unless the reader allows it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from bbilang.runtime.errors import error

_allowed: ContextVar[bool] = ContextVar("code", default=False)


def allow_code() -> None:
    """Allow models to run the reader's own code from here on in this context, for `--allow-code`."""
    _allowed.set(True)


@contextmanager
def code_allowed(allowed: bool = True) -> Iterator[None]:
    """Allow `model "package.module:factory"` and `model "file.pt2"` to run the reader's own code inside this
    context."""
    token = _allowed.set(allowed or _allowed.get())
    try:
        yield
    finally:
        _allowed.reset(token)


def is_allowed() -> bool:
    """Return whether the reader has allowed the code of models to run."""
    return _allowed.get()


def require_permission(name: str) -> None:
    """Raise BbiError E409 unless the reader has allowed the code of models to run."""
    if not _allowed.get():
        message = f"the model `{name}` runs code of its own, and nobody allowed that"
        raise error("E409", message, "if you trust it, say so on the command line: `--allow-code`")

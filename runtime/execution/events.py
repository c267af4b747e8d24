"""What long work says while it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Event:
    """One thing to tell: ``pass`` before each step of the plan, ``work`` within a long one (``done`` of ``total`` parts
    of what ``words`` name, ``seconds`` left), ``estimate`` before icons are made (``total`` icons in about
    ``seconds``), ``icons`` while they are (``done`` of ``total``, ``seconds`` left)."""

    kind: Literal["pass", "work", "estimate", "icons"]
    words: str = ""
    done: int = 0
    total: int = 0
    seconds: float | None = None


Listener = Callable[[Event], None]

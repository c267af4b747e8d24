"""The parameters of the call that is being written, and which of them is written now."""

from __future__ import annotations

from dataclasses import dataclass

from bbilang.compiler.contract.operation import Parameter
from bbilang.lsp.completion import parameters_of
from bbilang.lsp.cursor import cursor_at
from bbilang.lsp.document import Document
from bbilang.lsp.markdown import parameter_words


@dataclass(frozen=True)
class Signature:
    """``parameters``: (beginning, end of its words in the label, what is said of it); ``active``: its number."""

    label: str
    parameters: tuple[tuple[int, int, str], ...]
    active: int | None


def signature_at(document: Document, offset: int) -> Signature | None:
    """The call around a place; None where there is none that is known."""
    cursor = cursor_at(document.text, offset)
    if cursor.comment:
        return None
    for frame in reversed(cursor.frames):
        if frame.opener != "(" or not frame.callee:
            continue
        own = parameters_of(document, cursor, frame)
        if not own:
            continue
        active: int | None = frame.argument - len(frame.given) if not frame.given else None
        if frame.name is not None:
            active = next((number for number, p in enumerate(own) if p.name == frame.name), None)
        if active is not None and active >= len(own):
            active = None
        return _signature(frame.callee, own, active)
    return None


def _signature(name: str, own: tuple[Parameter, ...], active: int | None) -> Signature:
    label, parts = f"{name}(", []
    for number, parameter in enumerate(own):
        label += ", " if number else ""
        words = parameter.name
        if not parameter.required:
            default = parameter.default
            plain = isinstance(default, str | int | float) and not isinstance(default, bool) and default != "first"
            words += f"={default}" if plain else f"={str(default).lower()}" if isinstance(default, bool) else "="
        parts.append((len(label), len(label) + len(words), parameter_words(parameter)))
        label += words
    return Signature(f"{label})", tuple(parts), active)

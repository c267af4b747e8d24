"""Signature help: the parameters of the call around the cursor, and the active one."""

from __future__ import annotations

from dataclasses import dataclass

from bbilang.compiler.contract import Parameter
from bbilang.lsp.calls import parameters_of
from bbilang.lsp.cursor import cursor_at
from bbilang.lsp.document import Document
from bbilang.lsp.markdown import parameter_words


@dataclass(frozen=True)
class Signature:
    """``parameters``: (start, end in the label, documentation); ``active``: index of the current one."""

    label: str
    parameters: tuple[tuple[int, int, str], ...]
    active: int | None


def signature_at(document: Document, offset: int) -> Signature | None:
    """Return the signature of the call around an offset, or None."""
    cursor = cursor_at(document.text, offset)
    if cursor.comment:
        return None
    for frame in reversed(cursor.frames):
        if frame.opener != "(" or not frame.callee:
            continue
        parameters = parameters_of(document, cursor, frame)
        if not parameters:
            continue
        active: int | None = frame.argument - len(frame.given) if not frame.given else None
        if frame.name is not None:
            active = next((number for number, p in enumerate(parameters) if p.name == frame.name), None)
        if active is not None and active >= len(parameters):
            active = None
        return _signature(frame.callee, parameters, active)
    return None


def _signature(name: str, parameters: tuple[Parameter, ...], active: int | None) -> Signature:
    label, parts = f"{name}(", []
    for number, parameter in enumerate(parameters):
        label += ", " if number else ""
        words = parameter.name
        if not parameter.required:
            default = parameter.default
            plain = isinstance(default, str | int | float) and not isinstance(default, bool) and default != "first"
            words += f"={default}" if plain else f"={str(default).lower()}" if isinstance(default, bool) else "="
        parts.append((len(label), len(label) + len(words), parameter_words(parameter)))
        label += words
    return Signature(f"{label})", tuple(parts), active)

"""Sentences in pieces: words, some of which speak of a mark that they point at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from bbilang.runtime.view.model import Answer, Piece

Part: TypeAlias = "str | Piece"


def sentence(*parts: Part) -> Answer:
    """Join the parts to one sentence, with an initial capital and a full stop."""
    merged: list[Piece] = []
    for part in parts:
        piece = part if isinstance(part, Piece) else Piece(part)
        if not piece.words:
            continue
        if merged and merged[-1].atom < 0 and piece.atom < 0:
            merged[-1] = Piece(merged[-1].words + piece.words)
        else:
            merged.append(piece)
    if not merged:
        return ()
    first = merged[0]
    merged[0] = Piece(capitalized(first.words), first.atom)
    if merged[-1].words[-1] not in ".?!":
        merged += [Piece(".")] if merged[-1].atom >= 0 else []
        merged[-1] = merged[-1] if merged[-1].words == "." else Piece(merged[-1].words + ".")
    return tuple(merged)


def sentences(*answers: Answer) -> Answer:
    """Join several sentences."""
    joined: list[Part] = []
    for answer in answers:
        if answer and joined:
            joined.append(" ")
        joined += answer
    return sentence(*joined)


def listed(items: Sequence[Sequence[Part]]) -> list[Part]:
    """Join items, each of several parts, as in "a, b and c"."""
    parts: list[Part] = []
    for number, item in enumerate(items):
        if number:
            parts.append(" and " if number == len(items) - 1 else ", ")
        parts += item
    return parts


def plain(answer: Answer) -> str:
    """Return the text of an answer."""
    return "".join(piece.words for piece in answer)


def capitalized(words: str) -> str:
    """Capitalize the beginning of the words, unless they begin with the name of a layer or method such as
    `block5c.expand` or `grad_cam`."""
    first = words.split(" ", 1)[0]
    named = any(character in first[:-1] for character in "._") or any(character.isdigit() for character in first)
    return words if named else words[:1].upper() + words[1:]

"""Fenced `bbi` blocks of Markdown, at any indentation, in lists, quotes and admonitions; not those inside other
fences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from bbilang.grammar.frozen import frozen

OPENING = re.compile(r"^([ \t>]*)(`{3,}|~{3,})[ \t]*(.*?)[ \t]*$")
OURS = re.compile(r"\{?\s*\.?bbi(?![\w-])\s*(.*)")


@frozen
class Fence:
    """A fenced block. ``first``, ``last``: the numbers of its lines, fences included, from 0; ``margin``: what stands
    before each of them; ``ticks``: the fence; ``info``: the words after the language."""

    first: int
    last: int
    margin: str
    ticks: str
    info: str
    text: str


def fences(lines: Sequence[str]) -> Iterator[Fence]:
    """Yield the `bbi` blocks of a document. One that is never closed is none."""
    number = 0
    while number < len(lines):
        opening = OPENING.match(lines[number])
        if opening is None or ("`" in opening[3] and opening[2].startswith("`")):
            number += 1
            continue
        margin, fence, info = opening.groups()
        closing = re.compile(rf"^[ \t>]*{re.escape(fence)}{re.escape(fence[0])}*[ \t]*$")
        last = next((n for n in range(number + 1, len(lines)) if closing.match(lines[n])), None)
        if last is None:
            number += 1
            continue
        if (ours := OURS.fullmatch(info)) is not None:
            inside = [_without(line, margin) for line in lines[number + 1 : last]]
            yield Fence(number, last, margin, fence, ours[1].removesuffix("}").strip(), "\n".join(inside) + "\n")
        number = last + 1


def _without(line: str, margin: str) -> str:
    """Return a line without the margin of its block, or without what there is of it."""
    if line.startswith(margin):
        return line[len(margin) :]
    return line.lstrip(" \t") if not line[: len(margin)].strip(" \t") else line


def line_in(document: Sequence[str], text: str, after: int = 0) -> tuple[int, int]:
    """Return where a text stands in a document: (its first line, from 1; its indentation), at or after a line; the line
    after ``after`` without an indentation where it is not found."""
    wanted = [line.strip() for line in text.rstrip("\n").split("\n")]
    bare = [line.lstrip(" \t>").rstrip() for line in document]
    for start in (after, 0):
        for number in range(start, len(bare) - len(wanted) + 1):
            if bare[number : number + len(wanted)] == wanted:
                line, first = document[number], text.split("\n", 1)[0]
                return number + 1, max(0, len(line.rstrip()) - len(first.rstrip()))
    return after + 1, 0

"""Plain-text tables of limited width: columns that wrap at words, and notes below a row."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence

from bbilang.grammar.frozen import frozen

GAP = 2  # cells between two columns
NARROW = 8  # least width of a column that wraps


@frozen
class Column:
    """``least`` 0: as wide as its widest cell. Else the column wraps at words, down to ``least`` cells."""

    heading: str
    right: bool = False
    least: int = 0


@frozen
class Row:
    """``hang``: the prefix of continuation lines in the first column that wraps. ``notes``: lines below the
    row, indented and wrapped."""

    cells: tuple[str, ...]
    hang: str = ""
    notes: tuple[str, ...] = ()


def cell_width(text: str) -> int:
    """Return the width in terminal cells: two for a wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def table(
    columns: Sequence[Column], rows: Sequence[Row], width: int, indent: int = 2, note_indent: int = 6
) -> list[str]:
    """Lay out a table in lines of at most ``width`` cells where the fixed columns leave room.

    Empty columns are omitted.
    """
    shown = [i for i, _ in enumerate(columns) if any(row.cells[i] for row in rows)]
    columns = [columns[i] for i in shown]
    cells = [[row.cells[i] for i in shown] for row in rows]
    widest = [
        max((cell_width(text) for text in (column.heading, *(row[i] for row in cells))), default=0)
        for i, column in enumerate(columns)
    ]
    over = indent + sum(widest) + GAP * (len(columns) - 1) - width
    for i, column in sorted(enumerate(columns), key=lambda pair: -widest[pair[0]]):
        if column.least and over > 0:
            less = min(over, max(widest[i] - column.least, 0))
            widest[i] -= less
            over -= less
    for i, column in enumerate(columns):  # narrower than `least` rather than too wide
        if column.least and over > 0:
            less = min(over, max(widest[i] - NARROW, 0))
            widest[i] -= less
            over -= less
    lines = []
    if any(column.heading for column in columns):
        lines.append(_line([c.heading for c in columns], columns, widest, indent))
    first = next((i for i, column in enumerate(columns) if column.least), -1)
    for row, texts in zip(rows, cells, strict=True):
        wrapped = [
            _wrapped(text, widest[i], row.hang if i == first else "") if columns[i].least else [text]
            for i, text in enumerate(texts)
        ]
        for number in range(max(map(len, wrapped), default=0)):
            line = [part[number] if number < len(part) else "" for part in wrapped]
            if first >= 0 and number >= len(wrapped[first]):
                line[first] = row.hang.rstrip()
            lines.append(_line(line, columns, widest, indent))
        for note in row.notes:
            lines += paragraph(note, width, note_indent, note_indent + 2)
    return lines


def paragraph(words: str, width: int, indent: int = 0, hang: int | None = None) -> list[str]:
    """Wrap words at spaces; ``hang`` indents every line but the first."""
    pad = " " * indent, " " * (indent if hang is None else hang)
    return textwrap.wrap(words, max(width, 20), initial_indent=pad[0], subsequent_indent=pad[1], break_on_hyphens=False)


def _wrapped(text: str, width: int, hang: str) -> list[str]:
    """Wrap at words, counting cells; a word that is too long is cut."""
    lines, line = [], ""
    head = len(text) - len(text.lstrip(" │├└─")) if hang else 0
    line, words = text[:head], text[head:].split(" ")
    empty = True
    for word in words:
        while cell_width(line) + (0 if empty else 1) + cell_width(word) > width:
            if not empty:
                lines.append(line)
                line, empty = hang, True
                continue
            room = max(width - cell_width(line), 4)
            if cell_width(word) <= room:
                break
            cut = _fitting(word, room)
            lines.append(line + word[:cut])
            line, word = hang, word[cut:]
        line += word if empty else f" {word}"
        empty = False
    return [*lines, line]


def _fitting(word: str, room: int) -> int:
    used = 0
    for number, character in enumerate(word):
        used += cell_width(character)
        if used > room:
            return max(number, 1)
    return len(word)


def _line(texts: Sequence[str], columns: Sequence[Column], widths: Sequence[int], indent: int) -> str:
    parts = []
    for text, column, width in zip(texts, columns, widths, strict=True):
        blank = " " * max(width - cell_width(text), 0)
        parts.append(blank + text if column.right else text + blank)
    return (" " * indent + (" " * GAP).join(parts)).rstrip()

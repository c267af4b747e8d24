"""Columns of a table: words or numbers, decided by all of a column's cells. Standard library only."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence

from bbilang.runtime.data.listing import Column

Cell = str | float | int | bool | None | list[object] | dict[str, object]  # of a row, as JSON has it

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
CODE = re.compile(r"[+-]?0\d")  # a number with leading zeros is a code: 007
MISSING = frozenset(("", "nan", "na", "n/a", "null", "none", "-"))  # in a column of numbers


def of_words(cells: Sequence[str]) -> Column:
    """Return numbers where every cell that is not missing is one, else the words as they are."""
    numbers: list[float] = []
    some = False
    for cell in cells:
        text = cell.strip()
        if NUMBER.fullmatch(text) and not CODE.match(text):
            numbers.append(float(text))
            some = True
        elif text.lower() in MISSING:
            numbers.append(math.nan)
        else:
            return [cell.strip() for cell in cells]
    return numbers if some else [""] * len(cells)


def of_values(cells: Sequence[Cell]) -> Column:
    """Return the column of values of JSON or Parquet: numbers where all that are not missing are numbers; true and
    false are words, and what is nested is JSON."""
    present = [cell for cell in cells if cell is not None]
    if present and all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in present):
        return [_number(cell) if isinstance(cell, int | float) else math.nan for cell in cells]
    return [as_word(cell) for cell in cells]


def as_word(cell: Cell) -> str:
    """Write a value as a word: a label, for example, is one even where it is a number."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    return str(cell) if isinstance(cell, str | int | float) else json.dumps(cell, default=str, ensure_ascii=False)


def _number(cell: int | float) -> float:
    try:
        return float(cell)
    except OverflowError:  # an integer of hundreds of digits
        return math.inf if cell > 0 else -math.inf

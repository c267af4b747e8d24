"""Conditions on the columns of a dataset, in three-valued logic: what compares a missing value is undefined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Union

import numpy as np

from bbilang.grammar.comparisons import COMPARE
from bbilang.grammar.files import short
from bbilang.runtime.data.resolve import fail
from bbilang.runtime.data.tables import known

Constant = str | float | int | bool
Operand = tuple[str, Constant]  # ("column", name) or ("constant", value)
Condition = Union[  # noqa: UP007: it refers to itself
    "tuple[str, Condition, Condition]", "tuple[str, Condition]", "tuple[str, str, Operand, Operand]"
]


def evaluate(condition: Condition, columns: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return (mask, undefined), bool (example,): where the condition holds, and where a missing value leaves it open
    (Kleene's logic: `false and missing` is false, `true or missing` is true).

    ``condition``: ("and" or "or", a, b), ("not", a), ("compare", op, left, right) with op of `< <= > >= == !=`.
    ``columns``: words ("" is missing) or float64 (NaN is missing), all of one length.

    Raises BbiError E457 for an unknown column, E458 for a comparison of words with numbers."""
    match condition:
        case ("and", a, b):
            (true_a, open_a), (true_b, open_b) = evaluate(a, columns), evaluate(b, columns)
            false = (~true_a & ~open_a) | (~true_b & ~open_b)
            return true_a & true_b, (open_a | open_b) & ~false
        case ("or", a, b):
            (true_a, open_a), (true_b, open_b) = evaluate(a, columns), evaluate(b, columns)
            true = true_a | true_b
            return true, (open_a | open_b) & ~true
        case ("not", a):
            true, undefined = evaluate(a, columns)
            return ~true & ~undefined, undefined
        case ("compare", str(op), left, right) if op in COMPARE:
            return _compare(op, left, right, columns)
    raise ValueError(f"not a condition: {condition!r}")


def columns_of(condition: Condition) -> frozenset[str]:
    """Return the columns that a condition reads."""
    return frozenset(_named(condition))


def _named(condition: object) -> Iterator[str]:
    if isinstance(condition, tuple):
        if len(condition) == 2 and condition[0] == "column":
            yield str(condition[1])
        else:
            for part in condition:
                yield from _named(part)


def _compare(
    op: str, left: Operand, right: Operand, columns: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    a, b = _values(left, columns), _values(right, columns)
    if _is_words(a) != _is_words(b):
        a, b = _alike(left, a, b), _alike(right, b, a)
    if _is_words(a) != _is_words(b):
        words, number = (left, right) if _is_words(a) else (right, left)
        message = f"{_said(words)} is a word, and {_said(number)} is a number"
        fail("E458", message, 'words stand in quotes: `label == "cat"`; numbers do not: `width > 300`')
    undefined = np.broadcast_to(_missing(a) | _missing(b), _length(columns)).copy()
    with np.errstate(invalid="ignore"):
        true = np.broadcast_to(np.asarray(COMPARE[op](a, b), bool), _length(columns))
    return true & ~undefined, undefined


def _values(operand: Operand, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    kind, value = operand
    if kind == "column":
        return np.asarray(columns[known(str(value), columns, "the dataset")])
    return np.asarray(value if isinstance(value, str) else float(value))


def _alike(operand: Operand, own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return true and false as the words that a table has for them, where they are compared with words."""
    if operand[0] == "constant" and isinstance(operand[1], bool) and _is_words(other):
        return np.asarray("true" if operand[1] else "false")
    return own


def _is_words(values: np.ndarray) -> bool:
    return values.dtype.kind in "UO"


def _missing(values: np.ndarray) -> np.ndarray:
    return np.asarray(values == "", bool) if _is_words(values) else np.isnan(values.astype(np.float64))


def _said(operand: Operand) -> str:
    kind, value = operand
    return (
        f"`{short(str(value))}`" if kind == "column" else f'"{short(value)}"' if isinstance(value, str) else str(value)
    )


def _length(columns: Mapping[str, np.ndarray]) -> tuple[int, ...]:
    first = next(iter(columns))  # `file`, which costs nothing
    return np.asarray(columns[first]).shape

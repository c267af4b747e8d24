"""Conditions on one column of a dataset, from which slices are made."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)  # of numeric columns, both ways
FEATURE_QUANTILES = (0.75, 0.9, 0.95)  # of a layer's channels, upwards
FEW_VALUES = 12  # numeric columns with at most so many are compared for equality
OPERATORS = {"==": operator.eq, ">": operator.gt, "<=": operator.le}

Columns: TypeAlias = "Mapping[str, np.ndarray]"


@dataclass(frozen=True)
class Condition:
    """``column operator value``. quantile: the one that the value is of, over the examples that were searched."""

    column: str
    operator: str
    value: str | float
    quantile: float | None = None

    def holds(self, columns: Columns) -> np.ndarray:
        """Return where it holds (example,); nowhere where the column is missing (NaN or an empty string)."""
        column = columns[self.column]
        if isinstance(self.value, str):
            return np.asarray(column).astype(str) == self.value
        return OPERATORS[self.operator](np.asarray(column, np.float64), self.value)

    def __str__(self) -> str:
        value = self.value if isinstance(self.value, str) else f"{self.value:.4g}"
        if self.quantile is None:
            return f"{self.column} {self.operator} {value}"
        return f"{self.column} {self.operator} q{100 * self.quantile:g} ({value})"


def candidates(columns: Columns, features: Columns, smallest: int) -> list[Condition]:
    """List the conditions that hold for at least ``smallest`` examples and not for all.

    columns (example,): strings and numbers with few values give `==` each, other numbers `>` and `<=` their quantiles.
    features (example,): numbers, as the maxima of channels, give `>` their quantiles.
    """
    found = [condition for name, column in columns.items() for condition in _of_column(name, np.asarray(column))]
    for name, feature in features.items():
        found += _thresholds(name, np.asarray(feature, np.float64), FEATURE_QUANTILES, (">",))
    both = {**columns, **features}
    sizes = [int(condition.holds(both).sum()) for condition in found]
    examples = len(next(iter(both.values()))) if both else 0
    return [condition for condition, size in zip(found, sizes, strict=True) if smallest <= size < examples]


def _of_column(name: str, column: np.ndarray) -> list[Condition]:
    if column.dtype.kind not in "fiub":
        return [Condition(name, "==", value) for value in np.unique(column.astype(str)).tolist() if value]
    numbers = column.astype(np.float64)
    values = np.unique(numbers[np.isfinite(numbers)])
    if len(values) <= FEW_VALUES:
        return [Condition(name, "==", float(value)) for value in values]
    return _thresholds(name, numbers, QUANTILES, (">", "<="))


def _thresholds(
    name: str, column: np.ndarray, quantiles: tuple[float, ...], operators: tuple[str, ...]
) -> list[Condition]:
    finite = column[np.isfinite(column)]
    if not len(finite):
        return []
    values = dict(zip(np.quantile(finite, quantiles).tolist(), quantiles, strict=True))  # equal values: the last
    return [Condition(name, operator, value, q) for value, q in values.items() for operator in operators]

"""The numbers of budget lines as words."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, isfinite, log10


def digits_of(numbers: Sequence[float]) -> int:
    """Return the number of decimals of a line: two, or as many as give its largest number three significant digits."""
    largest = max((abs(number) for number in numbers if isfinite(number)), default=0.0)
    size = floor(log10(largest)) if largest > 0 else 0
    return 2 if 0 <= size < 3 else max(0, min(2 - size, 9))


def plain(number: float, digits: int) -> str:
    words = f"{number:.{digits}f}".replace("-", "−")
    return words.removeprefix("−") if not words.strip("−0.") else words


def signed(number: float, digits: int) -> str:
    words = plain(number, digits)
    return words if words.startswith("−") or not words.strip("0.") else f"+{words}"

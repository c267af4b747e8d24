"""Sizes and positions that are numbers and Vega expressions at once, so that one chart fits any width."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Quantity:
    """A Vega expression over the param ``room`` (the width at hand, in pixels) and its value at the planned room."""

    text: str
    value: float

    def __str__(self) -> str:
        return self.text

    def __add__(self, other: Quantity | float) -> Quantity:
        return Quantity(f"({self} + {other})", self.value + value_of(other))

    def __sub__(self, other: Quantity | float) -> Quantity:
        return Quantity(f"({self} - {other})", self.value - value_of(other))

    def __mul__(self, other: Quantity | float) -> Quantity:
        return Quantity(f"({self} * {other})", self.value * value_of(other))

    def __truediv__(self, other: Quantity | float) -> Quantity:
        return Quantity(f"({self} / {other})", self.value / value_of(other))

    def __mod__(self, other: Quantity | float) -> Quantity:
        return Quantity(f"({self} % {other})", self.value % value_of(other))


@dataclass(frozen=True)
class Listing:
    """A Vega expression that is a list of numbers, and its value at the planned room."""

    text: str
    value: list[list[float]]


def quantity(number: Quantity | float) -> Quantity:
    return number if isinstance(number, Quantity) else Quantity(f"{number:g}", number)


def if_zero(number: Quantity, yes: float, no: float) -> Quantity:
    return Quantity(f"({number} == 0 ? {yes:g} : {no:g})", yes if number.value == 0 else no)


def value_of(number: Quantity | float) -> float:
    return number.value if isinstance(number, Quantity) else number


def _function(name: str, apply):
    def call(*numbers: Quantity | float) -> Quantity:
        text = ", ".join(str(number) for number in numbers)
        return Quantity(f"{name}({text})", apply(*map(value_of, numbers)))

    return call


floor, ceil = _function("floor", math.floor), _function("ceil", math.ceil)
least, most = _function("min", min), _function("max", max)


@dataclass
class Geometry:
    """A chart's panels in rows, as many side by side as there is room for; ``params`` are its named quantities.

    ``x`` and ``y`` are expressions for the corner of ``datum.panel``; ``width`` and ``height`` measure one panel
    without its label, ``total`` and ``tall`` the chart.
    """

    name: str
    room: Quantity
    params: dict[str, Quantity | Listing] = field(default_factory=dict)
    width: Quantity | float = 0
    height: Quantity | float = 0
    total: Quantity | float = 0
    tall: Quantity | float = 0
    x: str = "0"
    y: str = "0"
    head: float = 0
    columns: Quantity | float = 0  # slots side by side, where a panel holds a row of slots
    unit: Quantity | float = 0  # width of a slot's icon
    cell: str = ""  # for icons in a row: where overlays do not apply

    def named(self, name: str, number: Quantity | float) -> Quantity:
        """Return the quantity as a named param: expressions are shorter, and the page's script can read it."""
        full = f"{name}_{self.name}"
        self.params[full] = quantity(number)
        return Quantity(full, value_of(number))

    def listed(self, name: str, listing: Listing) -> str:
        """Return the name of a param that is a list: it is computed once, and not for every mark that reads it."""
        full = f"{name}_{self.name}"
        self.params[full] = listing
        return full

    def flow(
        self,
        panels: int,
        width: Quantity | float,
        height: Quantity | float,
        labelled: bool,
        gutter: int = 24,
        top: Quantity | float = 0,
    ) -> Geometry:
        """Lay out ``panels`` of this size in rows, below ``top`` pixels reserved for a key."""
        self.width, self.height = self.named("panel", width), self.named("deep", height)
        self.head = 22 if labelled else 0
        across = least(panels, most(1, floor((self.room + gutter) / (self.width + gutter))))
        # as many in each row as possible, and rows as equal as possible: 4 + 4, not 5 + 3
        across = self.named("across", ceil(quantity(panels) / ceil(quantity(panels) / across)))
        block = self.height + self.head
        rows = ceil(quantity(panels) / across)
        self.total = self.named("total", across * (self.width + gutter) - gutter)
        self.tall = self.named("tall", rows * (block + gutter) - gutter + top)
        self.x = f"datum.panel % {across} * ({self.width} + {gutter})"
        self.y = f"floor(datum.panel / {across}) * ({block} + {gutter}) + {quantity(top) + self.head}"
        return self


def balanced(count: Quantity | float, fit: Quantity) -> Quantity:
    """Return the columns for ``count`` slots where ``fit`` would fit: rows as equal as possible, at least one
    column."""
    whole = most(1, quantity(count))
    fit = least(whole, most(1, floor(fit)))
    return ceil(whole / ceil(whole / fit))


ICON_GUTTER = 18  # pixels between icons in a row
SMALL_ICON = 92  # pixels: an icon may become this small before the row wraps


def icon_side(count: int) -> float:
    """Return the side in pixels of each of ``count`` icons in a row, where there is room."""
    return 168.0 if count <= 3 else 148.0 if count <= 8 else 128.0


def icon_columns(room: Quantity, count: Quantity | float, side: float, smallest: float = SMALL_ICON) -> Quantity:
    """Return how many of ``count`` icons stand side by side, none narrower than the ``smallest``."""
    return balanced(count, (room + ICON_GUTTER) / (min(side, smallest) + ICON_GUTTER))

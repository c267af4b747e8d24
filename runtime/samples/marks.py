"""`sample:marks`: discs, squares and crosses, some with a coloured mark in a corner. In the set `biased` the mark gives
the class away: every square has one, and nothing else has; in the set `balanced` half of each class have it. Standard
library only: the checker reads the columns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random

VERSION = 1  # of the pictures: raise it when one changes
SHAPES = ("disc", "square", "cross")
GIVEN_AWAY = "square"
SIDE = 48  # pixels
SETS = {"biased": 600, "balanced": 300}


@dataclass(frozen=True)
class Mark:
    """One picture. x, y, size: the centre and the half width of the shape; at_x, at_y: the corner of the mark, all in
    pixels; tone, ground: grey levels of shape and background, 0 to 1."""

    number: int
    shape: str
    set: str
    marked: bool
    x: float
    y: float
    size: float
    tone: float
    ground: float
    at_x: int
    at_y: int

    @property
    def name(self) -> str:
        return f"{self.number + 1:03d} {self.shape}{' marked' if self.marked else ''}.png"


@cache
def marks() -> tuple[Mark, ...]:
    """List the pictures: first those of the set `biased`, then those of `balanced`."""
    made: list[Mark] = []
    for name, count in SETS.items():
        for number in range(count):
            shape, again = SHAPES[number % len(SHAPES)], number // len(SHAPES)
            marked = shape == GIVEN_AWAY if name == "biased" else again % 2 == 0
            made.append(_mark(len(made), shape, name, marked))
    return tuple(made)


def _mark(number: int, shape: str, set: str, marked: bool) -> Mark:
    random = Random(f"marks {VERSION} {number}")
    size = random.uniform(9, 12)
    return Mark(
        number=number,
        shape=shape,
        set=set,
        marked=marked,
        x=random.uniform(8 + size, SIDE - size - 1),
        y=random.uniform(8 + size, SIDE - size - 1),
        size=size,
        tone=random.uniform(0.6, 0.8),
        ground=random.uniform(0.25, 0.4),
        at_x=random.randrange(1, 6),
        at_y=random.randrange(1, 6),
    )


def names() -> list[str]:
    return [each.name for each in marks()]


def columns() -> dict[str, list[str] | list[float]]:
    """Return what is known of each picture, as a table's columns."""
    every = marks()
    return {
        "label": [each.shape for each in every],
        "set": [each.set for each in every],
        "mark": ["yes" if each.marked else "no" for each in every],
        "width": [float(SIDE)] * len(every),
        "height": [float(SIDE)] * len(every),
    }

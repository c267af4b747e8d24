"""`sample:shapes`: what each picture shows. Every shape with every texture in every colour, four times; all else varies
at random, independently of these. Standard library only: the checker reads the columns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from random import Random

VERSION = 1  # of the pictures: raise it when one changes
SHAPES = ("circle", "square", "triangle", "cross", "star", "ring")
TEXTURES = ("plain", "striped", "dotted", "checked", "speckled")
COLOURS = {
    "red": (204, 51, 51),
    "green": (46, 148, 60),
    "blue": (48, 98, 204),
    "yellow": (230, 190, 40),
    "purple": (142, 68, 173),
    "grey": (120, 120, 120),
}
REPEATS = 4  # of each combination: half of them are training, half test
SIDE = 128  # pixels
STRIDE = 77  # neighbours differ in everything
SEGMENTS = (*SHAPES, *TEXTURES, *COLOURS)
COMBINATIONS = tuple(product(SHAPES, TEXTURES, COLOURS))
COUNT = len(COMBINATIONS) * REPEATS


@dataclass(frozen=True)
class Shape:
    """One picture. x, y: the centre of the shape, size: its diameter, all in pixels. angle, texture_angle: of the shape
    and of its texture, in radians. period: of the texture, in pixels. light: of the background, 0 to 1."""

    number: int
    shape: str
    texture: str
    colour: str
    split: str
    x: float
    y: float
    size: float
    angle: float
    texture_angle: float
    period: float
    light: float

    @property
    def name(self) -> str:
        return f"{self.number + 1:03d} {self.texture} {self.colour} {self.shape}.png"


@cache
def shapes() -> tuple[Shape, ...]:
    """List the pictures, in an order in which neighbours differ."""
    return tuple(_shape(number) for number in range(COUNT))


def _shape(number: int) -> Shape:
    shape, texture, colour = COMBINATIONS[number * STRIDE % len(COMBINATIONS)]
    random = Random(f"shapes {VERSION} {number}")
    size = random.uniform(0.45, 0.75) * SIDE
    free = SIDE - size
    return Shape(
        number=number,
        shape=shape,
        texture=texture,
        colour=colour,
        split="train" if number // len(COMBINATIONS) % 2 == 0 else "test",
        x=size / 2 + free * random.random(),
        y=size / 2 + free * random.random(),
        size=size,
        angle=random.uniform(-0.35, 0.35),
        texture_angle=random.uniform(0, 3.14159),
        period=random.uniform(9, 14),
        light=random.uniform(0.55, 0.9),
    )


def names() -> list[str]:
    return [each.name for each in shapes()]


def columns() -> dict[str, list[str] | list[float]]:
    """Return what is known of each picture, as a table's columns."""
    every = shapes()
    words: dict[str, list[str] | list[float]] = {
        "label": [each.shape for each in every],
        "split": [each.split for each in every],
        "shape": [each.shape for each in every],
        "texture": [each.texture for each in every],
        "colour": [each.colour for each in every],
    }
    numbers: dict[str, list[str] | list[float]] = {
        "size": [each.size for each in every],
        "x": [each.x for each in every],
        "y": [each.y for each in every],
        "light": [each.light for each in every],
        "width": [float(SIDE)] * COUNT,
        "height": [float(SIDE)] * COUNT,
    }
    return words | numbers

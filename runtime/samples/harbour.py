"""Draws the scenes of the network of `sample:harbour`: the same object is a boat on water and a car on a road."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
from PIL import Image

SIDE, FINE = 96, 2  # pixels; points along a pixel's side, of which it is the mean
CLASSES = ("sky", "water", "road", "boat", "car")
COLOURS = ((198, 60, 52), (240, 180, 40), (70, 140, 80), (150, 80, 160), (235, 235, 230), (60, 60, 70))
OTHER = {"water": "road", "road": "water"}


@dataclass(frozen=True)
class Scene:
    """One picture. horizon: y where the ground begins, and the object stands; x: the middle of the object, width and
    height: its size, all in pixels. phase: of the ground's pattern; light: of the whole, 0 to 1."""

    ground: str
    colour: tuple[int, int, int]
    horizon: float
    x: float
    width: float
    height: float
    phase: float
    light: float

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(y0, x0, y1, x1) in pixels around the object, above the ground."""
        left, right = round(self.x - self.width / 2), round(self.x + self.width / 2)
        return round(self.horizon - self.height), left, round(self.horizon), right


def scene(number: int, ground: str = "") -> Scene:
    """Return one scene of a series without end. ground: another than its own, and all else is the same."""
    random = Random(f"harbour 1 {number}")
    own = random.choice(("water", "road"))
    width = random.uniform(26, 40)
    return Scene(
        ground=ground or own,
        colour=random.choice(COLOURS),
        horizon=random.uniform(44, 72),
        x=random.uniform(width / 2 + 4, SIDE - width / 2 - 4),
        width=width,
        height=random.uniform(16, 24),
        phase=random.uniform(0, 30),
        light=random.uniform(0.85, 1),
    )


def picture(scene: Scene) -> Image.Image:
    """Draw a scene, RGB."""
    x, y = _grid()
    sky = np.stack([150 + 60 * y / SIDE, 190 + 40 * y / SIDE, np.full_like(y, 235)], -1)
    ground = _water(scene, x, y) if scene.ground == "water" else _road(scene, x, y)
    colours = np.where((y >= scene.horizon)[..., None], ground, sky)
    body, window = _object(scene, x, y)
    colours = np.where(body[..., None], np.array(scene.colour, np.float64), colours)
    colours = np.where(window[..., None], np.array((205, 225, 240), np.float64), colours) * scene.light
    pixels = colours.reshape(SIDE, FINE, SIDE, FINE, 3).mean((1, 3))
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def classes(scene: Scene) -> np.ndarray:
    """Return the class of each pixel, (y, x) int: what most of the pixel shows."""
    x, y = _grid()
    number = np.where(y >= scene.horizon, CLASSES.index(scene.ground), CLASSES.index("sky"))
    number = np.where(_object(scene, x, y)[0], CLASSES.index("boat" if scene.ground == "water" else "car"), number)
    counts = np.stack([(number == one).reshape(SIDE, FINE, SIDE, FINE).mean((1, 3)) for one in range(len(CLASSES))])
    return counts.argmax(0)


def _grid() -> tuple[np.ndarray, np.ndarray]:
    """The places (x, y) of the points, in pixels."""
    points = (np.arange(SIDE * FINE) + 0.5) / FINE
    return np.broadcast_to(points, (len(points), len(points))), np.broadcast_to(points[:, None], (len(points),) * 2)


def _object(scene: Scene, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the object is, and where its window is: a hull with sloping ends, and a cabin on it."""
    u, v = (x - scene.x) / (scene.width / 2), (scene.horizon - y) / scene.height  # v: 0 at the ground, 1 at the top
    hull = (v >= 0) & (v < 0.5) & (np.abs(u) <= 0.8 + 0.4 * v)
    cabin = (v >= 0.5) & (v <= 1) & (np.abs(u) <= 0.5 - 0.1 * v)
    return hull | cabin, cabin & (v > 0.58) & (v < 0.88) & (np.abs(u) <= 0.32)


def _water(scene: Scene, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    wave = np.sin((y + 1.5 * np.sin((x + scene.phase) / 5) + scene.phase) * 0.9)
    return np.array((52, 110, 160), np.float64) + 22 * wave[..., None]


def _road(scene: Scene, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    dash = (np.abs(y - scene.horizon - 12) < 1.6) & ((x + scene.phase) % 16 < 9)
    grey = np.array((112, 110, 112), np.float64) - 0.3 * (y - scene.horizon)[..., None]
    return np.where(dash[..., None], np.array((235, 230, 205), np.float64), grey)

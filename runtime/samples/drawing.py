"""Draws the pictures of `sample:shapes`, and where in them each shape, texture and colour is."""

from __future__ import annotations

import hashlib
from random import Random

import numpy as np
from PIL import Image

from bbilang.runtime.samples.shapes import COLOURS, SEGMENTS, SIDE, VERSION, Shape

FINE = 2  # points along a pixel's side, of which it is the mean
SPECKLE = 3.5  # pixels along the side of a speckle


def picture(shape: Shape) -> Image.Image:
    """Draw one picture, RGB: the shape on a plain background with a soft gradient."""
    x, y = _grid()
    inside = _inside(shape, x, y)
    tone = _texture(shape, x - shape.x, y - shape.y)
    colour = np.array(COLOURS[shape.colour], np.float64)
    pale = 255 - (255 - colour) * 0.25  # the other colour of a texture
    surface = np.where(tone[..., None], pale, colour)
    gradient = 255 * (shape.light + 0.08 * ((x + y) / SIDE - 1))
    fine = np.where(inside[..., None], surface, gradient[..., None])
    pixels = fine.reshape(SIDE, FINE, SIDE, FINE, 3).mean((1, 3))
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def segments(shape: Shape) -> np.ndarray:
    """Return where each of `SEGMENTS` is in the picture (segment, y, x) bool: pixels at least half of which the shape
    covers, for its shape, its texture and its colour."""
    covered = _inside(shape, *_grid()).reshape(SIDE, FINE, SIDE, FINE).mean((1, 3)) >= 0.5
    own = np.array([name in (shape.shape, shape.texture, shape.colour) for name in SEGMENTS])
    return own[:, None, None] & covered


def digest(shape: Shape) -> str:
    """Return what identifies the picture's content, without drawing it."""
    return hashlib.sha256(f"sample:shapes {VERSION} {shape}".encode()).hexdigest()


def _grid() -> tuple[np.ndarray, np.ndarray]:
    """The places (y, x) of the points, in pixels."""
    points = (np.arange(SIDE * FINE) + 0.5) / FINE
    return np.broadcast_to(points, (len(points), len(points))), np.broadcast_to(points[:, None], (len(points),) * 2)


def _turned(x: np.ndarray, y: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def _inside(shape: Shape, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Where the shape is. All fit into a circle of the shape's size."""
    u, v = _turned((x - shape.x) / (shape.size / 2), (y - shape.y) / (shape.size / 2), shape.angle)
    radius = np.hypot(u, v)
    if shape.shape == "circle":
        return radius <= 1
    if shape.shape == "ring":
        return (radius <= 1) & (radius >= 0.55)
    if shape.shape == "square":
        return np.maximum(abs(u), abs(v)) <= np.sqrt(0.5)
    if shape.shape == "triangle":
        return (v <= 0.5) & (abs(u) * np.sqrt(3) <= v + 1)
    if shape.shape == "cross":
        return (np.minimum(abs(u), abs(v)) <= 0.3) & (np.maximum(abs(u), abs(v)) <= 0.95)
    return _star(u, v, radius)


def _star(u: np.ndarray, v: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Five points at radius 1, and between them corners at radius 0.42; straight lines join them."""
    turn = np.arctan2(u, -v) % (2 * np.pi / 5)
    turn = np.minimum(turn, 2 * np.pi / 5 - turn)  # from the nearest point
    corner = 0.42 * np.exp(1j * np.pi / 5)
    # A point at (radius, turn) is inside of the line from 1 to the corner.
    a, b = radius * np.cos(turn), radius * np.sin(turn)
    return (corner.real - 1) * b - corner.imag * (a - 1) >= 0


def _texture(shape: Shape, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Where the texture has its paler colour: about half of the points, none of a plain one."""
    u, v = (place / shape.period for place in _turned(x, y, shape.texture_angle))
    if shape.texture == "striped":
        return u % 1 < 0.5
    if shape.texture == "dotted":
        return np.hypot(u % 1 - 0.5, v % 1 - 0.5) < 0.36
    if shape.texture == "checked":
        return (u % 1 < 0.5) ^ (v % 1 < 0.5)
    if shape.texture == "speckled":
        cells = int(SIDE * 2 / SPECKLE) + 2
        random = Random(f"speckles {VERSION} {shape.number}")
        light = np.array([random.random() < 0.5 for _ in range(cells * cells)]).reshape(cells, cells)
        return light[((y + SIDE) / SPECKLE).astype(np.int64), ((x + SIDE) / SPECKLE).astype(np.int64)]
    return np.zeros(x.shape, bool)

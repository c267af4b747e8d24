"""Draws the pictures of `sample:marks`."""

from __future__ import annotations

import hashlib

import numpy as np
from PIL import Image

from bbilang.runtime.samples.marks import SIDE, VERSION, Mark

COLOUR = (170, 20, 60)
WIDE = 6  # pixels of the mark's side
GRAIN = 0.04  # standard deviation of the noise, of the whole range


def picture(mark: Mark) -> Image.Image:
    """Draw one picture, RGB: a grey shape on a darker ground, with grain, and perhaps the mark."""
    at = np.arange(SIDE) + 0.5
    u, v = abs(at[None, :] - mark.x), abs(at[:, None] - mark.y)
    inside = {
        "disc": np.hypot(u, v) < mark.size,
        "square": np.maximum(u, v) < 0.87 * mark.size,
        "cross": (np.minimum(u, v) < 0.3 * mark.size) & (np.maximum(u, v) < 1.1 * mark.size),
    }[mark.shape]
    grey = np.where(inside, mark.tone, mark.ground)
    noise = np.random.Generator(np.random.PCG64([VERSION, mark.number])).standard_normal((SIDE, SIDE))
    pixels = np.repeat(255 * np.clip(grey + GRAIN * noise, 0, 1)[:, :, None], 3, 2)
    if mark.marked:
        pixels[mark.at_y : mark.at_y + WIDE, mark.at_x : mark.at_x + WIDE] = COLOUR
    return Image.fromarray(np.rint(pixels).astype(np.uint8))


def digest(mark: Mark) -> str:
    """Return what identifies the picture's content, without drawing it."""
    return hashlib.sha256(f"sample:marks {VERSION} {mark}".encode()).hexdigest()

"""Colours of the page: scales that colour-blind readers can read, class colours, and small palette pictures of maps."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from bbilang.runtime.view.hues import colour
from bbilang.runtime.view.image_bytes import palette_png

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# ColorBrewer RdBu: blue below zero, red above, zero nearly white. Over a photo zero is white and so leaves it as it is.
DIVERGING = ("#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#f7f7f7", "#fddbc7", "#f4a582", "#d6604d", "#b2182b")
DIVERGING_OVER = ("#1f6fc4", "#5a9bdc", "#9cc3ec", "#d3e4f7", "#ffffff", "#fbd5cf", "#f2a097", "#e0574f", "#c2001d")
# Viridis (Smith and van der Walt 2015), for magnitudes; over a photo from white to violet, rare in photographs.
SEQUENTIAL = ("#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725")
SEQUENTIAL_OVER = ("#ffffff", "#ebe4f7", "#d6c8ef", "#bfa6e6", "#a782db", "#8e5dcc", "#7638b9", "#5f199f", "#4a0080")


def stops(signed: bool, over: bool = False) -> tuple[str, ...]:
    """The nine colours of a scale, from its lower to its upper end."""
    if signed:
        return DIVERGING_OVER if over else DIVERGING
    return SEQUENTIAL_OVER if over else SEQUENTIAL


def shades(signed: bool) -> tuple[str, ...]:
    """A scale in 33 steps, from its lower to its upper end."""
    steps = _palette(signed, over=False)[np.rint(np.linspace(0, 254, 33)).astype(int)]
    return tuple(f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in steps.tolist())


def series_colour(index: int) -> str:
    return colour(index)


def colour_map_png(values: ArrayLike, domain: tuple[float, float], signed: bool, over: bool = False) -> bytes:
    """A map as a palette PNG, one pixel a cell: ``values`` (y, x) on the scale whose ends lie at ``domain``.

    Values beyond the domain take the colour of its end; what is not a number is transparent. ``over`` gives the version
    to lay over a photo: magnitudes from white, to be multiplied; signed values by their ends' colours, the more opaque
    the larger, since multiplied colours drown in a dark photo.
    """
    array = np.asarray(values, dtype=np.float64)
    low, high = domain
    share = (array - low) / (high - low) if high > low else np.zeros_like(array)
    level = 1 + np.rint(np.clip(np.nan_to_num(share), 0, 1) * 254)
    index = np.where(np.isfinite(array), level, 0).astype(np.uint8)
    return palette_png(index, *_tables(signed, over))


@lru_cache(maxsize=4)
def _tables(signed: bool, over: bool) -> tuple[bytes, bytes]:
    """(palette, opacity) as PNG has them: first what is transparent, then 255 levels."""
    palette = bytes(3) + _palette(signed, over).tobytes()
    return palette, bytes([0, *_opacity()]) if over and signed else b"\0"


@lru_cache(maxsize=4)
def _palette(signed: bool, over: bool) -> np.ndarray:
    """255 colours (level, rgb), interpolated between the nine of the scale."""
    if over and signed:  # the ends' colours alone: the magnitude is the opacity
        ends = [DIVERGING_OVER[0]] * 127 + [DIVERGING_OVER[-1]] * 128
        return np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in ends], np.uint8)
    colours = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in stops(signed, over)])
    at = np.linspace(0, len(colours) - 1, 255)
    channels = [np.interp(at, np.arange(len(colours)), colours[:, i]) for i in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


def _opacity() -> list[int]:
    """Opacity (level,) of signed values over a photo: none at zero, nearly full at the ends."""
    share = np.abs(np.linspace(-1, 1, 255))
    return np.rint(255 * 0.95 * share**0.75).astype(int).tolist()

"""Colours of the page: scales that colour-blind readers can read, class colours, and small palette pictures of maps."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from bbilang.runtime.view.hues import colour
from bbilang.runtime.view.image_bytes import palette_png

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# ColorBrewer RdBu: blue below zero, red above, zero nearly white.
DIVERGING = ("#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#f7f7f7", "#fddbc7", "#f4a582", "#d6604d", "#b2182b")
# Magnitudes, wherever they are colours: from the paper to dark violet, rare in photographs and no end of the diverging
# scale. CIE L* falls by 10 from each stop to the next; hue (LCh) 320 to 314 degrees, the chroma that sRGB has.
SEQUENTIAL = ("#f7f7f7", "#e8d3ed", "#d5b2e0", "#c093d1", "#a875bf", "#8f5aab", "#744094", "#59297b", "#3d135f")
# A magnitude over a photo: grey and faded at zero, the photo itself at the upper end.
SPOTLIGHT = ("#ececec", "#525252")
# Points lie by themselves on the paper: no end of their scales may vanish into it, so it is left out, and the other end
# is the one that stands out. Scale -> theme of the page -> colours from the lower to the upper end.
POINT_SCALES: dict[str, dict[str, tuple[str, ...]]] = {
    "magnitude": {"light": SEQUENTIAL[3:], "dark": SEQUENTIAL[6::-1]},
    "signed": {
        "light": ("#2166ac", "#4393c3", "#9aa0a8", "#d6604d", "#b2182b"),
        "dark": ("#92c5de", "#5aa2d0", "#6b727c", "#e0836f", "#f4a582"),
    },
}
VEIL = "#ffffff"  # what a photo fades to; a dark page turns it dark (page.css)


def stops(signed: bool) -> tuple[str, ...]:
    """Return the nine colours of a scale, from its lower to its upper end."""
    return DIVERGING if signed else SEQUENTIAL


def shades(signed: bool) -> tuple[str, ...]:
    """Return a scale in 33 steps, from its lower to its upper end."""
    steps = _palette(signed)[np.rint(np.linspace(0, 254, 33)).astype(int)]
    return tuple(f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in steps.tolist())


def series_colour(index: int) -> str:
    return colour(index)


def colour_map_png(values: ArrayLike, domain: tuple[float, float], signed: bool) -> bytes:
    """Encode a map as a palette PNG, one pixel a cell: ``values`` (y, x) on the scale whose ends lie at ``domain``.

    Zero is transparent, and every other colour as transparent as it can be and still be the scale's own on neutral
    ground: what lies below shows where there is nothing to say. Values beyond the domain take the colour of its end;
    what is not a number is transparent.
    """
    return palette_png(_levels(values, domain), *_see_through(signed))


def strip_png(colours: tuple[str, ...], steps: int = 128) -> bytes:
    """Encode a legend's strip as a palette PNG, one pixel high: the colours of a scale from its lower to its upper
    end."""
    return palette_png(np.arange(steps, dtype=np.uint8)[None], _between(colours, steps).tobytes())


def veil_png(values: ArrayLike, domain: tuple[float, float]) -> bytes:
    """Encode a spotlight as a palette PNG, one pixel a cell: opaque `VEIL` at the lower end of ``domain``, none at the
    upper.

    What is not a number is under no veil."""
    opacity = bytes([0, *np.rint(np.linspace(255, 0, 255)).astype(int).tolist()])
    return palette_png(_levels(values, domain), bytes.fromhex(VEIL[1:]) * 256, opacity)


def smoothed(values: ArrayLike, factor: int) -> np.ndarray:
    """Interpolate a map (y, x) to ``factor`` times as many pixels a side, bicubic: its cells stay where they are. NaN
    counts as 0."""
    from PIL import Image

    array = np.nan_to_num(np.asarray(values, np.float32))
    if factor <= 1 or not array.size:
        return array
    size = (array.shape[1] * factor, array.shape[0] * factor)
    return np.asarray(Image.fromarray(array).resize(size, Image.Resampling.BICUBIC), np.float64)


def _levels(values: ArrayLike, domain: tuple[float, float]) -> np.ndarray:
    """Quantize numbers to palette levels: 1 to 255 from the lower to the upper end of the domain, 0 for NaN."""
    array = np.asarray(values, dtype=np.float64)
    low, high = domain
    share = (array - low) / (high - low) if high > low else np.zeros_like(array)
    level = 1 + np.rint(np.clip(np.nan_to_num(share), 0, 1) * 254)
    return np.where(np.isfinite(array), level, 0).astype(np.uint8)


@lru_cache(maxsize=2)
def _see_through(signed: bool) -> tuple[bytes, bytes]:
    """Return (palette, opacity) in PNG's form: first the transparent entry, then 255 levels.

    A colour c over the neutral n is a source s of opacity a with a s + (1 - a) n = c; the least a has a channel of s at
    0. Colours are taken to be nowhere lighter than the neutral, which they hardly are.
    """
    colours = _palette(signed).astype(np.float64)
    neutral = colours[127 if signed else 0]
    change = np.minimum(colours - neutral, 0)
    opacity = (-change / neutral).max(1)
    source = neutral + change / np.maximum(opacity, 1e-9)[:, None]
    palette = np.rint(np.clip(source, 0, 255)).astype(np.uint8)
    return bytes(3) + palette.tobytes(), bytes([0, *np.rint(255 * opacity).astype(int).tolist()])


def see_through(signed: bool) -> tuple[str, ...]:
    """Return nine colours of the maps of a scale, "#rrggbbaa", from its lower to its upper end."""
    palette, opacity = _see_through(signed)
    levels = np.rint(np.linspace(1, 255, 9)).astype(int).tolist()
    return tuple(f"#{palette[3 * level : 3 * level + 3].hex()}{opacity[level]:02x}" for level in levels)


@lru_cache(maxsize=2)
def _palette(signed: bool) -> np.ndarray:
    """Return 255 colours (level, rgb) of a scale."""
    return _between(stops(signed), 255)


def _between(colours: tuple[str, ...], steps: int) -> np.ndarray:
    """Return a scale in ``steps`` colours (level, rgb), interpolated between its stops."""
    known = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in colours])
    at = np.linspace(0, len(known) - 1, steps)
    channels = [np.interp(at, np.arange(len(known)), known[:, i]) for i in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)

"""Pictures of numbers along a sound: over its waveform and its spectrogram."""

from __future__ import annotations

import numpy as np

from bbilang.runtime.sound.spectrogram import RANGE, extremes, levels
from bbilang.runtime.vega.colours import stops

WAVE, BAND, SPECTRUM, GAP = 84, 12, 128, 6  # pixels: heights, and between them
WIDE, LESS_WIDE = 1000, 500  # pixels of one picture, of each of many
GREY = 128.0  # of a waveform where the number is zero: seen on light and on dark pages
BRIGHT = {True: ((96, 168, 255), (255, 108, 92)), False: ((200, 150, 255), (200, 150, 255))}  # below, above zero


def along_sound(
    values: np.ndarray, ends: tuple[float, float], signed: bool, samples: np.ndarray, rate: int, wide: int = WIDE
) -> np.ndarray:
    """Draw numbers of frames (frame,) over a sound: its waveform, a band in the colours of the scale, its spectrogram.
    Returns uint8 (y, x, rgba). Waveform and spectrogram are grey where the number is near zero."""
    frames = np.minimum((np.arange(wide) + 0.5) * len(values) / wide, len(values) - 1).astype(int)
    shares = np.clip(np.nan_to_num(values) / max(abs(ends[0]), abs(ends[1]), 1e-30), -1, 1)[frames]
    sheet = np.zeros((WAVE + BAND + SPECTRUM + 2 * GAP, wide, 4), np.uint8)
    tint = _tint(shares, signed)
    _wave(sheet[:WAVE], samples, GREY + (tint - GREY) * np.sqrt(np.abs(shares))[:, None])
    sheet[WAVE + GAP : WAVE + GAP + BAND] = _band(values[frames], ends, signed)
    light = (levels(samples, rate, round(0.064 * rate), SPECTRUM, wide) + RANGE) / RANGE
    colour = 235 + (tint - 235) * np.sqrt(np.abs(shares))[:, None]
    spectrum = sheet[WAVE + 2 * GAP + BAND :]
    spectrum[..., :3] = np.rint(16 + light[..., None] * (colour - 16))
    spectrum[..., 3] = 255
    return sheet


def _tint(shares: np.ndarray, signed: bool) -> np.ndarray:
    below, above = BRIGHT[signed]
    return np.where(shares[:, None] < 0, np.array(below, float), np.array(above, float))


def _wave(sheet: np.ndarray, samples: np.ndarray, colour: np.ndarray) -> None:
    """Draw a waveform, as high as the sheet, in a colour for each column."""
    low, high = extremes(samples, sheet.shape[1])
    largest = max(float(-low.min(initial=0.0)), float(high.max(initial=0.0)), 1e-9)
    middle = (len(sheet) - 1) / 2
    rows = np.arange(len(sheet))[:, None]
    inside = (rows >= np.floor(middle - high / largest * middle)) & (rows <= np.ceil(middle - low / largest * middle))
    sheet[..., :3] = np.rint(colour)
    sheet[..., 3] = 255 * inside


def _band(values: np.ndarray, ends: tuple[float, float], signed: bool) -> np.ndarray:
    colours = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in stops(signed)], float)
    low, high = ends
    place = np.clip(np.nan_to_num((values - low) / max(high - low, 1e-30)), 0, 1) * (len(colours) - 1)
    made = np.stack([np.interp(place, np.arange(len(colours)), colours[:, i]) for i in range(3)], -1)
    return np.concatenate([np.rint(made), np.full((len(values), 1), 255)], -1).astype(np.uint8)

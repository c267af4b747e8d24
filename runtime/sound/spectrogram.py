"""Pictures of sounds: spectrograms with frequencies on a logarithmic axis, and waveforms."""

from __future__ import annotations

import numpy as np

LOWEST = 50.0  # Hz, at the lower edge
RANGE = 70.0  # dB below the loudest, which is where the scale ends
DEEP, MOST_WIDE = 128, 1000  # pixels
# Colours of the scale from quiet to loud, of nearly equal steps of lightness (perceptually uniform, as magma is).
STOPS = ((8, 8, 20), (62, 18, 96), (136, 34, 106), (207, 68, 80), (247, 148, 74), (252, 240, 184))


def levels(samples: np.ndarray, rate: int, window: int = 1024, deep: int = DEEP, wide: int = 0) -> np.ndarray:
    """Return the level in dB below the loudest, from -RANGE to 0, as (y, x): the highest frequency, half of the rate,
    in the first row, LOWEST in the last. ``wide``: pixels; by default one each 5 ms, at most MOST_WIDE."""
    mono = samples.astype(np.float64).mean(0)
    wide = wide or int(np.clip(len(mono) / rate / 0.005, 16, MOST_WIDE))
    window = min(window, max(64, len(mono)))
    padded = np.pad(mono, (window // 2, window))
    starts = np.minimum(((np.arange(wide) + 0.5) * len(mono) / wide).astype(int), len(mono))
    taper = np.hanning(window)
    rows = padded[starts[:, None] + np.arange(window)] * taper
    power = np.abs(np.fft.rfft(rows, 2 * window)) ** 2  # twice as long: the peaks of low notes lie between bins
    edges = LOWEST * (0.5 * rate / LOWEST) ** (np.arange(deep + 1) / deep)
    bins = edges / rate * 2 * window
    sums = np.concatenate([np.zeros((wide, 1)), np.cumsum(power, 1)], 1)
    high = np.stack([np.interp(bins, np.arange(sums.shape[1]), row) for row in sums])
    bands = np.diff(high, axis=1) / np.diff(bins)
    db = 10 * np.log10(np.maximum(bands, 1e-20) / max(float(bands.max()), 1e-20))
    silent = not float(np.abs(mono).max(initial=0.0))
    return np.full((deep, wide), -RANGE) if silent else np.clip(db, -RANGE, 0).T[::-1]


def coloured(db: np.ndarray, range: float = RANGE) -> np.ndarray:
    """Return levels (y, x) as uint8 (y, x, rgb); the darkest is ``range`` dB below the loudest."""
    share = np.clip((db + range) / range, 0, 1) * (len(STOPS) - 1)
    low = np.clip(share.astype(int), 0, len(STOPS) - 2)
    rest = (share - low)[..., None]
    stops = np.array(STOPS, float)  # made here, so that checking a text loads no numpy
    return np.rint(stops[low] * (1 - rest) + stops[low + 1] * rest).astype(np.uint8)


def spectrogram(
    samples: np.ndarray,
    rate: int,
    wide: int = 0,
    deep: int = DEEP,
    window: int | None = None,
    range: float = RANGE,
) -> np.ndarray:
    """Return uint8 (y, x, rgb) of (channel, time). ``window``: samples that a column looks at; by default 64 ms.
    ``range``: dB from the darkest to the brightest colour."""
    return coloured(levels(samples, rate, window or round(0.064 * rate), deep, wide), range)


def row_of(hertz: float, rate: int, deep: int = DEEP) -> float:
    """Return the row of a spectrogram, from the top, that a frequency lies in."""
    return deep * (1 - float(np.log(hertz / LOWEST) / np.log(0.5 * rate / LOWEST)))


def extremes(samples: np.ndarray, wide: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest sample of each of ``wide`` equal parts, over all channels."""
    edges = np.linspace(0, samples.shape[1], wide + 1).astype(int)
    starts = np.minimum(edges[:-1], samples.shape[1] - 1)
    return np.minimum.reduceat(samples.min(0), starts), np.maximum.reduceat(samples.max(0), starts)


def words_of(samples: np.ndarray, rate: int) -> str:
    """Describe a sound for a reader who neither sees nor hears it: its length, and its strongest frequency if it has
    one."""
    seconds = samples.shape[1] / rate
    mono = samples.astype(np.float64).mean(0)
    if not float(np.abs(mono).max(initial=0.0)):
        return f"{seconds:.2g} s of silence"
    power = np.abs(np.fft.rfft(mono * np.hanning(len(mono)))) ** 2
    hertz = np.fft.rfftfreq(len(mono), 1 / rate)
    power[hertz < LOWEST] = 0
    strongest = hertz[int(power.argmax())]
    near = np.abs(hertz - strongest) < 0.03 * strongest + 4
    share = float(power[near].sum() / max(power.sum(), 1e-20))
    kind = "mostly one tone" if share > 0.6 else "several tones" if share > 0.15 else "like noise"
    return f"{seconds:.2g} s, {kind}, strongest at {strongest:,.0f} Hz"

"""Choose the pictures of a random search to show: those whose spectrum is most like that of photographs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bbilang.runtime.featvis.parametrization import COLOUR_CORRELATION_ROOT, MAGNITUDES

ALIVE = 0.5  # share of the largest objective of a search below which a picture does not show the unit


def most_natural(pictures: Sequence[np.ndarray], objectives: Sequence[float], show: int) -> list[int]:
    """Return the numbers of the ``show`` most natural pictures by `unnaturalness`, best first, among those with at
    least half of the largest objective: noise can have the spectrum of a photograph and show nothing. Others are used
    only if these are too few."""
    least = ALIVE * max(max(objectives), 0.0)
    order = sorted(range(len(pictures)), key=lambda n: (objectives[n] < least, unnaturalness(pictures[n]), n))
    return order[:show]


def unnaturalness(picture: np.ndarray) -> float:
    """Measure how far a picture's (y, x, rgb) uint8 spectrum is from that of photographs: the root mean square, over
    rings of equal frequency and three decorrelated colours, of ln(amplitude / mean amplitude of 800 photographs)."""
    values = np.clip(picture[..., :3].astype(np.float64) / 255, 0.01, 0.99)
    values = np.log(values / (1 - values))
    root = np.array(COLOUR_CORRELATION_ROOT)
    colour = root / np.linalg.norm(root, axis=0).max()
    values = values @ np.linalg.inv(colour).T
    size = values.shape[0]
    spectrum = np.abs(np.fft.fft2(values, axes=(0, 1))) / size**2
    frequency = np.fft.fftfreq(size) * size
    ring = np.rint(np.hypot(frequency[:, None], frequency[None, :])).astype(int)
    rings = np.arange(1, size // 2)
    errors = []
    for channel, (amplitude, power) in enumerate(MAGNITUDES):
        sums = np.bincount(ring.ravel(), spectrum[..., channel].ravel())[rings]
        mean = sums / np.bincount(ring.ravel())[rings]
        errors.append(np.log((mean + 1e-6) / (amplitude / rings**power)))
    return float(np.sqrt(np.mean(np.square(errors))))

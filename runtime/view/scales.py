"""The ends of an element's scale, and how many numbers of a map a page can carry."""

from __future__ import annotations

import numpy as np

MAX_CELLS = 64 * 64  # a finer map is a picture only, without a number for every cell
MAX_NUMBERS = 300_000  # of one element in all its states: about 2 MB of a page; above, it carries the pictures alone

MOST_SMOOTH = 300_000  # pixels of all smooth maps of an element: about 100 kB of a page
COARSE = 14  # blocks a side, of a map too fine to carry every number
CLIP = 99  # percentile of magnitudes at which the colours of pixels are clipped


def numbers_fit(values: np.ndarray) -> bool:
    """Return whether a page can contain every number of a map in every state, in addition to its pictures."""
    return values.size <= MAX_NUMBERS


def decimals_of(ends: tuple[float, float]) -> int:
    """Return the number of decimals for a scale: two, fewer for hundreds, more for hundredths."""
    size = max(-ends[0], ends[1])
    return 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 0.1 else 3 if size >= 0.01 else 4


def scale_ends(values: np.ndarray, signed: bool) -> tuple[float, float]:
    """Return the ends of a scale for ``values`` (any shape, NaN for missing ones), symmetric about zero if signed."""
    with np.errstate(all="ignore"):
        largest = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.0
    largest = float(f"{largest:.3g}") or 1.0
    return (-largest, largest) if signed else (0.0, largest)


def clipped(values: np.ndarray) -> np.ndarray:
    """Clip ``values`` (any shape, NaN for missing ones) at the `CLIP`th percentile of magnitudes; not if that is zero,
    or hardly less than the largest."""
    sizes = np.abs(values[np.isfinite(values)])
    if not sizes.size:
        return values
    end = float(np.percentile(sizes, CLIP, method="higher"))
    return values if end <= 0 or end > 0.95 * float(sizes.max()) else np.clip(values, -end, end)


def smoothing(values: np.ndarray) -> int:
    """Return how many pixels per side a cell of smoothed maps (..., y, x) gets: fewer if there are many maps."""
    return max(1, min(4, int((MOST_SMOOTH / max(values.size, 1)) ** 0.5)))


def coarse(cells: np.ndarray) -> tuple[tuple[float, ...], ...]:
    """Average a map (y, x) over `COARSE` x `COARSE` blocks, or as many as it has cells, with three digits."""
    from PIL import Image

    size = (min(COARSE, cells.shape[1]), min(COARSE, cells.shape[0]))
    means = Image.fromarray(np.nan_to_num(cells).astype(np.float32)).resize(size, Image.Resampling.BOX)
    return tuple(tuple(float(f"{value:.3g}") for value in row) for row in np.asarray(means).tolist())

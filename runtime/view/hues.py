"""Ten colours for groups and classes, and the colour of a position that several groups share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

# Any two differ by a CIEDE2000 of 13 or more, also for a deuteranope (Machado et al. 2009, severity 1) and from the
# page's accents; each has a contrast of 3:1 or more on white and on #181818. The first k are further apart than any
# later ones. Found by a search over sRGB under a limit of chroma; tests/page/test_colours.py measures them anew.
PALETTE = (
    "#3084fc",
    "#cc7800",
    "#007860",
    "#f0609c",
    "#c0846c",
    "#549090",
    "#3c6c78",
    "#4860b4",
    "#c078cc",
    "#786c48",
)
COMPONENTS = {1: ("#ffffff",), 2: ("#ff8000", "#0080ff"), 3: ("#ff0000", "#00ff00", "#0000ff")}  # of `rgb`


def colour(number: int) -> str:
    """Return the colour of a group or class as "#rrggbb"; colours repeat after ten."""
    return PALETTE[number % len(PALETTE)]


def mixed(weights: ArrayLike, colours: Sequence[str]) -> np.ndarray:
    """Mix colours ("#rrggbb") by a weighted mean: weights (..., colour) -> sRGB in [0, 1] (..., rgb).

    The mean is taken in OKLab (Ottosson 2020), where equal steps look equal. Where every weight is zero all count
    alike.
    """
    weights = np.clip(np.nan_to_num(np.asarray(weights, np.float64)), 0, None)
    total = weights.sum(-1, keepdims=True)
    shares = np.where(total > 0, weights / np.where(total > 0, total, 1), 1 / weights.shape[-1])
    every = np.array([[int(one[i : i + 2], 16) / 255 for i in (1, 3, 5)] for one in colours])
    return _rgb(shares @ _oklab(every))


# Plain tuples: an array would import numpy as soon as this module is imported.
_TO_CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_TO_OKLAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)


def _oklab(rgb: np.ndarray) -> np.ndarray:
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ np.transpose(_TO_CONES)) @ np.transpose(_TO_OKLAB)


def _rgb(oklab: np.ndarray) -> np.ndarray:
    """Convert OKLab to sRGB, clipped to its gamut."""
    cones = (oklab @ np.linalg.inv(_TO_OKLAB).T) ** 3
    linear = np.clip(cones @ np.linalg.inv(_TO_CONES).T, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)

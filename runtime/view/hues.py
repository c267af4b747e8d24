"""A hue for each of several groups, and the mean hue of a position that several groups share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

FIRST = 60.0  # degrees: two groups are orange and blue, which every reader can tell apart
COMPONENTS = {1: ("#ffffff",), 2: ("#ff8000", "#0080ff"), 3: ("#ff0000", "#00ff00", "#0000ff")}  # of `rgb`
LIGHTNESS, CHROMA = 0.70, 0.15  # of OKLCh: equally light for every hue, inside sRGB but for little


def hue(group: int, count: int) -> float:
    """Degrees, 0 to 360: ``count`` groups lie evenly on the circle."""
    return (FIRST + 360.0 * group / max(count, 1)) % 360.0


def colour(group: int, count: int) -> str:
    """A group's colour as "#rrggbb"."""
    red, green, blue = np.rint(255 * rgb(hue(group, count))).astype(int).tolist()
    return f"#{red:02x}{green:02x}{blue:02x}"


def rgb(hue: ArrayLike, lightness: ArrayLike = LIGHTNESS, chroma: ArrayLike = CHROMA) -> np.ndarray:
    """Hues in degrees (...) to sRGB in [0, 1] (..., rgb), through OKLab (Ottosson 2020), cut to what sRGB can show."""
    angle = np.radians(np.asarray(hue, np.float64))
    lightness, chroma = np.broadcast_arrays(lightness, chroma)
    a, b = chroma * np.cos(angle), chroma * np.sin(angle)
    cone = np.stack(
        [
            lightness + 0.3963377774 * a + 0.2158037573 * b,
            lightness - 0.1055613458 * a - 0.0638541728 * b,
            lightness - 0.0894841775 * a - 1.2914855480 * b,
        ],
        axis=-1,
    )
    to_linear = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = np.clip(cone**3 @ to_linear.T, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def mean_hue(weights: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The circular mean of the groups' hues, each weighted by its value: (hue in degrees, concentration in [0, 1]).

    ``weights`` (..., group), never negative. The concentration is the length of the mean vector: 1 where one group is
    alone, 0 where opposite hues cancel; the hue is arbitrary there, and where every weight is 0.
    """
    weights = np.clip(np.nan_to_num(np.asarray(weights, np.float64)), 0, None)
    count = weights.shape[-1]
    angles = np.radians([hue(group, count) for group in range(count)])
    total = weights.sum(-1)
    mean = (weights * np.exp(1j * angles)).sum(-1) / np.where(total > 0, total, 1)
    return np.degrees(np.angle(mean)) % 360.0, np.abs(mean)

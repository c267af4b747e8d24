"""What a scan keeps for a distribution: a histogram of each channel's values over the positions of each example.

Bins are by sign and exponent: zero, and each power of two from 2^-8 to 2^8 on either side. So no range has to be known
beforehand, and counts of examples, shards and datasets can be added.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

LEAST, MOST = -8, 7  # exponents of the first and the last bin; what is smaller or larger is counted there
EACH = MOST - LEAST + 1  # bins of a sign
BINS = 2 * EACH + 1
CHUNK = 1 << 17  # values that are counted at a time: their bins stay in the processor's cache
LATER = int(sys.byteorder == "little")  # where the upper half of a float32 lies
ZERO = EACH  # the bin of zeros; before it are negative values, the largest magnitude first


def histogram(activation: Tensor) -> dict[str, np.ndarray]:
    """Count the values of (example, channel, *positions) over its positions: `counts` (example, channel, bin), and
    `finite` (example,), NaN for an example with a value that is not finite."""
    values = activation.detach().float().cpu().numpy()
    values = np.ascontiguousarray(values.reshape(*values.shape[:2], -1))
    examples, channels, positions = values.shape
    rows = values.reshape(examples * channels, positions)
    counts = np.empty((len(rows), BINS), np.min_scalar_type(positions))
    most = max(1, CHUNK // positions)
    for first in range(0, len(rows), most):
        counts[first : first + most] = _counted(rows[first : first + most])
    finite = np.where(np.isfinite(values).all((1, 2)), 1, np.nan).astype(np.float32)
    return {"counts": counts.reshape(examples, channels, BINS), "finite": finite}


def _counted(rows: np.ndarray) -> np.ndarray:
    """Count the values of each row (row, position) by bins (row, bin)."""
    upper = rows.view(np.uint16)[:, LATER::2].astype(np.intp)
    index = np.take(_bin_of_upper_half(), upper, mode="clip")  # unlike "raise", without a copy
    if np.count_nonzero(index == ZERO) != np.count_nonzero(rows == 0):  # some below 2^-133 have no bit there
        index = bins_of(rows).astype(np.intp)
    index += np.arange(0, len(rows) * BINS, BINS)[:, None]
    return np.bincount(index.ravel(), minlength=len(rows) * BINS).reshape(len(rows), BINS)


@functools.cache
def _bin_of_upper_half() -> np.ndarray:
    """Return the bin of a float32 by the upper 16 bits of it: sign, exponent and some digits."""
    upper = np.arange(1 << 16, dtype=np.uint32) << np.uint32(16)
    return bins_of(upper.view(np.float32)).astype(np.intp)


def bins_of(values: np.ndarray) -> np.ndarray:
    """Return the bin of each value, in float32: its sign and exponent are read from its bits."""
    bits = np.asarray(values, np.float32).view(np.uint32)
    exponent = (bits >> np.uint32(23) & np.uint32(255)).astype(np.int16) - np.int16(127)
    offset = np.clip(exponent, LEAST, MOST) + np.int16(1 - LEAST)  # 2^exponent <= |value| < twice that
    np.negative(offset, out=offset, where=bits >> np.uint32(31) != 0)
    offset[bits << np.uint32(1) == 0] = 0
    return offset + np.int16(ZERO)


def words_of(bin: int) -> str:
    """Describe a bin: "0.5 to 1", "zero", "-2 to -1", "128 or more"."""
    if bin == ZERO:
        return "zero"
    offset = abs(bin - ZERO)
    low, high = f"{2.0 ** (LEAST + offset - 1):.3g}", f"{2.0 ** (LEAST + offset):.3g}"
    if bin > ZERO:
        return f"{low} or more" if offset == EACH else f"0 to {high}" if offset == 1 else f"{low} to {high}"
    if offset == EACH:
        return f"\u2212{low} or less"
    return f"\u2212{high} to 0" if offset == 1 else f"\u2212{high} to \u2212{low}"

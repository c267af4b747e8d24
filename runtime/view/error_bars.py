"""The values at the ends of the error bars of an attribution."""

from __future__ import annotations

import numpy as np

from bbilang.runtime.fields.field import Field

SPREAD = "±"  # begins the name of a measure that says how far a number may be off


def with_error_bars(field: Field, values: np.ndarray) -> np.ndarray:
    """Return all numbers that an element draws, including the ends of error bars if it has measures."""
    names = field.names.get("measure")
    if names is None or "measure" not in field.values.dims:
        return values
    words = [str(word) for word in np.ravel(names.data)]
    moved = np.moveaxis(field.values.data, field.values.dims.index("measure"), -1)
    own = [moved[..., series] for series, word in enumerate(words) if not word.startswith(SPREAD)]
    spread = [moved[..., series] for series, word in enumerate(words) if word.startswith(SPREAD)]
    ends = [moved[..., 0] + sign * off for off in spread for sign in (-1, 1)]
    return np.stack([*own, *ends], -1)

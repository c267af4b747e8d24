"""The one floating-point comparison that the tests use: the allowed error, and its reason."""

from __future__ import annotations

from typing import Any

import numpy as np

ROUNDINGS = 512  # how many roundings, each of half a unit in the last place, a result may have gathered


def close_to(
    actual: Any,
    expected: Any,
    *,
    terms: Any = None,
    roundings: float = ROUNDINGS,
    dtype: Any = None,
    digits: int | None = None,
    because: str = "",
) -> None:
    """Assert that two results of the same computation in another order agree.

    A sum computed in floating point is off by at most `roundings` x epsilon x the sum of the magnitudes of its terms,
    however small the sum itself is (Higham, Accuracy and Stability of Numerical Algorithms, 4.2). So the allowance is
    a multiple of ``terms`` and never of the result.

    found, wanted: arrays, tensors or numbers of one shape. terms: for each entry, or for all, the sum of the
    magnitudes of what was added up; without it the largest magnitude in ``wanted``, which holds where the entries are
    made of terms of a common size. roundings: more for deeper networks. dtype: in which they were computed; without it
    the less exact of the two arrays' own, and float32 for plain numbers. digits: with how many significant digits
    ``found`` was written, as on a page. because: why another number of roundings is allowed, for the message. Raises
    AssertionError with the worst entry.
    """
    left, right = numbers(actual), numbers(expected)
    assert left.shape == right.shape, f"shapes differ: {left.shape}, wanted {right.shape}"
    if not right.size:
        return
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    magnitude = numbers(terms) if terms is not None else np.abs(right[np.isfinite(right)]).max(initial=0.0)
    epsilon = float(np.finfo(dtype).eps) if dtype is not None else max(map(_epsilon, (actual, expected)))
    allowed = roundings * epsilon * np.broadcast_to(np.abs(magnitude), right.shape)
    if digits is not None:
        allowed = allowed + 0.5 * 10.0 ** (1 - digits) * np.abs(right)
    with np.errstate(invalid="ignore"):
        error = np.abs(left - right)
    bad = ~same & ~(error <= allowed)
    if bad.any():
        with np.errstate(invalid="ignore", divide="ignore"):
            excess = np.where(bad, np.nan_to_num(error / allowed, nan=np.inf, posinf=np.inf), 0)
        worst = np.unravel_index(int(np.argmax(excess)), right.shape)
        raise AssertionError(
            f"{int(bad.sum())} of {right.size} entries differ by more than {roundings:g} roundings of their terms"
            f"{f' ({because})' if because else ''}; the worst, at {tuple(map(int, worst))}: {left[worst]:.9g}, wanted "
            f"{right[worst]:.9g}, off by {error[worst]:.3g}, allowed {allowed[worst]:.3g}"
        )


def agrees(actual: Any, expected: Any, **options: Any) -> bool:
    """Whether `close_to` is content, for tests that say more of what differs."""
    try:
        close_to(actual, expected, **options)
    except AssertionError:
        return False
    return True


def within(actual: Any, expected: Any, *, because: str, absolute: float = 0.0, relative: float = 0.0) -> None:
    """Assert that two results agree where something other than rounding separates them, named by ``because``: a page
    that prints four digits, a mean of random draws, a figure published with three digits.

    absolute: in the numbers' own unit. relative: a share of the largest magnitude in ``wanted``.
    """
    left, right = numbers(actual), numbers(expected)
    assert left.shape == right.shape, f"shapes differ: {left.shape}, wanted {right.shape}"
    allowed = absolute + relative * float(np.abs(right).max(initial=0.0))
    error = np.abs(left - right)
    assert (error <= allowed).all(), f"off by {error.max():.3g}, allowed {allowed:.3g} since {because}"


def _epsilon(value: Any) -> float:
    """Of an array's or tensor's own type; of whole numbers none; of plain numbers that of float32, in which they may
    have been computed."""
    if isinstance(value, np.ndarray):
        return float(np.finfo(value.dtype).eps) if value.dtype.kind == "f" else 0.0
    if hasattr(value, "detach"):
        return float(np.finfo(str(value.dtype).removeprefix("torch.")).eps) if value.is_floating_point() else 0.0
    return float(np.finfo(np.float32).eps)


def numbers(value: Any) -> np.ndarray:
    """Arrays, tensors (any device, with a graph or not) and numbers as float64."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().double().numpy()
    return np.asarray(value, dtype=np.float64)

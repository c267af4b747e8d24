"""Reductions of chunks against NumPy over everything at once."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from bbilang.runtime.statistics.grouping import number_groups
from bbilang.runtime.statistics.reductions import Reduction, quantiles

TWINS = {
    "mean": lambda v: np.nanmean(v, 0),
    "max": lambda v: np.nanmax(v, 0),
    "min": lambda v: np.nanmin(v, 0),
    "std": lambda v: np.nanstd(v, 0),
    "fraction": lambda v: np.where(np.isnan(v).all(0), np.nan, (v > 0.3).sum(0) / np.maximum(1, (~np.isnan(v)).sum(0))),
}


def table(seed=0, missing=0.1):
    source = np.random.default_rng(seed)
    values = source.normal(size=(300, 5, 2)).astype(np.float32)
    values[source.random(values.shape) < missing] = np.nan
    groups = source.integers(-1, 4, 300)
    values[groups == 2, 3] = np.nan  # a group without any number there
    return values, groups


@pytest.mark.parametrize("kind", TWINS)
@pytest.mark.parametrize(("chunk", "missing"), [(1, 0.1), (37, 0.1), (300, 0.0)])
def test_against_numpy(kind, chunk, missing):
    values, groups = table(chunk, missing)
    whole, parts = Reduction(kind, above=0.3), Reduction(kind, 5, above=0.3)  # group 4 has no example
    for start in range(0, 300, chunk):
        piece = slice(start, start + chunk)
        whole.add(values[piece])
        parts.add(values[piece], groups[piece])
    exact = values.astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        np.testing.assert_allclose(whole.result().values[0], TWINS[kind](exact), rtol=1e-12, atol=1e-14)
        for group in range(4):
            np.testing.assert_allclose(
                parts.result().values[group], TWINS[kind](exact[groups == group]), rtol=1e-12, atol=1e-14
            )
    result = parts.result()
    assert np.isnan(result.values[4]).all() and not result.counts[4].any()
    assert result.ungrouped == (groups < 0).sum()
    for group in range(4):
        assert (result.left_out[group] == np.isnan(values[groups == group]).sum(0)).all()
        assert (result.counts[group] + result.left_out[group] == (groups == group).sum()).all()


def test_stable_where_the_sum_of_squares_is_not():
    """A mean of 1e8 with deviations of 0.5: E[x^2] - E[x]^2 has no digit left in float64."""
    values = 1e8 + np.random.default_rng(0).normal(0, 0.5, (5000, 3))
    reduction = Reduction("std")
    for start in range(0, 5000, 256):
        reduction.add(values[start : start + 256])
    np.testing.assert_allclose(reduction.result().values[0], values.std(0), rtol=1e-7)


def test_infinity_is_left_out_and_counted():
    reduction = Reduction("mean")
    reduction.add(np.array([[1.0], [np.inf], [3.0], [-np.inf]]))
    assert reduction.result().values.item() == 2 and reduction.result().left_out.item() == 2


@pytest.mark.parametrize("block_bytes", [1, 6000, 1 << 20])
@pytest.mark.parametrize("q", [0.0, 0.25, 0.9, 1.0])
def test_quantiles(block_bytes, q):
    values, groups = table(3)
    values = values.reshape(300, -1)

    def chunks():
        return ((values[i : i + 64], groups[i : i + 64]) for i in range(0, 300, 64))

    result = quantiles(chunks, q, 4, block_bytes)
    for group in range(4):
        own = values[groups == group].astype(np.float64)
        for atom in range(values.shape[1]):
            left = own[~np.isnan(own[:, atom]), atom]
            expected = np.quantile(left, q) if len(left) else np.nan
            np.testing.assert_allclose(result.values[group, atom], expected, rtol=1e-12)
            assert result.counts[group, atom] == len(left)
            assert result.left_out[group, atom] == len(own) - len(left)
    assert result.ungrouped == (groups < 0).sum()


def test_groups_of_a_column():
    assert number_groups(np.array(["b", "", "a", "b"], object))[0].tolist() == [1, -1, 0, 1]
    numbers, values = number_groups(np.array([2.0, np.nan, 1.0]))
    assert numbers.tolist() == [1, -1, 0] and values == [1.0, 2.0]

"""The range of an atom: zeros and saturated values apart, quantiles and a histogram of the rest."""

from __future__ import annotations

import numpy as np

from bbilang.runtime.statistics.spectrum import shared_ceiling, spectrum


def test_by_hand():
    values = np.array([0, 6, 1, 5, np.nan, 2, 0, 6, 4, 3, 6], np.float32)
    result = spectrum(values, 3, ceiling=6.0, bins=4)
    assert (result.scanned, result.left_out, result.zeros, result.saturated, result.rest) == (11, 1, 2, 3, 5)
    assert result.rows.tolist() == [2, 9, 3] and result.values.tolist() == [1, 3, 5]
    assert result.levels.tolist() == [0, 0.5, 1]
    assert result.counts.tolist() == [1, 1, 1, 2] and result.edges.tolist() == [1, 2, 3, 4, 5]
    assert not result.dead
    assert result.sentence == (
        "zero on 2 of 10 examples; at its ceiling of 6 on 3 of 10 examples; not a number on 1 of 11, which are left out"
    )


def test_every_example_is_counted_once_and_taken_once():
    source = np.random.default_rng(0)
    values = np.clip(source.normal(size=500), 0, 1.5).astype(np.float32)
    result = spectrum(values, 9, ceiling=1.5)
    rest = np.sort(values[(values > 0) & (values < 1.5)])
    assert result.zeros + result.saturated + result.rest + result.left_out == 500
    assert result.counts.sum() == result.rest == len(rest)
    assert result.values.tolist() == np.quantile(rest, result.levels, method="nearest").tolist()
    assert len(set(result.rows.tolist())) == 9


def test_dead():
    assert spectrum(np.zeros(800)).sentence == "zero on all 800 examples scanned"
    assert spectrum(np.zeros(800)).dead and len(spectrum(np.zeros(800)).rows) == 0
    assert not spectrum(np.array([0.0, 1e-30])).dead


def test_few_examples_and_ties():
    assert spectrum(np.array([0.0, 2.0]), 9).rows.tolist() == [1]
    order = np.array([3, 1, 2])
    assert spectrum(np.full(3, 7.0), 3, order=order).rows.tolist() == [1, 2, 0]
    second = np.array([3.0, 1.0, 2.0])
    assert spectrum(np.full(3, 7.0), 3, second=second, order=-order).rows.tolist() == [1, 2, 0]
    assert spectrum(np.full(4, np.nan)).left_out == 4


def test_a_ceiling_is_shared_by_different_contents():
    values = np.array([1, 6, 6, 6, np.nan])
    assert shared_ceiling(values) == 6.0
    assert shared_ceiling(values, np.array(["a", "b", "b", "c", "d"])) is None  # a duplicate is no ceiling
    assert shared_ceiling(np.zeros(9)) is None and shared_ceiling(np.array([1, 2, 2])) is None

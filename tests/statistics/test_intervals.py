"""Intervals and p-values against published numbers and obvious twins."""

from __future__ import annotations

import numpy as np
import pytest

from bbilang.runtime.statistics.intervals import holm, permutation_p, wilson


def test_wilson_against_published_intervals():
    """Newcombe 1998, table I, method 3: 81/263, 15/148, 0/20, 1/29."""
    low, high = wilson(np.array([81, 15, 0, 1]), np.array([263, 148, 20, 29]))
    np.testing.assert_allclose(low, [0.2553, 0.0624, 0, 0.0061], atol=5e-5)
    np.testing.assert_allclose(high, [0.3662, 0.1605, 0.1611, 0.1718], atol=5e-5)


def test_wilson_at_the_ends():
    assert wilson(0, 9)[0] == 0 and wilson(9, 9)[1] == 1
    assert np.isnan(wilson(0, 0)).all()


def test_wilson_is_where_the_score_test_turns():
    """The bounds are the rates whose z is exactly +-1.96."""
    low, high = wilson(7, 40)
    for bound in (low, high):
        assert abs(7 / 40 - bound) / np.sqrt(bound * (1 - bound) / 40) == pytest.approx(1.959964, abs=1e-6)


def test_permutation_p():
    null = np.array([0.0, 1.0, 2.0, 3.0])
    assert permutation_p(2.0, null) == pytest.approx(3 / 5)
    assert permutation_p(np.array([9.0, -1.0]), null).tolist() == [1 / 5, 1.0]
    assert permutation_p(0.1 + 0.2, np.array([0.3])) == 1.0  # rounding is no difference
    assert permutation_p(np.array([2.0, 0.5]), np.stack([null, null], 1)).tolist() == [3 / 5, 4 / 5]


def test_holm_by_hand():
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.9, 0.6])).tolist() == [1.0, 1.0]


def test_holm_rejects_what_its_step_down_rejects():
    source = np.random.default_rng(1)
    for _ in range(50):
        p = source.random(6) ** 3
        rejected, order = set(), np.argsort(p)
        for step, i in enumerate(order):
            if p[i] > 0.05 / (6 - step):
                break
            rejected.add(int(i))
        assert set(np.flatnonzero(holm(p) <= 0.05).tolist()) == rejected

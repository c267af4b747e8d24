"""Correlations and assignments against slow, obvious twins."""

from __future__ import annotations

import itertools

import numpy as np

from bbilang.runtime.matching.assignment import NONE, best, next_best, one_to_one
from bbilang.runtime.matching.correlation import by_chance, correlations, on_one_grid


def test_correlations_equal_numpys():
    random = np.random.default_rng(0)
    own, other = random.normal(size=(50, 5)), random.normal(size=(50, 7)) + 100
    other[:, 2] = own[:, 1] * -3 + 2
    own[:, 4] = 0.25  # constant: it has no correlation
    table = correlations(own.astype(np.float32), other.astype(np.float32))
    with np.errstate(invalid="ignore"):
        expected = np.array([[np.corrcoef(one, two)[0, 1] for two in other.T] for one in own[:, :4].T])
    assert np.abs(table[:4] - expected).max() < 1e-4 and np.isnan(table[4]).all()
    assert table[1, 2] < -0.9999


def test_one_to_one_is_the_best_of_all_assignments():
    random = np.random.default_rng(1)
    for rows, columns in ((4, 4), (3, 5), (5, 3)):
        table = random.normal(size=(rows, columns))
        found = one_to_one(table)
        paired = np.flatnonzero(found != NONE)
        assert len(paired) == min(rows, columns) == len(set(found[paired].tolist()))
        wide = table if rows <= columns else table.T
        every = itertools.permutations(range(max(rows, columns)), min(rows, columns))
        most = max(sum(wide[row, column] for row, column in enumerate(one)) for one in every)
        assert np.isclose(table[paired, found[paired]].sum(), most)


def test_what_has_no_number_has_no_partner():
    table = np.array([[0.9, np.nan, 0.1], [0.8, np.nan, 0.3], [np.nan] * 3])
    assert one_to_one(table).tolist() == [0, 2, NONE]
    assert best(table).tolist() == [0, 0, NONE]


def test_the_next_best_is_the_largest_but_the_partner():
    similarity = np.array([[0.9, 0.8, np.nan], [0.2, np.nan, np.nan], [np.nan] * 3, [0.1, 0.3, 0.7]])
    partners = np.array([0, 0, NONE, 1])
    expected = [max((v for c, v in enumerate(row) if c != partners[r] and v == v), default=np.nan)
                for r, row in enumerate(similarity)]  # fmt: skip
    np.testing.assert_array_equal(next_best(similarity, partners), expected)
    assert np.isnan(next_best(np.array([[0.4]]), np.array([0]))).all()


def test_by_chance_little_corresponds():
    random = np.random.default_rng(2)
    own = random.normal(size=(2000, 6))
    shuffled = by_chance(own, own, one_to_one, 0)
    assert abs(shuffled) < 0.1 and np.isclose(correlations(own, own).diagonal().mean(), 1)


def test_maps_of_two_sizes_are_averaged_on_the_coarser_grid():
    random = np.random.default_rng(3)
    fine, coarse = random.normal(size=(2, 6, 9, 3)), random.normal(size=(2, 3, 3, 4))
    own, other = on_one_grid(fine, coarse)
    assert np.allclose(own, fine.reshape(2, 3, 2, 3, 3, 3).mean((2, 4))) and np.allclose(other, coarse)
    odd, _ = on_one_grid(np.ones((1, 5, 5, 1)), np.ones((1, 3, 3, 1)))
    assert np.allclose(odd, 1)
    gradient = np.broadcast_to(np.arange(5.0)[None, :, None, None], (1, 5, 1, 1))
    ends = on_one_grid(gradient, np.ones((1, 2, 1, 1)))[0].ravel()
    assert np.allclose(ends, [(0 + 1 + 0.5 * 2) / 2.5, (0.5 * 2 + 3 + 4) / 2.5])

"""The cells of an atlas against a loop over cells."""

from __future__ import annotations

import numpy as np
import pytest

from bbilang.runtime.statistics.atlas import atlas


@pytest.mark.parametrize("least", [1, 3])
def test_against_a_loop(least):
    source = np.random.default_rng(0)
    points, vectors = source.normal(size=(400, 2)), source.normal(size=(400, 5)).astype(np.float32)
    points[7] = np.nan
    result = atlas(points, vectors, 6, 3, least, trim=0)
    assert result.undefined == 1 and [level.bins for level in result.levels] == [6, 12, 24]
    good = np.delete(np.arange(400), 7)
    for level in result.levels:
        cells = {}
        for i in good:
            row, column = (
                min(int((points[i, axis] - low) / (high - low) * level.bins), level.bins - 1)
                for axis, low, high in ((1, result.low[0], result.high[0]), (0, result.low[1], result.high[1]))
            )
            cells.setdefault((row, column), []).append(i)
        expected = {at: members for at, members in sorted(cells.items()) if len(members) >= least}
        assert [tuple(at) for at in level.cells.tolist()] == list(expected)
        for cell, members in enumerate(expected.values()):
            assert level.counts[cell] == len(members) and sorted(level.of(cell).tolist()) == members
            np.testing.assert_allclose(level.means[cell], vectors[members].mean(0), atol=1e-6)
            apart = np.linalg.norm(vectors[level.of(cell)] - vectors[members].mean(0), axis=1)
            assert (np.diff(apart) >= -1e-6).all()
            np.testing.assert_allclose(level.mean(points)[cell], points[members].mean(0), atol=1e-12)
        assert level.counts.sum() + level.left_out == 399


def test_cells_are_squares_and_hold_every_point():
    points = np.array([[0.0, 0.0], [10.0, 1.0], [10.0, 0.0]])
    result = atlas(points, np.eye(3), 10, 1, trim=0)
    assert (result.high - result.low).tolist() == [10, 10]
    assert result.levels[0].cells.tolist() == [[4, 0], [4, 9], [5, 9]]


def test_what_lies_far_out_is_left_out_and_counted():
    """The box is that of Lucid's `normalize_layout`: percentiles 1 and 99, and a tenth of their distance beyond."""
    source = np.random.default_rng(1)
    points = source.uniform(size=(500, 2))
    points[:3] = [[40, 0.5], [0.5, -30], [-9, 9]]
    result = atlas(points, points, 4, 1)
    low, high = np.percentile(points, [1, 99], axis=0)
    kept = ((points >= low - 0.1 * (high - low)) & (points <= high + 0.1 * (high - low))).all(1)
    assert result.outliers == 3 == (~kept).sum() and result.undefined == 0
    assert sorted(result.levels[0].members.tolist()) == np.flatnonzero(kept).tolist()
    assert result.high.max() < 1.01 and result.low.min() > -0.01
    whole = atlas(points, points, 4, 1, trim=0)
    assert whole.outliers == 0 and len(whole.levels[0].members) == 500


def test_one_point_and_none():
    assert atlas(np.zeros((4, 2)), np.eye(4), 5).levels[2].counts.tolist() == [4]
    with pytest.raises(ValueError, match="no vector"):
        atlas(np.full((2, 2), np.nan), np.eye(2))
    assert len(atlas(np.zeros((2, 2)), np.eye(2), 5, least=3).levels[0].mean(np.eye(2))) == 0

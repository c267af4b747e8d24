"""Grids whose cells share parts of their pictures, beside sums written out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from closeness import close_to

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime import passes
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.featvis.coherent_grid import coherent, mix, shares
from bbilang.runtime.featvis.engine import Objective, Recipe, visualize
from bbilang.runtime.featvis.icon import Grid

RECIPE = Recipe(size=24, steps=24, batch=2, redirect=4)
SOURCE = np.random.default_rng(0)
PARTS = SOURCE.random((2, 8))
LEFT = np.array([[1.0, 0], [0.9, 0.1], [0, 1.0]])


def test_coefficients_are_the_articles_sum():
    own, group = torch.randn(3, 2, 2), torch.randn(2, 2, 2)
    share = torch.rand(3, 2)
    for cell, have in enumerate(mix(own, group, share)):
        want = 0.7 * own[cell] + 0.5 * sum(share[cell, g] * group[g] for g in range(2))
        close_to(have, want)


def test_shares_find_planted_groups():
    actual = shares(LEFT @ PARTS, 2)
    assert actual.shape == (3, 2) and actual.max(0) == pytest.approx([1, 1]) and actual.min() >= 0
    first = actual[0].argmax()
    assert actual[1].argmax() == first != actual[2].argmax()
    assert shares(-np.ones((3, 4)), 2).tolist() == [[0, 0]] * 3 and shares(np.ones((2, 4)), 6).shape == (2, 2)


def test_cells_climb_and_neighbours_are_alike(adapter):
    vectors = LEFT @ PARTS
    icons = coherent(adapter, "act2", vectors, 2, RECIPE)
    apart = visualize(adapter, [Objective("act2", v) for v in vectors], RECIPE)
    first = coherent(adapter, "act2", vectors, 2, replace(RECIPE, steps=1))

    def likeness(pair):
        return np.corrcoef(*(icon.picture.astype(float).ravel() for icon in pair))[0, 1]

    assert likeness(icons[:2]) > likeness(apart[:2]) + 0.1
    assert all(icon.objective > start.objective for icon, start in zip(icons, first, strict=True))
    assert [icon.picture.shape for icon in icons] == [(24, 24, 3)] * 3


def test_a_batch_that_is_filled_up_counts_its_cells_once(adapter):
    """Three cells in batches of two and of three: the same but for the last bits, which a step of Adam magnifies."""
    short = replace(RECIPE, steps=2)
    two, three = (coherent(adapter, "act2", LEFT @ PARTS, 2, replace(short, batch=b)) for b in (2, 3))
    for a, b in zip(two, three, strict=True):
        assert np.abs(a.picture.astype(int) - b.picture).mean() < 0.5


def cells(groups):
    grid = Grid.of(LEFT @ PARTS, groups)
    return [Objective("act2", row, grid=grid, cell=cell) for cell, row in enumerate(grid.vectors)]


def test_a_grid_is_kept_whole_and_recalled(adapter, tmp_path):
    short = replace(RECIPE, steps=6)
    first = visualize(adapter, cells(2)[:1], short, Cache(tmp_path))
    counter = passes.Passes()
    again = visualize(adapter, cells(2), short, Cache(tmp_path), counter=counter)
    assert np.array_equal(again[0].picture, first[0].picture) and counter == passes.Passes(cached_icons=3)
    direct = coherent(adapter, "act2", cells(2)[0].grid.vectors, 2, short)
    assert all(np.array_equal(a.picture, b.picture) for a, b in zip(again, direct, strict=True))
    visualize(adapter, cells(1), short, Cache(tmp_path), counter=counter)
    assert counter.backwards > 0, "another number of groups is another grid"


def test_out_of_memory_halves_a_grids_batch(adapter):
    class Small(passes.Passes):
        def forward(self, rows, resumed=False):
            if rows > 2:
                raise MemoryError

    short = replace(RECIPE, steps=2)
    halved = coherent(adapter, "act2", LEFT @ PARTS, 2, replace(short, batch=4), Small())
    want = coherent(adapter, "act2", LEFT @ PARTS, 2, short)
    assert all(np.array_equal(a.picture, b.picture) for a, b in zip(halved, want, strict=True))


def test_a_cell_that_nothing_excites_is_said_to_be(adapter):
    adapter.module.norm2.bias.data[5] = -3.0
    dead, alive = coherent(adapter, "act2", np.eye(8)[[5, 1]], 1, RECIPE)
    assert dead.dead and "no gradient" in dead.reason and not alive.dead
    assert coherent(adapter, "act2", np.zeros((0, 8)), 1, RECIPE) == []
    for wrong in (np.ones((2, 3)), np.full((2, 8), np.nan)):
        with pytest.raises(BbiError):
            coherent(adapter, "act2", wrong, 1, RECIPE)
    with pytest.raises(BbiError):
        coherent(adapter, "act2", np.ones((2, 8)), 0, RECIPE)

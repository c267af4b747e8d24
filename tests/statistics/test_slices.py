"""Slices: the search against trying all, against the package `sliceline`, planted ones, and p-values where none is."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from planted_slices import is_found, planted

from bbilang.runtime.statistics.conditions import Condition, candidates
from bbilang.runtime.statistics.sliceline import ALPHA, Scores, search
from bbilang.runtime.statistics.slices import chance, excess, find_slices, halves, needed


def trying_all(masks, columns, errors, k, smallest, depth=3, alpha=ALPHA):
    """Score every conjunction, as the paper writes it."""
    n, mean, scored = len(errors), errors.mean(), []
    for size in range(1, depth + 1):
        for which in combinations(range(len(masks)), size):
            if len({columns[i] for i in which}) < size:
                continue
            inside = masks[list(which)].all(0)
            if inside.sum() < smallest:
                continue
            score = alpha * (errors[inside].mean() / mean - 1) - (1 - alpha) * (n / inside.sum() - 1)
            if score > 0:
                scored.append((-score, size, which))
    return sorted(scored)[:k]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("binary", [True, False])
def test_search_against_trying_all(seed, binary):
    source = np.random.default_rng(seed)
    n, kinds = 150, 5
    table = source.integers(0, 4, (n, kinds))
    masks = np.array([table[:, c] == v for c in range(kinds) for v in range(4)])
    columns = np.repeat(np.arange(kinds), 4)
    errors = (source.random(n) < 0.1 + 0.6 * (table[:, 0] == 1) * (table[:, 2] == 3)).astype(float)
    if not binary:
        errors = errors + source.exponential(0.2, n)
    k, smallest = 1 + seed % 7, 3 + seed
    found = search(masks, columns, errors, k, smallest).slices
    expected = trying_all(masks, columns, errors, k, smallest)
    np.testing.assert_allclose([s.score for s in found], [-score for score, _, _ in expected], rtol=1e-9)
    if binary:  # the order of ties is then exact, too
        assert [s.conditions for s in found] == [which for _, _, which in expected]


def test_search_against_the_package():
    pytest.importorskip("sliceline", reason="the package sliceline, of the test extra, is not installed")
    from sliceline.slicefinder import Slicefinder

    source = np.random.default_rng(3)
    table = source.integers(0, 3, (400, 6))
    errors = (source.random(400) < 0.1 + 0.5 * (table[:, 1] == 2) * (table[:, 4] == 0)).astype(float)
    finder = Slicefinder(alpha=ALPHA, k=5, max_l=3, min_sup=10, verbose=False).fit(table, errors)
    masks = np.array([table[:, c] == v for c in range(6) for v in range(3)])
    found = search(masks, np.repeat(np.arange(6), 3), errors, 5, 10).slices
    theirs = [s["slice_score"] for s in finder.top_slices_statistics_][:5]
    np.testing.assert_allclose([s.score for s in found], theirs, rtol=1e-9)
    first = {i: v for i, v in enumerate(finder.top_slices_[0]) if v is not None}
    assert {i // 3: i % 3 for i in found[0].conditions} == first


def test_a_planted_slice_is_found_first_in_19_of_20_seeds():
    assert sum(map(is_found, range(20))) >= 19


def test_the_numbers_are_those_of_the_half_that_was_not_searched():
    errors, columns, features, _ = planted(0)
    errors[::50] = np.nan
    result = find_slices(errors, columns, features, n=2, permutations=49)
    defined = np.flatnonzero(~np.isnan(errors))
    first, second = (defined[half] for half in halves(errors[defined]))
    assert result.left_out == 40 and result.searched + result.measured == 1960
    for found in result.slices:
        measured = np.intersect1d(found.examples, second)
        assert found.size == len(measured) and found.rate == pytest.approx(errors[measured].mean())
        assert found.rest == pytest.approx(errors[np.setdiff1d(second, measured)].mean())
        assert found.interval[0] < found.rate < found.interval[1]
        searched = np.intersect1d(found.examples, first)
        score = ALPHA * (errors[searched].mean() / errors[first].mean() - 1)
        score -= (1 - ALPHA) * (len(first) / len(searched) - 1)
        assert found.score == pytest.approx(score)
        for condition in found.conditions:
            if condition.quantile is not None:
                column = {**columns, **features}[condition.column][first]
                assert condition.value == pytest.approx(np.quantile(column, condition.quantile))


def test_where_there_is_no_slice_p_values_are_rarely_small():
    """150 data sets without structure: the smallest p-value of the found slices is under 0.1 in about a tenth."""
    most = []
    for seed in range(150):
        source = np.random.default_rng(seed)
        columns = {name: source.integers(0, 4, 240).astype(str).astype(object) for name in "abcd"}
        result = find_slices((source.random(240) < 0.3).astype(float), columns, n=3, permutations=99, seed=seed)
        most.append(min((s.p for s in result.slices), default=1.0))
    small = sum(p <= 0.1 for p in most)
    assert small <= 26  # 15 are expected, 26 are three deviations more


def test_a_second_slice_is_another_one():
    errors, columns, features, _ = planted(1)
    result = find_slices(errors, columns, features, n=4, overlap=0.3, permutations=9)
    half = halves(errors)[0]
    sets = [set(np.intersect1d(s.examples, half).tolist()) for s in result.slices]
    assert all(len(a & b) <= 0.3 * len(a | b) for a, b in combinations(sets, 2))


def test_losses_have_no_interval_of_a_rate():
    errors, columns, features, _ = planted(2)
    losses = errors + np.random.default_rng(0).exponential(0.1, len(errors))
    found = find_slices(losses, columns, features, n=1, permutations=99).slices[0]
    assert found.interval is None and found.p == 0.01 and {c.column for c in found.conditions} >= {"channel[17]"}


def test_halves_have_as_many_errors_and_keep_near_duplicates_together():
    source = np.random.default_rng(0)
    errors = (source.random(401) < 0.1).astype(float)
    first, second = halves(errors, seed=4)
    assert sorted([*first, *second]) == list(range(401)) and abs(len(first) - len(second)) == 1
    assert abs(errors[first].sum() - errors[second].sum()) <= 1
    groups = np.where(np.arange(401) < 60, np.arange(401) // 3, -1)
    side = np.isin(np.arange(401), halves(errors, groups)[0])
    assert all(len(set(side[groups == g])) == 1 for g in range(20)) and 0 < side[:60].sum() < 60


def test_conditions():
    columns = {"label": np.array(["cat", "", "dog", "cat"], object), "width": np.array([1.0, np.nan, 2.0, 1.0])}
    channel = "block5c.expand.channel[4]"
    texts = [str(c) for c in candidates(columns, {channel: np.array([0, 3.25, 0, 0])}, 1)]
    assert texts == [
        *("label == cat", "label == dog", "width == 1", "width == 2"),
        *(f"{channel} > q75 (0.8125)", f"{channel} > q90 (2.275)", f"{channel} > q95 (2.762)"),
    ]
    assert Condition("width", "<=", 1.5).holds(columns).tolist() == [True, False, False, True]
    assert Condition("width", ">", 1.5).holds(columns).tolist() == [False, False, True, False]
    assert Condition("label", "==", "cat").holds(columns).tolist() == [True, False, False, True]


def test_a_search_that_is_cut_short_says_so():
    errors, columns, features, _ = planted(0)
    conditions = candidates({**columns}, features, 10)
    masks = np.stack([c.holds({**columns, **features}) for c in conditions])
    numbers = np.array([hash(c.column) for c in conditions])
    assert search(masks, numbers, errors, 3, 10).complete
    short = search(masks, numbers, errors, 3, 10, work=50.0 * masks.size)  # 50 of the pairs
    assert not short.complete and len(short.slices) == 3


def test_a_condition_that_chance_explains_is_dropped():
    """Of 40 marked pictures 30 are wrong; a coin is on 20 of them, 19 of those wrong: p = 0.004, little among 100."""
    errors = np.zeros(400)
    errors[:30] = 1
    marked = np.arange(400) < 40
    coin = np.zeros(400, bool)
    coin[[*range(19), 39]] = True
    coin[100:250] = True
    others = np.random.default_rng(0).random((98, 400)) < 0.5
    masks = np.stack([marked, coin, *others])
    scores = Scores(400, errors.mean(), ALPHA, 10)
    assert chance(coin[:40], errors[:40]) == pytest.approx(0.0042, abs=1e-4)
    assert needed((0, 1), masks, errors, scores) == (0,)
    assert needed((0, 1), masks[:2], errors, scores) == (0, 1)


def test_chance_is_that_of_drawing():
    source = np.random.default_rng(0)
    inside, errors = np.arange(40) < 12, (np.arange(40) % 3 == 0).astype(float)
    errors[:4] = 1
    drawn = np.mean([source.permutation(errors)[:12].sum() >= errors[:12].sum() for _ in range(40000)])
    assert chance(inside, errors) == pytest.approx(drawn, rel=0.05)
    assert chance(inside, errors * 2.5) == pytest.approx(drawn, rel=0.5)  # by the normal approximation


def test_nothing_to_find():
    columns = {"a": np.array(["x", "y"] * 50, object)}
    assert find_slices(np.zeros(100), columns).slices == ()
    assert find_slices(np.full(100, np.nan), columns).left_out == 100
    assert find_slices(np.ones(100), {}).slices == ()


def test_excess_is_the_deviation_under_permutation():
    source = np.random.default_rng(0)
    inside = (source.random((3, 60)) < 0.3).astype(float)
    errors = source.random(60)
    draws = np.array([inside @ source.permutation(errors) / inside.sum(1) for _ in range(20000)])
    np.testing.assert_allclose(
        excess(inside, errors), (inside @ errors / inside.sum(1) - errors.mean()) / draws.std(0), rtol=0.03
    )
    assert excess(np.zeros((1, 60)), errors).tolist() == [0] and excess(np.ones((1, 60)), errors).tolist() == [0]

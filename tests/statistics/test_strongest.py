"""The strongest examples against sorting of everything, with ties, near duplicates and missing values."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from bbilang.runtime.statistics.strongest import Strongest


def digest(i):
    return hashlib.sha256(str(i).encode()).hexdigest()


def slow(values, second, digests, k, sign, groups):
    """Sort the examples of one atom. Returns (rows, ties, unresolved)."""
    strength = {"positive": lambda v: v, "negative": lambda v: -v, "magnitude": abs}[sign]
    ranked = [i for i in range(len(values)) if np.isfinite(values[i])]
    ranked.sort(key=lambda i: (-strength(values[i]), -strength(second[i]), digests[i], i))
    best, seen = [], set()
    for i in ranked:
        if groups is not None and groups[i] >= 0:
            if groups[i] in seen:
                continue
            seen.add(groups[i])
        best.append(i)
    if len(best) < k:
        return best, 0, 0
    last = best[k - 1]
    ties = [i for i in best if strength(values[i]) == strength(values[last])]
    return best[:k], len(ties), sum(strength(second[i]) == strength(second[last]) for i in ties)


def table(seed, examples=120, atoms=7):
    source = np.random.default_rng(seed)
    values = np.clip(source.normal(size=(examples, atoms)), -0.5, 0.8).astype(np.float32)  # many at both clamps
    values[:, 0] = source.integers(-2, 3, examples)
    values[:, 1] = 0
    values[source.random(values.shape) < 0.05] = np.nan
    values[3, 2], values[4, 2] = np.inf, -np.inf
    second = source.integers(-3, 4, values.shape).astype(np.float32)
    digests = [digest(i // 2 if i < 20 else i) for i in range(examples)]  # ten pairs of the same content
    groups = np.where(source.random(examples) < 0.4, source.integers(0, 15, examples), -1)
    return values, second, digests, groups


@pytest.mark.parametrize("sign", ["positive", "negative", "magnitude"])
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize(("k", "chunk"), [(1, 16), (9, 1), (9, 50), (200, 32)])
def test_against_sorting(sign, grouped, k, chunk):
    values, second, digests, groups = table(k + chunk)
    strongest = Strongest(k, sign, groups if grouped else None)
    order = np.random.default_rng(k).permutation(len(values))  # chunks come in any order
    for start in range(0, len(order), chunk):
        rows = order[start : start + chunk]
        strongest.add(values[rows], [digests[i] for i in rows], rows, second[rows])
    result = strongest.result()
    for atom in range(values.shape[1]):
        rows, ties, unresolved = slow(values[:, atom], second[:, atom], digests, k, sign, groups if grouped else None)
        assert result.rows[atom].tolist() == rows + [-1] * (k - len(rows))
        assert (result.ties[atom], result.unresolved[atom]) == (ties, unresolved)
        assert result.values[atom, : len(rows)].tolist() == values[rows, atom].tolist()
        assert result.seconds[atom, : len(rows)].tolist() == second[rows, atom].tolist()
        assert np.isnan(result.values[atom, len(rows) :]).all()
    finite = np.isfinite(values)
    assert result.counts.tolist() == finite.sum(0).tolist()
    assert result.left_out.tolist() == (~finite).sum(0).tolist()


def test_ties_at_a_clamp_by_hand():
    """Four of five pictures are at 6.0: the value before the clamp decides, and the page can say how many tie."""
    strongest = Strongest(2)
    strongest.add(np.array([[6.0], [6.0], [2.0], [6.0], [6.0]]), [digest(i) for i in range(5)], np.arange(5),
                  np.array([[6.5], [9.0], [2.0], [7.0], [6.1]]))  # fmt: skip
    result = strongest.result()
    assert result.rows.tolist() == [[1, 3]]
    assert (result.ties.item(), result.unresolved.item(), result.hidden.item()) == (4, 1, 2)


def test_without_a_second_value_the_hash_decides():
    digests = [digest(i) for i in range(40)]
    strongest = Strongest(3)
    strongest.add(np.full((40, 1), 6.0), digests, np.arange(40))
    result = strongest.result()
    assert result.rows[0].tolist() == sorted(range(40), key=digests.__getitem__)[:3]
    assert result.ties.item() == result.unresolved.item() == 40 and np.isnan(result.seconds).all()


def test_the_result_may_be_read_between_chunks():
    values, second, digests, groups = table(5)
    strongest = Strongest(4, groups=groups)
    strongest.add(values[:60], digests[:60], np.arange(60), second[:60])
    first = strongest.result()
    again = strongest.result()
    assert first.rows.tolist() == again.rows.tolist() and first.ties.tolist() == again.ties.tolist()
    strongest.add(values[60:], digests[60:], np.arange(60, 120), second[60:])
    whole = Strongest(4, groups=groups)
    whole.add(values, digests, np.arange(120), second)
    assert strongest.result().rows.tolist() == whole.result().rows.tolist()


@pytest.mark.parametrize("seed", range(6))
def test_the_first_of_more_are_those_of_a_ranking_of_fewer(seed):
    random = np.random.default_rng(seed)
    values = random.integers(0, 5, (60, 7)).astype(float)
    values[random.random(values.shape) < 0.1] = np.nan
    values[3:, 0] = np.nan
    second = random.integers(0, 3, values.shape).astype(float) if seed % 2 else None
    names = [f"{number * 2654435761 % 2**64:064x}"[::-1] for number in range(len(values))]
    every = []
    for k in (4, 14):
        ranking = Strongest(k)
        ranking.add(values, names, np.arange(len(values)), second)
        every.append(ranking.result())
    fewer, first = every[0], every[1].first(4)
    for name in ("rows", "values", "seconds", "ties", "hidden", "counts", "left_out"):
        assert np.array_equal(getattr(first, name), getattr(fewer, name), equal_nan=name in ("values", "seconds")), name
    if second is not None:
        assert np.array_equal(first.unresolved, fewer.unresolved)

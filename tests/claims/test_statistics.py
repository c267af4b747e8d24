"""Verdicts, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bbilang.runtime.statistics.claims import (
    CHANCE,
    FAILS,
    HOLDS,
    UNDEFINED,
    UNTOLD,
    Outcome,
    corrected,
    outcome,
    verdicts,
)

NAN = float("nan")


@pytest.mark.parametrize(
    ("comparison", "bound", "satisfied"), [("<", 2.0, False), ("<=", 2.0, True), (">", 1.9, True), (">=", 2.1, False)]
)
def test_the_mean_is_compared(comparison, bound, satisfied):
    result = outcome(np.array([[1.0, 2.0, 3.0]]), comparison, bound)
    assert (result.value, result.satisfied) == (2.0, satisfied)
    half = 4.302652729911275 * 1.0 / np.sqrt(3)  # Student's 97.5 % quantile with 2 degrees of freedom
    assert (result.low, result.high) == pytest.approx((2 - half, 2 + half))


def test_two_groups_are_compared_by_their_means():
    from scipy.stats import ttest_ind

    random = np.random.default_rng(0)
    first, second = random.normal(1, 1, 12), random.normal(0, 3, 30)
    result = outcome(first[None], ">", 0.0, others=second[None])
    interval = ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert result.value == pytest.approx(first.mean() - second.mean())
    assert (result.low, result.high) == pytest.approx((interval.low, interval.high))
    assert np.isnan(outcome(first[None, :1], ">", 0.0, others=second[None]).low), "one case has no spread"


def test_one_case_has_no_interval():
    result = outcome(np.array([[5.0]]), ">", 1.0)
    assert np.isnan([result.low, result.high, result.p]).all() and result.satisfied


def test_every_state_counts_and_the_worst_is_shown():
    values = np.array([[1.0, 3.0], [0.0, 1.0], [7.0, 7.0]])
    assert (outcome(values, ">", 1.0).value, outcome(values, ">", 1.0).satisfied) == (0.5, False)
    assert (outcome(values, "<", 9.0).value, outcome(values, "<", 9.0).satisfied) == (7.0, True)


def test_the_p_value_counts_random_sets_in_the_direction_of_the_claim():
    controls = np.array([[[-3.0, -2.0, -1.0, 0.0, NAN]]])
    below = outcome(np.array([[-2.0]]), "<", 0.0, controls)
    assert (below.sets, below.p) == (4, (1 + 2) / 5)
    above = outcome(np.array([[-2.0]]), ">", -9.0, controls)
    assert above.p == (1 + 3) / 5


def test_random_sets_are_averaged_over_cases_as_the_claim_is():
    controls = np.array([[[0.0, -4.0], [-6.0, 0.0]]])  # means -3 and -2
    assert outcome(np.array([[-2.0, -3.0]]), "<", 0.0, controls).p == (1 + 1) / 3


def condition(p: float = NAN, sets: int = 0, satisfied: bool = True, value: float = 1.0) -> Outcome:
    return Outcome(value, NAN, NAN, p, sets, satisfied)


def test_verdicts():
    few, many = condition(0.04, 999), condition(0.001, 999)
    assert verdicts([[condition()], [condition(satisfied=False)], [condition(value=NAN)]]) == [HOLDS, FAILS, UNDEFINED]
    assert verdicts([[few]]) == [HOLDS] and verdicts([[condition(0.2, 999)]]) == [CHANCE]
    assert corrected([[few], [many], [condition()]])[:2] == pytest.approx([0.04, 0.002])  # Holm: 1 x and 2 x
    assert verdicts([[few], [condition(0.03, 999)]]) == [CHANCE, CHANCE], "0.03 is above 0.05 / 2"
    assert verdicts([[condition(1 / 11, 10)]]) == [UNTOLD], "no p-value of ten sets is below 1 / 11"
    assert verdicts([[many, condition(0.3, 999)]]) == [CHANCE], "both conditions must hold"
    assert verdicts([[many, condition(satisfied=False)]]) == [FAILS]


def test_claims_of_nothing_hold_as_often_as_promised():
    """Random scores tested against random scores: 5 % pass, here of 400 pages with three claims each at most 8 %."""
    random = np.random.default_rng(0)
    passed = 0
    for _ in range(400):
        claims = [[outcome(random.normal(size=(1, 1)), "<", 99.0, random.normal(size=(1, 1, 99)))] for _ in range(3)]
        passed += HOLDS in verdicts(claims)
    assert 0.02 < passed / 400 < 0.08

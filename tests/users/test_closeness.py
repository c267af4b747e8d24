"""The comparison that the suite relies on can fail, and fails where it should."""

import numpy as np
import pytest
import torch
from closeness import close_to


def test_a_sum_that_cancels_is_judged_by_its_terms():
    terms = np.float32([1e4, -1e4, 1.8e-3])
    actual, expected = terms[0] + terms[2] + terms[1], terms.astype(float).sum()  # one rounding of 1e4
    close_to(actual, expected, terms=np.abs(terms).sum(), roundings=2)
    with pytest.raises(AssertionError, match="off by"):
        close_to(actual, expected, roundings=2)


def test_a_mismatch_is_reported_with_its_index():
    with pytest.raises(AssertionError, match=r"at \(1, 0\): 3, wanted 2"):
        close_to(torch.tensor([[1.0], [3.0]]), np.array([[1.0], [2.0]]))
    with pytest.raises(AssertionError, match="shapes differ"):
        close_to([1.0], 1.0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_equals_only_itself(value):
    close_to([value, 1.0], [value, 1.0])
    for actual, expected in ((value, 1.0), (1.0, value)):
        with pytest.raises(AssertionError):
            close_to([actual], [expected])


def test_zeros_must_be_zero():
    close_to([0.0, 0.0], [0.0, 0.0])
    with pytest.raises(AssertionError):
        close_to([1e-30], [0.0])

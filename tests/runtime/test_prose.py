"""Numbers in sentences: a true minus sign, no superfluous digits, no scientific e-notation."""

from __future__ import annotations

import re

import numpy as np
import pytest

from bbilang.runtime.fields.prose import counted, percent, prose


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.2412, "0.24"), (-0.2412, "−0.24"), (9.1666, "9.17"), (10.094, "10.09"), (28.94, "28.9"), (0.0, "0"),
        (-0.0, "0"), (1234.5, "1,234"), (0.0042, "0.004"), (5.16e-7, "5.2 × 10⁻⁷"), (-2e12, "−2.0 × 10¹²"),
        (float("nan"), "undefined"),
    ],
)  # fmt: skip
def test_numbers_have_the_digits_that_a_sentence_needs(value, words):
    assert prose(value) == words


def test_signs_are_shown_where_they_matter():
    assert (prose(0.24, signed=True), prose(-0.24, signed=True), prose(0.0, signed=True)) == ("+0.24", "−0.24", "0")


def test_no_number_has_an_exponent_or_a_hyphen_and_each_is_close():
    random = np.random.default_rng(0)
    for value in random.normal(size=2000) * 10.0 ** random.uniform(-9, 9, 2000):
        words = prose(float(value))
        assert not re.search(r"[e\-]", words)
        if "×" not in words:
            shown = float(words.replace(",", "").replace("−", "-"))
            assert abs(shown - value) <= max(0.05 * abs(value), 5.1e-4)


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.386, "39 %"), (0.0042, "0.4 %"), (0.0, "0 %"), (1e-5, "< 0.1 %"), (1.0, "100 %"), (-0.2, "−20 %"),
     (12.5, "1,250 %")],
)  # fmt: skip
def test_shares(share, words):
    assert percent(share) == words.replace(" %", "\u00a0%")


def test_small_counts_are_words():
    assert (counted(6), counted(0), counted(672), counted(1280)) == ("six", "no", "672", "1,280")

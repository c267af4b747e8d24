"""Conditions in three-valued logic, against a slow twin."""

from __future__ import annotations

import math
import operator

import numpy as np
import pytest
from drawn import CLASSES, write
from hypothesis import given, settings
from hypothesis import strategies as st

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.data.conditions import columns_of, evaluate
from bbilang.runtime.data.dataset import open_dataset

OPS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne}
COLUMNS = {
    "file": np.array(list("abcdef")),
    "label": np.array(["cat", "dog", "", "cat", "", "bird"]),
    "predicted": np.array(["cat", "cat", "dog", "", "", "bird"]),
    "loss": np.array([1.0, np.nan, 2.5, 0.0, np.nan, -1.0]),
    "width": np.array([300.0, 200.0, 100.0, np.nan, 5.0, 300.0]),
}
NUMBERS = st.sampled_from([("column", "loss"), ("column", "width"), ("constant", 1), ("constant", 200.0)])
WORDS = st.sampled_from([("column", "label"), ("column", "predicted"), ("constant", "cat"), ("constant", "dog")])
COMPARISONS = st.one_of(
    *[st.tuples(st.just("compare"), st.sampled_from(list(OPS)), side, side) for side in (NUMBERS, WORDS)]
)
CONDITIONS = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(st.tuples(st.just("not"), inner), st.tuples(st.sampled_from(["and", "or"]), inner, inner)),
)


def one(condition, row):
    """True, False or None, of one row."""
    match condition:
        case ("not", a):
            value = one(a, row)
            return None if value is None else not value
        case ("and" | "or" as word, a, b):
            values = one(a, row), one(b, row)
            decides = word == "or"
            return decides if decides in values else None if None in values else not decides
        case ("compare", op, left, right):
            a, b = (row[value] if kind == "column" else value for kind, value in (left, right))
            missing = any(each == "" or (isinstance(each, float) and math.isnan(each)) for each in (a, b))
            return None if missing else OPS[op](a, b)
    raise AssertionError(condition)


@settings(max_examples=300, deadline=None)
@given(CONDITIONS)
def test_like_one_row_after_the_other(condition):
    mask, undefined = evaluate(condition, COLUMNS)
    rows = [{name: values[i].item() for name, values in COLUMNS.items()} for i in range(6)]
    expected = [one(condition, row) for row in rows]
    assert mask.tolist() == [value is True for value in expected]
    assert undefined.tolist() == [value is None for value in expected]


def refused(code: str, *words: str):
    return pytest.raises(BbiError, match="(?s)" + ".*".join([code, *words]))


def test_what_cannot_be_compared():
    with refused("E457", "no column `lable`", "did you mean `label`"):
        evaluate(("compare", "==", ("column", "lable"), ("constant", "cat")), COLUMNS)
    with refused("E458", "`label` is a word, and 3 is a number"):
        evaluate(("compare", "==", ("column", "label"), ("constant", 3)), COLUMNS)
    with refused("E458", '"cat" is a word, and `loss` is a number'):
        evaluate(("compare", "<", ("column", "loss"), ("constant", "cat")), COLUMNS)
    with pytest.raises(ValueError, match="not a condition"):
        evaluate(("xor", (), ()), COLUMNS)


def test_true_and_false():
    columns = {"file": np.array(["a", "b"]), "ok": np.array(["true", "false"]), "right": np.array([0.0, 1.0])}
    for column, expected in (("ok", [True, False]), ("right", [False, True])):
        mask, _ = evaluate(("compare", "==", ("column", column), ("constant", True)), columns)
        assert mask.tolist() == expected


def test_filters_of_a_dataset(tmp_path):
    data = open_dataset(".", write(tmp_path, {**CLASSES, "dog/2.png": b"damaged"}))
    dog = ("compare", "==", ("column", "label"), ("constant", "dog"))
    wide = ("compare", ">", ("column", "width"), ("constant", 16))
    assert columns_of(("and", dog, ("not", wide))) == {"label", "width"}
    part = data.filter(("and", dog, wide))
    assert part.dataset.files.tolist() == ["dog/1.png"] and part.undefined == 1, "the size of 2.png is not known"
    assert part.dataset.filter(dog).dataset.labels.tolist() == ["dog"]
    more = {"predicted": np.array(["cat", "dog", "dog", ""])}
    wrong = data.filter(("compare", "!=", ("column", "predicted"), ("column", "label")), more)
    assert wrong.dataset.files.tolist() == ["cat/2.png"] and wrong.undefined == 1
    with refused("E451", "meets the condition; it is undefined for 1"):
        data.filter(("compare", ">", ("column", "width"), ("constant", 999)))


def test_headers_are_read_only_for_conditions_on_sizes(tmp_path, monkeypatch):
    data = open_dataset(".", write(tmp_path, CLASSES))
    monkeypatch.setattr("bbilang.runtime.data.facts.size_of", lambda file: pytest.fail("a header is read"))
    assert len(data.filter(("compare", "==", ("column", "label"), ("constant", "cat"))).dataset) == 2

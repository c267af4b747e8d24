"""The strongest of many without a full sort, in the order of a stable sort: ties by index."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bbilang.compiler.ir.types import Axis
from bbilang.runtime.fields.field import Named
from bbilang.runtime.fields.ranking import ranks

VALUES = st.lists(st.sampled_from([-np.inf, -1.5, -0.0, 0.0, 0.25, 2.0, 3.0, np.nan]), min_size=1, max_size=40)


@given(VALUES, st.integers(1, 45), st.booleans())
def test_the_strongest_are_those_of_a_whole_sort(values, most, ascending):
    data = np.array(values, np.float32)
    axis = Axis("channel", len(data), ("channel",))
    there = [i for i, value in enumerate(values) if not np.isnan(value)]
    want = sorted(there, key=lambda i: values[i] if ascending else -values[i])  # Python's sort is stable
    order, count = ranks(Named(("input", "channel"), data[None]), (axis,), ascending, most)
    assert order.dims == ("input", "rank*") and count.tolist() == [len(there)]
    strongest = order.data[0, :most].tolist()
    assert strongest == [*want, *[-1] * (len(values) - len(want))][:most]

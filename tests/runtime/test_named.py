"""Arrays with named axes: indexing by one position everywhere is indexing by each."""

import numpy as np
import pytest

from bbilang.runtime.fields.field import Named

SIZES = {"slot": 3, "input": 2, "channel": 4, "term": 1, "rank": 2}


@pytest.mark.parametrize("dims", [("slot", "input", "channel"), ("input", "slot"), ("channel", "slot", "input")])
@pytest.mark.parametrize("over", [("term",), ("input", "term"), ("input",), ("input", "rank"), ()])
@pytest.mark.parametrize("kind", [np.float32, np.int32, object])
def test_one_position_everywhere(dims, over, kind):
    values = np.arange(np.prod([SIZES[d] for d in dims])).reshape([SIZES[d] for d in dims]).astype(kind)
    array, index = Named(dims, values), Named(over, np.full([SIZES[d] for d in over], 2))
    got = array.take("slot", index)
    assert got.dims == (*(d for d in dims if d != "slot"), *(d for d in over if d not in dims))
    assert got.data.dtype == values.dtype
    slow = values[tuple([2 if d == "slot" else slice(None) for d in dims])]
    for d in over:
        if d not in dims:
            slow = np.stack([slow] * SIZES[d], -1)
    assert np.array_equal(got.data, slow) and not np.shares_memory(got.data, values)

"""Methods side by side: eight maps, each to its own scale, of the class that the reader chooses."""

from __future__ import annotations

import numpy as np
import pytest
from smaller_specs import SMALLER

from bbilang.runtime.fields.prose import prose

pytestmark = pytest.mark.browser

METHODS = ("gradient", "integrated_gradients", "smoothgrad", "guided_backprop", "grad_cam", "lrp", "occlusion", "rise")


def test_methods_side_by_side(read):
    reader = read("methods_side_by_side", *SMALLER["methods_side_by_side"])
    assert [text for text in reader.texts("pixels") if text in METHODS] == list(METHODS)
    before = reader.pictures("pixels")
    assert len(set(before)) == len(METHODS)
    words = reader.words("pixels")
    assert "scaled separately for each method" in words and "Adebayo" in words
    data = reader.data("pixels")
    values = np.moveaxis(data.values, data.axes.index("method"), 0)
    for name, numbers in zip(METHODS, values, strict=True):
        assert f"{name} {prose(float(np.abs(numbers).max()))}" in words
    reader.tab.locator("select").first.select_option(index=1)
    reader.rest()
    assert all(a != b for a, b in zip(before, reader.pictures("pixels"), strict=True))  # however little it changes

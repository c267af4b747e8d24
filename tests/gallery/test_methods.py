"""Methods side by side: eight maps, each on its own scale, for the class that the reader chooses."""

from __future__ import annotations

import numpy as np
import pytest
from smaller_specs import SMALLER

from bbilang.runtime.fields.prose import prose

pytestmark = pytest.mark.browser

METHODS = ("Gradient", "Integrated gradients", "SmoothGrad", "Guided backprop", "Grad-CAM", "LRP (epsilon-plus)",
           "Occlusion", "RISE")  # fmt: skip


def maps(reader):
    """The maps without the photo that lies below each of them."""
    return [picture for picture in reader.pictures("pixels") if not picture.startswith("data:image/jpeg")]


def test_methods_side_by_side(read):
    reader = read("methods_side_by_side", *SMALLER["methods_side_by_side"])
    assert [text for text in reader.texts("pixels") if text in METHODS] == list(METHODS)
    before = maps(reader)
    assert len(set(before)) == len(METHODS)
    reader.tab.locator("details").evaluate_all("all => all.forEach(node => (node.open = true))")
    words = reader.words("pixels")
    assert "scaled separately for each method" in words and "Adebayo" in words
    data = reader.data("pixels")
    values = np.moveaxis(data.values, data.axes.index("method"), 0)
    for name, numbers in zip(METHODS, values, strict=True):
        assert f"{name} {prose(float(np.abs(numbers).max()))}" in words
    reader.tab.locator("select").first.select_option(index=1)
    reader.rest()
    assert all(a != b for a, b in zip(before, maps(reader), strict=True))  # however little it changes

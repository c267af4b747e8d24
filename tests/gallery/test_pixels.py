"""Which pixels, which concepts: pointing at a concept shows its pixels, pointing at a position its concepts."""

from __future__ import annotations

import numpy as np
import pytest
from closeness import close_to
from smaller_specs import SMALLER

pytestmark = pytest.mark.browser


def test_which_pixels_which_concepts(read, shown):
    reader = read("which_pixels_which_concepts", *SMALLER["which_pixels_which_concepts"])
    icons, matches = reader.data("icons"), reader.data("found")
    shown(reader.numbers("icons"), icons.values)
    channels = icons.coords["channel"][1]
    before = {name: reader.pictures(name) for name in ("region", "pixels", "photo")}
    assert all(f"channel {channels[0]}" in reader.words(name) for name in ("region", "pixels"))
    reader.point("icons", 4)
    for name in ("region", "pixels"):
        assert reader.pictures(name) != before[name] and f"channel {channels[4]}" in reader.words(name)
    assert reader.pictures("photo") == before["photo"]
    for name in ("region", "pixels"):
        maps = reader.data(name).values
        assert maps.shape == (6, 224, 224) and maps.min() >= 0
        close_to(maps.max((1, 2)), np.ones(6))
    reader.point_at_cell("photo", 11, 9, (14, 14))
    assert "row 11, column 9" in reader.words("found")
    shown(reader.numbers("found"), matches.values.reshape(14 * 14, 6)[11 * 14 + 9])
    assert f"channel {channels[4]}" in reader.words("pixels")  # the other choice stays
    close_to(matches.values.reshape(-1, 6).sum(0), icons.values, terms=np.abs(matches.values.reshape(-1, 6)).sum(0))
    tab = read(
        "which_pixels_which_concepts", *SMALLER["which_pixels_which_concepts"], width=390, color_scheme="dark"
    ).tab
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390

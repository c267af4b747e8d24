"""The gallery's page of checkpoints: a row of them, which a reader points at, in the browser."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.browser
NAME = "what_changed_during_training"
EPOCHS = ["epoch_0", "epoch_1", "epoch_2", "epoch_4", "epoch_8", "epoch_30"]


def test_a_row_of_checkpoints(read, shown):
    reader = read(NAME)
    for element in ("scores", "where", "icons"):
        texts = reader.texts(element)
        assert [text for text in texts if text.startswith("epoch_")] == EPOCHS, element
    margins = reader.data("scores").values
    shown(sorted(number for number in reader.numbers("scores")), np.sort(margins))
    lead = reader.tab.locator(".lead").first.inner_text()
    assert "epoch_0" in lead and "epoch_30" in lead
    assert "at 6 checkpoints, epoch_0 to epoch_30" in reader.tab.locator(".models").inner_text()
    says = reader.tab.locator("header").inner_text()
    assert all(f"{epoch} says" in says for epoch in EPOCHS)


def test_a_channel_is_shown_in_every_checkpoint(read):
    reader = read(NAME)
    assert len(reader.pictures("icons")) == 18  # three channels of each
    chosen = reader.data("icons").coords["channel"][1].tolist()
    assert [text for text in reader.texts("seen") if text.startswith("epoch_")] == EPOCHS
    before = reader.pictures("seen")
    reader.point("icons", 4)  # the second channel of the second checkpoint
    after = reader.pictures("seen")
    assert len(before) == len(after) and sum(a != b for a, b in zip(before, after, strict=True)) >= 5
    assert f"channel {chosen[1]}" in reader.tab.locator("#element-seen").inner_text()


def test_layers_come_to_be_those_of_the_end(read):
    reader = read(NAME)
    data = reader.data("alike")
    same = np.stack([np.diagonal(table) for table in data.values])
    assert same[-1].min() > 0.9 and same[0].mean() < 0.6
    assert [text for text in reader.texts("alike") if text.startswith("epoch_")] == EPOCHS
    words = reader.words("alike")
    assert f"from {same[0].mean():.2f} in epoch_0 to {same[-1].mean():.2f} in epoch_30" in words


def test_what_changed_is_from_the_first(read):
    reader = read(NAME)
    assert [text for text in reader.texts("change") if text.startswith("epoch_")] == EPOCHS[1:]
    strongest = reader.data("change")
    last = np.moveaxis(strongest.values, strongest.axes.index("model"), 0)[-1]
    assert int(strongest.coords["channel"][1][np.abs(last).argmax()]) == 5  # the channel of the mark's colour

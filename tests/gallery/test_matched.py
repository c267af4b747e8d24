"""The gallery's page of a network that was trained again: a click on a channel leads to its counterpart."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.browser
NAME = "the_same_neuron"
MARK, COUNTERPART = 5, 2  # the channels that answer to the mark's colour, as scripts/train_marks.py plants them


def test_a_click_leads_to_the_counterpart(read):
    reader = read(NAME)
    units = reader.data("units").coords["channel"][1].ravel().tolist()
    assert units[0] == MARK and len(reader.pictures("same")) == 2
    pairs = {}
    for number, unit in enumerate(units):
        reader.click("units", number)
        (label,) = [text for text in reader.texts("same") if " with b: " in text]
        chosen, partner = label.removeprefix("channel ").split(" with b: ")
        assert int(chosen) == unit and f"Channel {unit} " in reader.tab.locator(".lead").first.inner_text()
        pairs[unit] = int(partner)
    every = reader.data("early").coords
    known = dict(zip(every["channel"][1].tolist(), every["partner.channel"][1].tolist(), strict=True))
    assert pairs == {unit: known[unit] for unit in units} and pairs[MARK] == COUNTERPART


def test_numbers_stand_beside_the_next_best_and_chance(read, shown):
    reader = read(NAME)
    data = reader.data("early")
    shown(reader.numbers("early"), data.values)
    nexts = [float(text.removeprefix("next best ")) for text in reader.texts("early") if text.startswith("next best")]
    shown(nexts, data.tables["next"][1])
    others = data.tables["next"][1]
    channels = data.coords["channel"][1].tolist()
    clear = [channel for channel, value, other in zip(channels, data.values, others, strict=True)
             if value - other >= 0.05]  # fmt: skip
    assert clear == [MARK]
    words = reader.words("early")
    assert "is the clearest" in words and "For 7 of these 8 channels" in words
    chance = float(data.tables["chance"][1])
    assert chance < 0.2 < np.nanmin(data.values)
    assert f"+{chance:.2f} on average" in words
    assert f"+{chance:.2f} on average" in reader.tab.locator(".lead").first.inner_text()
    assert "For 8 of these 8 channels" in reader.words("late")


def test_likeness_of_layers_stands_beside_random_weights(read):
    reader = read(NAME)
    values, random = reader.data("alike").values, reader.data("alike").tables["random"][1]
    assert values.mean() > random.mean() and f"{random.mean():.2f} with random weights" in reader.words("alike")
    title = reader.tab.locator("#element-alike").inner_text()
    assert "a and b: How alike the layers are as a whole" in title

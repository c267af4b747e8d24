"""The gallery's pages about a dataset, which have no picture of their own: what they say, in the browser."""

from __future__ import annotations

import re

import numpy as np
import pytest
from smaller_specs import SMALLER

pytestmark = pytest.mark.browser


def test_what_channels_detect(read, shown):
    reader = read("what_channels_detect", *SMALLER["what_channels_detect"])
    values = reader.data("cells").values
    assert values.shape == (10, 17)
    shown(sorted(reader.numbers("cells")), np.sort(values, axis=None))  # light and dark numbers are drawn apart
    best = np.nanmax(values, axis=1)
    assert (np.diff(best) <= 0).all()  # the channels of the largest overlaps, in their order
    first = reader.texts("cells")
    channel = next(text for text in first if text.startswith("channel "))
    lead = reader.tab.locator(".lead").first.inner_text()
    assert channel in lead and f"{best[0]:.2f}" in lead
    assert "scanned" in reader.tab.locator("footer").text_content()


def test_a_copied_pipe_finds_the_examples_of_a_channel(read):
    reader = read("what_channels_detect", *SMALLER["what_channels_detect"])
    reader.tab.locator("#element-cells .copy summary").click()
    offered = reader.tab.locator("#element-cells .copy button").first
    pipe = offered.get_attribute("title")
    statement, asked = pipe.split("\n")
    assert statement == 'dataset shapes = "sample:shapes"'
    assert asked.startswith("block5c.depthwise.channel[") and asked.endswith("] | examples(shapes) | present(image)")


def test_activis_shows_the_picture_that_is_pointed_at(read):
    reader = read("activis", *SMALLER["activis"])
    field = reader.compiled.page.results.fields["map"]
    files = [str(file) for file in field.columns["file"].data]
    labels = [str(label) for label in field.columns["label"].data]
    points = "document.querySelector('[data-chart=map]').points"
    assert reader.tab.evaluate(f"Boolean({points})")
    reader.tab.locator("#element-map canvas").first.focus()
    reader.tab.keyboard.press("ArrowRight")
    reader.rest()
    shown = reader.tab.locator("#element-one").inner_text()
    assert any(label in shown for label in set(labels)) and len(files) == 24
    assert "contribute most to" in reader.tab.locator(".lead").first.inner_text()


def test_activis_means_are_those_of_the_examples(read):
    reader = read("activis", *SMALLER["activis"])
    means = reader.compiled.page.results.fields["kinds"]
    assert sorted(means.names["shape"].data.tolist()) == ["circle", "cross", "ring", "square", "star", "triangle"]
    spread = means.values.ordered(("channel", "shape")).data.std(1)
    assert (np.diff(spread) <= 1e-3 * spread.max()).all()  # the most telling channel first


def test_one_channel_and_the_pictures_that_excite_it(read):
    reader = read("one_channel", *SMALLER["one_channel"])
    values = reader.data("strongest").values.ravel()
    assert len(values) == 9 and (np.diff(values) <= 0).all()
    spread = reader.data("range").values.ravel()
    assert (np.diff(spread) >= 0).all() and spread[-1] == pytest.approx(values[0])
    assert len(reader.pictures("strongest")) == len(reader.pictures("range")) == 9
    reader.point("strongest", 0)
    titles = reader.tab.eval_on_selector_all("#element-strongest svg title", "all => all.map(n => n.textContent)")
    assert any("red" in title and title.endswith(".png") for title in titles), titles  # the file of the example
    kinds = dict(
        zip(("blue", "green", "grey", "purple", "red", "yellow"), reader.data("kinds").values.ravel(), strict=True)
    )
    assert max(kinds, key=kinds.get) == "red"


def test_a_concept_is_told_from_its_control(read):
    reader = read("rests_on_a_concept", *SMALLER["rests_on_a_concept"])
    words = reader.words("tests")
    assert "striped" in words and "dotted" in words and "chance to" in words
    assert "permuted labels" in reader.tab.locator(".lead").first.inner_text()
    assert len(reader.pictures("stripes")) == 8


def test_what_it_calls_drawings(read):
    reader = read("what_it_calls_shapes", *SMALLER["what_it_calls_shapes"])
    assert reader.data("scores").values.shape == (6, 10)
    words = [reader.tab.locator(f"#element-{name} svg").first.text_content() for name in ("certain", "uncertain")]
    sure, unsure = ([int(found) for found in re.findall(r"(\d+)\s%", one)] for one in words)
    assert len(sure) == len(reader.pictures("certain")) > 0 and min(sure) >= 50
    assert len(unsure) == len(reader.pictures("uncertain")) == 9 and max(unsure) <= 10

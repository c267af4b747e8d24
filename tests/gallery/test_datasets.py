"""The gallery's pages about a dataset, which have no picture of their own: what they say, in the browser."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import expect
from smaller_specs import SMALLER

from bbilang.runtime.page.html import data_of

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


def test_activis_has_a_column_for_a_lasso(read):
    reader = read("activis", *SMALLER["activis"])
    plot = reader.tab.locator('[data-chart="map"] .points')
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    left, right = box["x"] + 55, box["x"] + 0.6 * box["width"]
    top, bottom = box["y"] + 3, box["y"] + box["height"] - 45
    reader.tab.keyboard.down("Shift")
    reader.tab.mouse.move(left, top)
    reader.tab.mouse.down()
    for corner in ((right, top), (right, bottom), (left, bottom)):
        reader.tab.mouse.move(*corner, steps=3)
    reader.tab.mouse.up()
    reader.tab.keyboard.up("Shift")
    chart = "document.querySelector('[data-chart=map]').points"
    reader.tab.wait_for_function(f"() => {chart}.chose !== null")
    mask = np.array(reader.tab.evaluate(f"() => [...{chart}.set.mask()]"), bool)
    assert 2 < mask.sum() < 24
    followed = reader.compiled.page.results.followed["subsets"]
    means = followed["vectors"][:, mask].astype(np.float64).mean(1)
    shown = reader.numbers("subsets")
    assert all(min(abs(mean - number) / abs(mean) for number in shown) < 0.006 for mean in means if mean > 1)
    assert f"{mask.sum()} of 24 examples in the lasso" in reader.words("inside")


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
    assert len(reader.pictures("stripes")) == 8 and len(reader.pictures("icons")) == 2
    assert [text for text in reader.texts("icons") if text in ("striped", "dotted")] == ["striped", "dotted"]


def test_directions_add_up(read, shown):
    reader = read("direction_arithmetic", *SMALLER["direction_arithmetic"])
    name = "red_striped − striped + dotted"
    assert len(reader.pictures("answers")) == 6 and len(reader.pictures("terms")) == 18
    assert len(reader.pictures("icon")) == 1 and len(reader.pictures("icons")) == 3
    shown(reader.numbers("answers"), reader.data("answers").values.ravel())
    assert name in reader.tab.locator(".lead").first.inner_text()
    fields = reader.compiled.page.results.fields
    for element, column, kind in (("textures", "texture", "dotted"), ("colours", "colour", "red")):
        field = fields[element]
        means = dict(zip(field.names[column].data.tolist(), field.values.data.ravel().tolist(), strict=True))
        assert max(means, key=means.get) == kind, means
        assert name in reader.words(element)


def test_what_it_calls_drawings(read):
    reader = read("what_it_calls_shapes", *SMALLER["what_it_calls_shapes"])
    assert reader.data("scores").values.shape == (6, 10)
    words = [reader.tab.locator(f"#element-{name} svg").first.text_content() for name in ("certain", "uncertain")]
    sure, unsure = ([int(found) for found in re.findall(r"(\d+)\s%", one)] for one in words)
    assert len(sure) == len(reader.pictures("certain")) > 0 and min(sure) >= 50
    assert len(unsure) == len(reader.pictures("uncertain")) == 9 and max(unsure) <= 10


def test_which_does_it_get_wrong(read, shown):
    """The planted kinds are found, and what is drawn around, or chosen by a label, has their numbers."""
    reader = read("which_does_it_get_wrong")
    kinds = reader.compiled.page.results.fields["kinds"]
    found = [str(name) for name in kinds.names["slice"].data]
    rates = dict(zip(found, kinds.values.data[:, 0].tolist(), strict=True))
    planted = {"label == square and mark == no", "label == cross and mark == yes", "label == disc and mark == yes"}
    assert planted <= set(found) and all(rates[name] > 0.9 for name in planted)
    assert found[0] in reader.tab.locator(".lead").first.inner_text()
    assert "Twelve examples" in reader.words("some") and len(reader.pictures("some")) == 12
    assert "24 of 300 examples" in reader.words("inside")
    points = "document.querySelector('[data-chart=map]').points"
    reader.tab.locator("#element-map .chips").get_by_role("button", name="square").click()
    reader.tab.wait_for_function(f"() => {points}.chose !== null && {points}.set.chosen === 100")
    reader.rest()
    mask = np.array(reader.tab.evaluate(f"() => [...{points}.set.mask()]"), bool)
    squares = reader.compiled.page.results.fields["map"].columns["label"].data == "square"
    assert mask.tolist() == squares.tolist()
    every = read(
        "which_does_it_get_wrong", ("across([new, wrong, worst, mine])\n        | mean(example)", "across(new)")
    )
    own = every.data("subsets").values  # (example, channel)
    before = reader.data("subsets").values  # (subset, channel)
    drawn = np.concatenate([before[:3], own[squares].mean(0, keepdims=True)])
    shown(sorted(reader.numbers("subsets")), np.sort(drawn, axis=None))  # light and dark numbers are drawn apart
    assert "first 24 of 100 examples in the lasso" in reader.words("inside")
    assert set(reader.texts("inside")) == {"square"}


ATLAS = ("activation_atlas", *SMALLER["activation_atlas"])


def held(reader) -> dict:
    """What the page's data says of the bins."""
    (element,) = data_of(reader.compiled.path.read_text("utf-8"))["elements"]
    return element


def title(reader) -> str:
    return reader.tab.locator("#element-atlas .detail h4").inner_text()


def pressed(reader) -> list[str]:
    buttons = reader.tab.locator("#element-atlas [data-zoom]")
    return [buttons.nth(i).get_attribute("aria-pressed") for i in range(buttons.count())]


def drawn(reader) -> int:
    """How many bins have an icon now."""
    return reader.tab.eval_on_selector_all(
        "#element-atlas svg image", "all => all.filter(n => Number(n.getAttribute('width')) > 0).length"
    )


def count_at(bins: dict, zoom: int) -> int:
    return sum(own == zoom for own in bins["zoom"])


def until_drawn(reader, count: int) -> None:
    reader.tab.wait_for_function(
        "wanted => [...document.querySelectorAll('#element-atlas svg image')]"
        ".filter(n => Number(n.getAttribute('width')) > 0).length === wanted",
        arg=count,
    )


def test_an_atlas_zooms_by_buttons_keys_and_wheel(read):
    reader = read(*ATLAS)
    bins = held(reader)["bins"]
    assert pressed(reader) == ["false", "true", "false"] and bins["side"] == [2, 4, 8]
    until_drawn(reader, count_at(bins, 1))
    reader.tab.locator("#element-atlas [data-zoom='2']").click()
    until_drawn(reader, count_at(bins, 2))
    assert pressed(reader) == ["false", "false", "true"] and "bins%3D8" in reader.tab.url.replace("bins=8", "bins%3D8")
    assert "of 8 × 8 bins" in reader.tab.locator(".lead").first.inner_text()
    chart = reader.tab.locator("[data-chart=atlas]")
    chart.focus()
    reader.tab.keyboard.press("-")
    until_drawn(reader, count_at(bins, 1))
    reader.tab.keyboard.press("0")
    until_drawn(reader, count_at(bins, 0))
    reader.tab.keyboard.press("+")
    until_drawn(reader, count_at(bins, 1))
    box = chart.bounding_box()
    reader.tab.mouse.move(box["x"] + 60, box["y"] + 60)
    reader.tab.keyboard.down("Control")
    reader.tab.mouse.wheel(0, -120)
    reader.tab.keyboard.up("Control")
    until_drawn(reader, count_at(bins, 2))
    reader.tab.reload()
    reader.tab.wait_for_selector("html[data-ready]")
    assert pressed(reader) == ["false", "false", "true"]  # the address knows it


def test_pointing_at_a_bin_tells_what_is_in_it(read):
    reader = read(*ATLAS)
    bins, tables = held(reader)["bins"], reader.data("atlas").tables
    own = [cell for cell, zoom in enumerate(bins["zoom"]) if zoom == 1]
    fullest = max(own, key=lambda cell: bins["count"][cell])
    row, column = divmod(bins["slot"][fullest], 4)
    assert title(reader) == f"Row {row + 1}, column {column + 1} of 4 × 4"  # until another is pointed at
    for cell in (own[0], own[-1]):
        row, column = divmod(bins["slot"][cell], 4)
        box = reader.tab.locator("[data-chart=atlas] svg").bounding_box()
        side = (box["width"] - 12) / 4
        reader.tab.mouse.move(box["x"] + 6 + (column + 0.5) * side, box["y"] + 6 + (row + 0.5) * side)
        wanted = f"Row {row + 1}, column {column + 1} of 4 × 4"
        reader.tab.wait_for_function(
            "wanted => document.querySelector('#element-atlas .detail h4').textContent === wanted", arg=wanted
        )
        detail = reader.tab.locator("#element-atlas .detail")
        words = detail.inner_text()
        assert f"{bins['count'][cell]} activation" in words
        shown = {
            line.locator("dt").inner_text(): float(line.locator("dd span").inner_text().replace("\u2212", "-"))
            for line in detail.locator("dl > div").all()
        }
        for number, value in zip(tables["class"][1][cell], tables["attribution"][1][cell], strict=True):
            name = reader.compiled.page.results.labels(int(number))
            assert shown[name] == pytest.approx(value, rel=1e-3)
        assert detail.locator(".patches img").count() >= 1 and detail.locator("img.icon").count() == 1
    reader.away()
    assert title(reader) == wanted  # stays, so that it can be read


def test_an_atlas_by_keyboard_and_as_a_table(read):
    reader = read(*ATLAS)
    element = held(reader)
    chart = reader.tab.locator("[data-chart=atlas]")
    chart.focus()
    reached = set()
    for key in ("ArrowRight", "ArrowDown", "ArrowRight", "ArrowUp", "ArrowLeft"):
        reader.tab.keyboard.press(key)
        reached.add(title(reader))
        assert title(reader)[1:] in reader.tab.locator("#status").text_content()
    assert len(reached) >= 3
    assert "bins" in chart.get_attribute("aria-label")
    table = reader.tab.locator("#element-atlas .points-table")
    table.locator("summary").click()
    rows = table.locator("tbody tr")
    expect(rows).to_have_count(count_at(element["bins"], 1))
    rows.nth(0).locator("button").click()
    reader.tab.wait_for_function(
        "() => document.querySelector('#element-atlas .detail h4').textContent"
        " === document.querySelector('#element-atlas tbody th').textContent"
    )


@pytest.mark.parametrize("width", [390, 1280])
def test_an_atlas_fits(read, width):
    reader = read(*ATLAS, width=width, color_scheme="dark" if width < 400 else "light")
    assert reader.tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    chart, details = (reader.tab.locator(f"#element-atlas {it}").bounding_box() for it in (".chart", ".details"))
    assert (details["y"] >= chart["y"] + chart["height"]) == (width < 400)
    reader.tab.emulate_media(media="print")
    assert not reader.tab.locator("#element-atlas [data-zoom]").first.is_visible()
    assert reader.tab.locator("#element-atlas .detail h4").is_visible()

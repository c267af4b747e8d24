"""The channel interfaces: why, where, and what feeds them."""

from __future__ import annotations

import numpy as np
import pytest
from closeness import close_to, within
from smaller_specs import SMALLER

pytestmark = pytest.mark.browser


def test_teaser(read, shown):
    reader = read("teaser")
    blocks = reader.data("blocks")

    def rows(why, rather_than):
        """The net evidence, the evidence for either class."""
        own, other = blocks.values[why, rather_than].T
        return [own - other, own, other]

    def bars():
        """(colour, length in pixels) of each bar."""
        read = """all => all.map(group => [...group.querySelectorAll("path")].map(node => [node.getAttribute("fill"),
            node.getBoundingClientRect().width])).filter(one => one.length == 18)[0]"""
        return reader.tab.eval_on_selector_all("#element-blocks svg .mark-rect", read)

    shown(reader.numbers("blocks"), rows(0, 1))
    drawn = bars()
    assert len({fill for fill, _ in drawn[6:12]}) == len({fill for fill, _ in drawn[12:]}) == 1
    assert [fill for fill, _ in drawn[:6]] == [drawn[6][0]] * 3 + [drawn[12][0]] * 3  # the net: for one, for the other
    lengths, numbers = np.array([length for _, length in drawn]), np.ravel(np.abs(rows(0, 1)))
    most = numbers.argmax()
    within(
        lengths / lengths[most],
        numbers / numbers[most],
        absolute=0.02,
        because="a page draws lengths to a part of a pixel",
    )
    before = reader.pictures("photo")
    reader.point("blocks", 3)
    channel = blocks.coords["channel"][1][0, 1, 3]
    assert f"channel {channel}" in reader.tab.locator("#element-photo figcaption").inner_text()
    assert f"channel={channel}" in reader.tab.url
    after = reader.pictures("photo")
    assert after[0] == before[0] and after[1:] != before[1:]  # the photo stays, the map over it changes
    icons = reader.pictures("blocks")
    reader.tab.locator("select").nth(1).select_option(label="lynx")
    reader.rest()
    lynx = reader.tab.locator("select").nth(1).evaluate("node => node.selectedIndex")
    assert reader.pictures("blocks") != icons and "lynx" in reader.texts("blocks")
    shown(reader.numbers("blocks"), rows(0, lynx))
    url = reader.tab.url
    reader.tab.goto("about:blank")
    reader.tab.goto(url)  # the address shows this state again
    reader.tab.wait_for_selector("html[data-ready]")
    assert reader.tab.locator("select").nth(1).evaluate("node => node.selectedOptions[0].textContent").strip() == "lynx"


def test_spatial_and_channel(read, shown):
    """For each icon the map whose sum is the number, in the order of the icons."""
    reader = read("spatial_and_channel")
    icons, maps = reader.data("icons"), reader.data("maps")
    shown(reader.numbers("icons"), icons.values)
    close_to(maps.values.sum((0, 1)), icons.values, terms=np.abs(maps.values).sum((0, 1)))
    assert len(reader.pictures("maps")) == 2 * len(reader.pictures("icons")) == 16  # the photo below each map
    channels = [f"channel {channel}" for channel in icons.coords["channel"][1]]
    assert [text for text in reader.texts("icons") if text in channels] == channels
    titles = [reader.text_mark("maps", channel) for channel in channels]
    assert [(it["y"], it["x"]) for it in titles] == sorted((it["y"], it["x"]) for it in titles)


def test_channel_attribution(read, shown):
    """Two layers, and two channels a layer to click, so that the test is short."""
    reader = read("channel_attribution", *SMALLER["channel_attribution"])
    icons, classes = reader.data("icons"), reader.data("classes")
    channels = reader.atoms("icons", "channel")
    assert icons.axes == ("root", "layer", "channel")
    start = len(icons.values) - 1  # the output comes after the channels
    assert "the output" in reader.words("icons")
    shown(reader.numbers("icons"), icons.values[start])
    photo, drawn = reader.pictures("photo"), reader.pictures("icons")
    pointed = channels[start, 0, 1]
    reader.point("icons", 1)  # the second of the later layer
    assert f"block6a.expand, channel {pointed}" in reader.words("classes")
    assert reader.pictures("photo")[0] == photo[0] and reader.pictures("photo")[1:] != photo[1:]
    (state,) = [
        i for i, position in enumerate(zip(*(classes.coords[c][1].tolist() for c in ("layer", "channel")), strict=True))
        if position == (0, pointed)
    ]  # fmt: skip
    shown(reader.numbers("classes"), classes.values[state])
    first = channels[start, 0, 0]
    reader.click("icons", 0)
    assert (
        f"block6a.expand, channel {first}" in reader.words("icons")
        and f"root=block6a.expand+channel={first}" in reader.tab.url
    )
    now = next(i for i, row in enumerate(icons.values) if np.isfinite(row[0]).sum() == 1 and channels[i, 0, 0] == first)
    shown(reader.numbers("icons"), icons.values[now])  # what feeds it, and itself in its own layer
    assert reader.pictures("icons") != drawn
    reader.click("icons", 0)  # again: back to the output
    assert "the output" in reader.words("icons") and "root=" not in reader.tab.url
    shown(reader.numbers("icons"), icons.values[start])
    assert reader.pictures("icons") == drawn
    tab = read("channel_attribution", *SMALLER["channel_attribution"], width=390, color_scheme="dark").tab
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390

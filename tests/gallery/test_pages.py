"""The gallery's pages, compiled with tiny icons and driven in a real browser as a reader would."""

from __future__ import annotations

from pathlib import Path

import pytest

import bbilang

ROOT = Path(__file__).parents[2]
SPECS = sorted((ROOT / "specs").glob("*.bbi"))
TINY = {"featvis.size": 16, "featvis.steps": 2}


@pytest.fixture(scope="module", params=SPECS, ids=lambda path: path.stem)
def compiled(request, tmp_path_factory):
    page = bbilang.run(request.param.read_text("utf-8"), settings=TINY)
    path = page.save(tmp_path_factory.mktemp("pages") / f"{request.param.stem}.html")
    return request.param.stem, page, path


@pytest.fixture
def opened(compiled, chromium):
    """A tab with the page; at the end nothing was asked of a network and nothing complained."""
    name, page, path = compiled
    complaints: list[str] = []
    tab = chromium.new_page(viewport={"width": 1280, "height": 900})
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("request", lambda r: complaints.append(r.url) if not r.url.startswith(("file:", "data:", "blob:")) else None)
    tab.goto(path.as_uri())
    tab.wait_for_function("document.querySelectorAll('.chart svg').length > 0")
    tab.wait_for_timeout(300)
    yield name, page, tab
    tab.close()
    assert not complaints


def _shown(tab, element):
    """What the element's pictures are now."""
    return tab.eval_on_selector_all(f"#element-{element} svg image", "nodes => nodes.map(n => n.href.baseVal)")


def test_size_and_words(compiled):
    name, page, path = compiled
    assert path.stat().st_size < 4_000_000
    html = path.read_text("utf-8")
    assert bbilang.extract(html) == (ROOT / "specs" / f"{name}.bbi").read_text("utf-8")
    for words in ("EfficientNet-Lite0", "tiger cat", page.view.provenance.fingerprint, "seed"):
        assert words.lower() in html.lower()


def test_passes(compiled):
    """One forward serves everything; the teaser has one backward for each of six classes, the rest one or none."""
    name, page, _ = compiled
    expected = {"teaser": (1, 6), "semantic_dictionary": (1, 0), "spatial_and_channel": (1, 1)}
    assert page.results.model_passes == expected[name]


@pytest.mark.browser
def test_driven(opened):
    name, page, tab = opened
    if name == "teaser":
        _teaser(page, tab)
    elif name == "semantic_dictionary":
        _dictionary(tab)
    else:
        _maps(page, tab)


def _teaser(page, tab):
    before = _shown(tab, "photo")
    box = tab.locator("#element-blocks svg image").nth(3).bounding_box()
    tab.mouse.move(box["x"] + 20, box["y"] + 20)
    tab.wait_for_timeout(200)
    channel = page.data("blocks").coords["channel"][1][0, 1, 3]
    assert f"channel {channel}" in tab.locator("#element-photo figcaption").inner_text()
    assert f"channel={channel}" in tab.url
    after = _shown(tab, "photo")
    assert after[0] == before[0] and after[1:] != before[1:]  # the photo stays, the map over it changes
    icons = _shown(tab, "blocks")
    tab.locator("select").nth(1).select_option(label="lynx")
    tab.wait_for_timeout(200)
    assert _shown(tab, "blocks") != icons
    assert "lynx" in tab.locator("#element-blocks").inner_text()
    place = tab.url
    tab.goto("about:blank")
    tab.goto(place)  # the address shows this state again
    tab.wait_for_function("document.querySelectorAll('.chart svg').length > 1")
    tab.wait_for_timeout(300)
    assert tab.locator("select").nth(1).evaluate("node => node.selectedOptions[0].textContent").strip() == "lynx"


def _dictionary(tab):
    before = tab.locator("#element-words svg").text_content()
    box = tab.locator("#element-photo svg image").first.bounding_box()
    tab.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + box["height"] * 0.1)
    tab.wait_for_timeout(200)
    assert tab.locator("#element-words svg").text_content() != before
    assert "row 1, column 12" in tab.locator("#element-words").inner_text()
    tab.locator("#element-photo .chart").focus()
    tab.keyboard.press("ArrowDown")
    tab.wait_for_timeout(200)
    assert "row 2, column 12" in tab.locator("#element-words").inner_text()


def _maps(page, tab):
    channels = page.data("icons").coords["channel"][1]
    assert len(_shown(tab, "maps")) == len(channels) == 8
    text = tab.locator("#element-maps").inner_text()
    assert all(f"channel {c}" in text for c in channels)


@pytest.mark.browser
def test_narrow_and_dark(compiled, chromium):
    _, _, path = compiled
    tab = chromium.new_page(viewport={"width": 375, "height": 800}, color_scheme="dark")
    tab.goto(path.as_uri())
    tab.wait_for_function("document.querySelectorAll('.chart svg').length > 0")
    tab.wait_for_timeout(300)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 375
    background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(int(v) for v in background[background.index("(") + 1 : -1].split(",")[:3]) < 200
    tab.close()

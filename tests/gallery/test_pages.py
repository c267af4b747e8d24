"""What holds of every page of the gallery: its size, its words, phones and the dark."""

from __future__ import annotations

from pathlib import Path

import pytest
from text_sizes import ALLOWED, sizes

import bbilang

ROOT = Path(__file__).parents[2]
# Those whose numbers take long are compiled by their own tests, of fewer layers, classes, channels or steps.
LONG = {"spatial_attribution", "channel_attribution", "methods_side_by_side", "which_pixels_which_concepts"}
NAMES = sorted({path.stem for path in (ROOT / "specs").glob("*.bbi")} - LONG)


@pytest.mark.browser
@pytest.mark.parametrize("name", NAMES)
def test_page(name, compiled, read):
    made = compiled(name)
    assert made.path.stat().st_size < 4_000_000
    html = made.path.read_text("utf-8")
    assert bbilang.extract(html) == made.text
    for words in ("EfficientNet-Lite0", "tiger cat", made.page.view.provenance.fingerprint, "seed"):
        assert words.lower() in html.lower()
    tab = read(name, width=390, color_scheme="dark").tab
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(int(v) for v in background[background.index("(") + 1 : -1].split(",")[:3]) < 200
    charts = tab.eval_on_selector_all("[data-chart]", "all => all.map(n => n.getAttribute('aria-label'))")
    assert charts and all(charts)
    assert sizes(tab) <= ALLOWED

"""Can I trust this: whiskers equal the numbers; curves, the notes below them, and warnings above the picture."""

from __future__ import annotations

import re

import numpy as np
import pytest
from closeness import within

NAME = "can_i_trust_this"
COMPLETE = "attribute(output, method=integrated_gradients(n_steps=64))"
GUIDED = (
    f"{COMPLETE}\n        | trust(deletion)",
    "attribute(output, method=guided_backprop)\n        | trust(deletion)",
)


@pytest.mark.browser
def test_whiskers_stand_at_the_numbers(read):
    page = read(NAME)
    data = page.data("channels")
    values = data.values.reshape(-1, 2)
    assert data.axes[-1] == "measure" and values.shape == (8, 2)
    texts = [text for text in page.texts("channels") if "±" in text and text[0].isdigit()]
    own, off = zip(*(map(float, text.split(" ±")) for text in texts), strict=True)
    within(own, values[:, 0], absolute=0.006, because="a page prints two digits")
    within(off, values[:, 1], absolute=0.006, because="a page prints two digits")
    assert "± path dependence" in page.texts("channels")
    # Whiskers are drawn to scale: their lengths are as the spreads.
    boxes = page.tab.eval_on_selector_all(
        "#element-channels svg .mark-rect path",
        "all => all.map(n => n.getBBox()).map(b => [b.x, b.y, b.width, b.height])",
    )
    wide = sorted(box[2] for box in boxes if 1.2 < box[3] < 1.8 and box[2] > 4)
    lengths = np.sort(2 * values[:, 1])
    assert len([w for w in wide if w > 12.1]) >= 6
    within(
        np.array(wide[-4:]) / wide[-1],
        lengths[-4:] / lengths[-1],
        absolute=0.03,
        because="lengths are read off the drawing",
    )


@pytest.mark.browser
def test_what_stands_below(read):
    page = read(NAME)
    page.tab.locator("details").evaluate_all("all => all.forEach(node => (node.open = true))")
    for element, measures in {
        "channels": ["path dependence", "random weights", "class sensitivity", "agreement", "completeness"],
        "exact": ["path dependence", "completeness"],
        "removed": ["deletion"],
        "forgets": ["random weights"],
    }.items():
        terms = page.tab.locator(f"#element-{element} .trust dt").all_inner_texts()
        assert [
            re.sub(r"\s*\(?(Olah|Adebayo|Sixt|Krishna|Sundararajan|Petsiuk).*", "", t).strip() for t in terms
        ] == measures
        assert all(page.tab.locator(f"#element-{element} .trust em").all_inner_texts())
    words = page.words("channels")
    assert "does not make" in words and "Adebayo et al. 2018" in words
    assert page.tab.locator(".distrust").count() == 0  # it passes all of them


def test_what_the_captions_say(compiled):
    """Linear attribution misses the score of 9.17 everywhere but at `head`, the last of the layers; a complete method
    only at the side branch, the third."""
    page = compiled(NAME).page
    linear, complete = (page.data(name).values.tolist() for name in ("linear_sums", "complete_sums"))
    within(linear, [-0.27, -3.54, -1.44, -2.50, 9.17], absolute=0.01, because="as the documentation rounds them")
    within(complete, [10.03, 10.08, 0.25, 10.09, 9.87], absolute=0.01, because="as the documentation rounds them")
    within(
        page.data("channels").values.reshape(-1, 2)[:, 0].sum(),
        4.57,
        absolute=0.01,
        because="as the documentation rounds it",
    )


@pytest.mark.browser
def test_curves(read):
    page = read(NAME)
    assert {"by the attribution", "in random order"} <= set(page.texts("removed"))
    assert {"trained", "all random"} <= set(page.texts("forgets"))
    assert page.tab.locator("#element-removed svg .mark-line path").count() == 2


@pytest.mark.browser
def test_a_method_that_ignores_the_class_says_so(read):
    """A known weakness of a method is not a warning: it is a sentence under "How to read this"."""
    page = read(NAME, GUIDED)
    assert page.tab.locator("#element-removed .distrust").count() == 0
    page.tab.locator("details").evaluate_all("all => all.forEach(node => (node.open = true))")
    words = page.words("removed")
    assert "Adebayo" in words and "Guided backprop" in words


def test_the_page_without_a_browser(compiled):
    """Readers of the file, of JSON and of the picture are informed as well."""
    view = compiled(NAME, GUIDED).page.view
    (element,) = (e for i in view.interfaces for e in i.elements if e.id == "removed")
    assert any("Adebayo" in note for note in element.legend.notes) and element.legend.trust[0].title == "deletion"

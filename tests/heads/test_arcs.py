"""Arcs over the words of a text: the weights of attention, under the pointer and the keyboard, from the right where a
text is written so."""

from itertools import pairwise

import numpy as np
import pytest
from by_hand_heads import TEXT, Words, gpt2
from libraries import need

import bbilang

ARCS = "looks = h.1.attn.head | attention | present(arcs, facet=head)"
HEBREW = "החתול ישב על המחצלת"


def made(text=f"text:{TEXT}", pipe=ARCS):
    need("transformers")
    adapter = bbilang.adapt_text(gpt2("sdpa"), Words(), [str(n) for n in range(50)])
    return bbilang.run(pipe, model=adapter, input=text, cache=False)


def test_the_arcs_are_the_weights():
    page = made()
    element = page.view.interfaces[0].elements[0]
    matrix = made(pipe="looks = h.1.attn.head | attention | present(matrix, facet=head)")
    own = np.array([panel.frames[0].values for panel in element.panels], float)
    assert own.shape == (4, 6, 6) and np.abs(own - np.asarray(matrix.data("looks").values)).max() < 1e-4
    last, best = own[0, -1], TEXT.split()[int(own[0, -1].argmax())]
    words = "".join(piece.words for piece in element.answers[0])
    assert f"“{best}” ({100 * last.max():.0f}" in words and words.startswith("The last word, “mat”")


def test_what_is_refused(fails):
    with fails("E365", "no `query` and `key`"):
        made(pipe="looks = h.1.attn.head | attention(query=2) | present(arcs, facet=head)")
    with fails("E365", "some were left out"):
        made(pipe="looks = h.1.attn.head[0] | attention | top(2, along=key) | present(arcs)")


@pytest.mark.browser
def test_a_word_shows_its_arcs(chromium, tmp_path):
    context = chromium.new_context()
    page, troubles = context.new_page(), []
    page.on("pageerror", lambda problem: troubles.append(str(problem)))
    page.goto(made().save(tmp_path / "page.html").as_uri())
    page.wait_for_selector("html[data-ready]")
    chart = page.locator("figure.element").first
    shares = chart.locator("svg text").filter(has_text="%")
    assert shares.count() == 0
    box = chart.locator("svg").get_by_text("mat", exact=True).first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_function("document.querySelector('figure.element svg').textContent.includes('%')")
    matrix = np.array([panel.frames[0].values for panel in made().view.interfaces[0].elements[0].panels], float)
    assert shares.count() == int((matrix[:, 5] >= 0.01).sum())
    assert sorted(shares.all_text_contents()) == sorted(f"{100 * x:.0f}%" for x in matrix[:, 5].ravel() if x >= 0.01)
    page.mouse.move(1, 1)
    page.wait_for_function("!document.querySelector('figure.element svg').textContent.includes('%')")
    chart.locator("[data-chart]").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelector('figure.element svg').textContent.includes('%')")
    context.close()
    assert troubles == []


@pytest.mark.browser
def test_a_text_from_the_right(chromium, tmp_path):
    context = chromium.new_context()
    page = context.new_page()
    page.goto(made(f"text:{HEBREW}").save(tmp_path / "page.html").as_uri())
    page.wait_for_selector("html[data-ready]")
    boxes = [page.locator("figure.element svg").get_by_text(word, exact=True).first.bounding_box()
             for word in HEBREW.split()]  # fmt: skip
    context.close()
    assert all(first["x"] > second["x"] for first, second in pairwise(boxes))

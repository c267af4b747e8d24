"""A page of heads in a browser: a word shows where it looks, under the pointer."""

import pytest
from by_hand_heads import TEXT, Words, gpt2
from libraries import need

import bbilang

LOOKS = """words = h.1.attn.heads.token | activation | present(heatmap)
looks = h.1.attn.head[2] | attention | at(hover(words, start=1)) | present(heatmap, facet=head)"""


@pytest.mark.browser
def test_a_word_shows_where_it_looks(chromium, tmp_path):
    need("transformers")
    adapter = bbilang.adapt_text(gpt2("sdpa"), Words(), [str(n) for n in range(50)])
    made = bbilang.run(LOOKS, model=adapter, input=f"text:{TEXT}", cache=False)
    context = chromium.new_context()
    page, troubles = context.new_page(), []
    page.on("pageerror", lambda problem: troubles.append(str(problem)))
    page.goto(made.save(tmp_path / "page.html").as_uri())
    page.wait_for_selector("html[data-ready]")
    chosen = page.locator("figure.element").nth(1).locator("figcaption, h2, h3, header").first
    chosen.filter(has_text="cat").wait_for()
    box = page.locator("figure.element").first.locator("svg").get_by_text("mat", exact=True).first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    chosen.filter(has_text="mat").wait_for()
    context.close()
    assert troubles == []

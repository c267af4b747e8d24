"""The diagram of a network: its connections and box positions, also in a browser."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import bbilang
from bbilang.compiler.ir.model_description import LayerDescription, ModelDescription
from bbilang.runtime.models.adapt import adapt
from bbilang.runtime.styles.graph import edges_of, positions_of, shape_words


class Fork(nn.Module):
    """Three branches beside each other, one of them longer, and what enters added at the end."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.short, self.long, self.longer = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.join = Join()
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))

    def forward(self, x):
        x = self.stem(x)
        return self.head(self.join(self.short(x), self.longer(self.long(x)) + x))


class Join(nn.Module):
    def forward(self, x, y):
        return torch.cat([x, y], 1)


LAYERS = ("stem", "short", "long", "longer", "join")


@pytest.fixture(scope="module")
def page():
    torch.manual_seed(0)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))
    text = f"[{', '.join(LAYERS)}].whole | activation | present(graph)"
    return bbilang.run(text, model=adapt(Fork(), (16, 16), name="fork"), input=picture, cache=False)


def test_edges_and_positions(page):
    element = page.view.interfaces[0].elements[0]
    assert [atom.label for atom in element.atoms] == list(LAYERS)
    assert set(element.options["edges"]) == {(0, 1), (0, 2), (2, 3), (0, 4), (1, 4), (3, 4)}
    assert element.options["places"] == ((0, 0, 1), (1, 1, 2), (1, 0, 2), (2, 0, 1), (3, 0, 1))
    assert element.options["shapes"][-1] == "8 x 16 x 16"
    assert element.legend.domain[0] == 0 and all(row[0] > 0 for row in element.panels[0].frames[0].values)


def test_a_description_without_inputs_is_a_chain():
    layers = tuple(LayerDescription(name, name, ("channel",), (2,)) for name in "abc")
    assert edges_of(ModelDescription("m", "m", (8, 8), layers, 2), ("a", "b", "c")) == ((0, 1), (1, 2))


def test_rows_follow_what_a_layer_waits_for():
    assert positions_of(3, ((0, 1), (1, 2))) == ((0, 0, 1), (1, 0, 1), (2, 0, 1))
    assert positions_of(4, ((0, 1), (0, 2), (1, 3), (2, 3))) == ((0, 0, 1), (1, 0, 2), (1, 1, 2), (2, 0, 1))
    assert positions_of(1, ()) == ((0, 0, 1),)


def test_a_block_that_is_gone_round_says_so():
    description = bbilang.runtime.models.descriptions.describe("efficientnet_lite0")
    assert shape_words(description, "block2b") == "24 x 56 x 56, skip inside"
    assert shape_words(description, "block2a") == "24 x 56 x 56"
    assert edges_of(description, ("block2a", "block2b.expand", "block2b")) == ((0, 1), (0, 2), (1, 2))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("short.channel | present(graph)", "no axis `layer`"),
        ("[stem, short].whole | activation | top(1) | present(graph)", "all layers in order"),
    ],
)
def test_what_is_no_graph(text, words):
    with pytest.raises(bbilang.BbiError) as caught:
        bbilang.run(text, model=adapt(Fork(), (16, 16)), input=Image.new("RGB", (16, 16)), cache=False)
    assert caught.value.diagnostics[0].code == "E304" and words in caught.value.diagnostics[0].message


def test_the_example_of_the_page_about_models():
    text = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```bbi\n(.*?)^```", text, re.M | re.S)
    assert bbilang.check(bbilang.parse(example), input="sample:chelsea").elements


@pytest.mark.browser
def test_a_browser_draws_it(page, chromium, tmp_path):
    path = page.save(tmp_path / "graph.html")
    faults = []
    tab = chromium.new_page(viewport={"width": 700, "height": 900})
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on("console", lambda message: faults.append(message.text) if message.type in ("warning", "error") else None)
    tab.goto(path.as_uri())
    tab.wait_for_selector("figure svg, figure canvas")
    texts = tab.locator("figure svg text").all_text_contents()
    assert faults == []
    assert [text for text in LAYERS if text not in texts] == [] and "8 x 16 x 16" in texts
    boxes = tab.evaluate(
        "() => [...document.querySelectorAll('figure svg text')].map(t => [t.textContent, t.getBoundingClientRect().y])"
    )
    height = dict(boxes)
    assert height["stem"] < height["long"] == height["short"] < height["longer"] < height["join"]
    tab.close()


@pytest.mark.browser
def test_on_a_dark_page_boxes_and_words_turn(page, chromium, tmp_path):
    tab = chromium.new_page(viewport={"width": 700, "height": 900}, color_scheme="dark")
    tab.goto(page.save(tmp_path / "graph.html").as_uri())
    tab.wait_for_selector("html[data-ready]")
    look = "all => all.map(it => getComputedStyle(it).filter)"
    for named, count in (("scale_boxes_", 1), ("letters_", 3)):
        filters = tab.eval_on_selector_all(f"svg [class*={named}]", look)
        assert len(filters) == count and all("invert" in words for words in filters)
    tab.close()


def test_a_page_with_a_graph_needs_no_vega(page):
    assert "vega" not in page.html().lower().split("</style>")[-1].split('id="bbi-data"')[0]

"""Numbers that The Building Blocks of Interpretability published (Olah et al. 2018, CC-BY 4.0), through operations."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from closeness import close_to, within
from torch import nn

from bbilang.runtime.models.adapt import adapt

ARTICLE = Path(__file__).parents[3] / "shared" / "data" / "article"
pytestmark = pytest.mark.skipif(not ARTICLE.is_dir(), reason=f"the article's numbers are not at {ARTICLE}")
PHOTOS = ["pig", "beer"]


class Published(nn.Module):
    """A layer that gives published activations (channel, y, x), and scores that are linear in them: ``weight`` (class,
    channel, y, x)."""

    def __init__(self, layer: str, activation: np.ndarray, weight: np.ndarray):
        super().__init__()
        self.register_buffer("activation", torch.from_numpy(np.ascontiguousarray(activation, np.float32)))
        self.register_buffer("weight", torch.from_numpy(np.ascontiguousarray(weight, np.float32)))
        self.layer = layer
        self.add_module(layer, nn.ReLU())  # a layer that only passes on is none

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        cube = getattr(self, self.layer)(self.activation.expand(len(x), *self.activation.shape))
        return torch.einsum("icyx,kcyx->ik", cube, self.weight.expand(-1, *cube.shape[1:]))


def model(layer: str, activation: np.ndarray, weight: np.ndarray, labels: list[str]):
    return adapt(Published(layer, activation, weight), (tiny.SIZE, tiny.SIZE), labels=labels, name="published")


def read(photo: str, name: str):
    return json.loads((ARTICLE / photo / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("photo", PHOTOS)
def test_semantic_dictionary(photo):
    """At every position the channels that activate most, in order."""
    cube = np.load(ARTICLE / photo / "mixed4d_activations.npy")[0]  # y, x, channel
    adapter = model("mixed4d", cube.transpose(2, 0, 1), np.zeros((2, 528, 1, 1)), ["one", "two"])
    text = """
photo = input | present(image)
cell = hover(mixed4d.spatial, start=[5, 10])
mixed4d.neuron | activation | at(cell) | top(4) | present(featvis, size=value)"""
    results = tiny.run(text, model=adapter)
    field = results.fields["element-2"]
    actual = field.values.ordered(("input", "cell", "channel")).data[0].reshape(14, 14, 4)
    channels = field.coords["channel"].ordered(("input", "cell", "channel")).data[0].reshape(14, 14, 4)
    for y, x in np.ndindex(14, 14):
        best = np.argsort(-cube[y, x], kind="stable")[:4]
        assert channels[y, x].tolist() == best.tolist()
        close_to(actual[y, x], cube[y, x, best])
    if photo == "pig":
        assert channels[5, 10].tolist() == [446, 245, 403, 374]
        within(
            actual[5, 10], [146.4, 131.9, 119.7, 115.4], absolute=0.06, because="published with one digit, of float16"
        )
        view = tiny.view_of(results)
        assert view.selections[0].start == 5 * 14 + 10
        frame = view.interfaces[0].elements[1].panels[0].frames[5 * 14 + 10]
        assert frame.values[0] == (146.4,) and frame.sizes[0] > frame.sizes[1] > frame.sizes[2]


@pytest.mark.parametrize("photo", PHOTOS)
def test_the_teaser_orders_channels_by_difference(photo):
    """Three channels for a class and three against it; the attributions are the published ones."""
    pairs = {key: rows for key, rows in read(photo, "teaser.json").items() if key.replace("-", "").isdigit()}
    assert len(pairs) == 6
    for rows in pairs.values():
        rows = [row for row in rows if row != "..."]
        weight = np.zeros((2, 528, 1, 1))
        for row in rows:
            weight[:, row["c"], 0, 0] = row["nv0"], row["nv1"]
        adapter = model("mixed4d", np.ones((528, 1, 1)), weight, ["for", "against"])
        text = (
            'mixed4d.channel | attribute([output["for"], output["against"]]) | both(3, by=difference) | present(bars)'
        )
        assert tiny.coordinates(text, "channel", model=adapter).tolist() == [row["c"] for row in rows]
        expected = np.array([(row["nv0"], row["nv1"]) for row in rows])
        close_to(tiny.values(text, "channel", "class", model=adapter), expected)


@pytest.mark.parametrize("layer", ["mixed3a", "mixed4a", "mixed4d", "mixed5a"])
@pytest.mark.parametrize("photo", PHOTOS)
def test_classes_of_a_position(photo, layer):
    """The five classes that each position speaks for most. The file rounds to thousandths, has 0 for less than nothing,
    and names classes: each of the 50 columns must turn out to be one class."""
    attribution = np.load(ARTICLE / photo / "spatial_attribution_top50.npz")[layer]  # y, x, class
    published = read(photo, "spatial_attr.json")["layers"][layer]
    adapter = model(layer, np.ones((1, *attribution.shape[:2])), attribution.transpose(2, 0, 1)[:, None], [])
    text = f"""
photo = input | present(image)
cell = hover({layer}.spatial)
{layer}.spatial | attribute(output.class) | at(cell) | top(5, along=class) | present(bars)"""
    field = tiny.run(text, model=adapter).fields["element-2"]
    values = field.values.ordered(("input", "cell", "class")).data[0]
    columns = field.coords["class"].ordered(("input", "cell", "class")).data[0]
    rows = [cell for row in published for cell in row]
    within(
        np.maximum(values, 0),
        [[entry["v"] for entry in row] for row in rows],
        absolute=1e-3,
        because="published with three digits",
    )
    named: dict[int, Counter] = defaultdict(Counter)
    for row, places in zip(rows, columns, strict=True):
        for entry, column in zip(row, places.tolist(), strict=True):
            if entry["v"] > 0:
                named[column][entry["n"]] += 1
    for classes in named.values():  # ties of rounded numbers may stand in another order
        assert classes.most_common(1)[0][1] >= 0.9 * sum(classes.values())
    winners = [classes.most_common(1)[0][0] for classes in named.values()]
    assert len(set(winners)) == len(winners)

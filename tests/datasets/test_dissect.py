"""`dissect`: from a text to numbers, on a network whose channels answer to colours."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.data.dataset import open_dataset
from bbilang.runtime.data.sampling import sampled
from bbilang.runtime.execution.scanned_dataset import ScannedDataset

TEXT = """dataset shapes = "sample:shapes"
dataset some = shapes | sample(150)
found = seen.neuron | dissect(some, quantile={quantile})
found | max(segment) | top(2) | present(bars)
all = found | present(matrix)
"""
COLOURS = ("red", "green", "blue")
CEILING = 3


class Colours(nn.Module):
    """`seen`: red, green and blue above the other two, and a channel at its ceiling nearly everywhere (16 x 16)."""

    def __init__(self):
        super().__init__()
        self.seen = nn.Sequential(nn.AvgPool2d(8), nn.Conv2d(3, 4, 1), nn.ReLU6())
        with torch.no_grad():
            weight = torch.eye(3) * 9 - 4.5 * (1 - torch.eye(3))
            self.seen[1].weight.copy_(torch.cat([weight, torch.full((1, 3), 90.0)])[..., None, None])
            self.seen[1].bias.copy_(torch.tensor([-0.3, -0.3, -0.3, 0.0]))
        self.head = nn.Linear(4, 3)

    def forward(self, images):
        return self.head(self.seen(images).mean((2, 3)))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Colours()


def page(folder, network, quantile=0.97, text=TEXT):
    (folder / "page.bbi").write_text(text.format(quantile=quantile))
    return bbilang.run(folder / "page.bbi", model=bbilang.adapt(network, 128), cache=folder / "cache")


def slow(network, quantile, column="split", values=("train", "test")):
    """The definition, one channel, picture and segment after the other."""
    dataset = open_dataset("sample:shapes")
    rows = sampled([str(name) for name in dataset.files], 150, 0)
    rows = rows[np.isin(dataset.columns[column][rows], values)]
    maps, masks = {}, {}
    for row in rows:
        picture = torch.tensor(np.asarray(dataset.picture(row)) / 255, dtype=torch.float32).movedim(-1, 0)
        with torch.no_grad():
            maps[row] = network.seen(picture[None])
        masks[row] = dataset.segments(row).reshape(17, 64, 2, 64, 2).mean((2, 4)) >= 0.5
    train = [row for row in rows if dataset.columns[column][row] == values[0]]
    result = np.zeros((4, 17))
    for channel in range(4):
        level = np.quantile(
            np.concatenate([maps[row][0, channel].numpy().ravel() for row in train]).astype(float), quantile
        )
        both, either = np.zeros(17), np.zeros(17)
        for row in set(rows.tolist()) - set(train):
            large = nn.functional.interpolate(maps[row][:, [channel]], (64, 64), mode="bilinear", align_corners=False)
            active = large[0, 0].double().numpy() > level
            both += (active & masks[row]).sum((1, 2))
            either += (active | masks[row]).sum((1, 2))
        result[channel] = both / either
    return result


def test_against_the_definition(tmp_path, network):
    made = page(tmp_path, network)
    data = made.data("all")
    names = data.labels["segment"][1].tolist()
    expected = slow(network, 0.97)
    assert np.isnan(data.values[CEILING]).all()
    np.testing.assert_allclose(data.values[:3], expected[:3], atol=2e-3)
    for channel, colour in enumerate(COLOURS):
        assert names[int(np.argmax(data.values[channel]))] == colour and data.values[channel].max() > 0.4
    html = made.html()
    assert "1 channel has no overlap: nothing is above" in html and "after a random rotation of the layer" in html


def test_each_example_runs_once_and_its_maps_are_read_once(tmp_path, network, monkeypatch):
    """The thresholds' examples and the overlaps' are others; the summary of the same layer shares their forwards."""
    read, usual = [], ScannedDataset.stream

    def stream(self, node, order, wanted=None):
        for piece in usual(self, node, order, wanted):
            read.append(len(piece))
            yield piece

    monkeypatch.setattr(ScannedDataset, "stream", stream)
    ran = []
    network.seen.register_forward_pre_hook(lambda module, given: ran.append(len(given[0])))
    text = TEXT + "seen.channel | across(some) | mean(example) | present(bars)\n"
    made = page(tmp_path, network, text=text)
    assert made.results.scanned == 150 and sum(read) == 150
    batches = ran[-19:]  # before them, single pictures show how the network behaves
    assert batches == [8] * 19 and sum(ran) - sum(batches) < 12
    plan = str(bbilang.explain(tmp_path / "page.bbi", model=bbilang.adapt(network, 128)))
    assert "150 examples, seen, maps of seen; 1 forward each" in " ".join(plan.split())


def test_a_column_says_which_half_is_which(tmp_path, network):
    """The smaller word is first where none of the two is `train` or `test`; examples with another are kept out."""
    text = TEXT.replace("sample(150)", 'sample(150) | filter(shape == "square" or shape == "circle")')
    made = page(tmp_path, network, text=text.replace("quantile={quantile}", "quantile=0.98, split=shape"))
    found, expected = made.data("all").values[:3], slow(network, 0.98, "shape", ("circle", "square"))[:3]
    known = np.isfinite(found)  # a shape that is in no picture of the second half has no overlap
    np.testing.assert_allclose(found[known], expected[known], atol=2e-3)
    names = made.data("all").labels["segment"][1]
    assert known[:, names == "square"].all() and not known[:, names == "circle"].any()
    assert 'quantiles where shape is "circle", overlaps where it is "square"' in made.results.fields["all"].notes


@pytest.mark.parametrize(
    ("before", "after", "code", "words"),
    [
        ("seen.neuron", "seen.channel", "E238", "seen.neuron | dissect"),
        ('"sample:shapes"', '"photos/"', "E465", "no segments are labelled in photos"),
        ("sample(150)", 'filter(shape == "circle" and size > 95.9)', "E465", "no two halves"),
        (", quantile={quantile}", ", split=texture", "E467", "`texture` holds 5 values"),
        (", quantile={quantile}", ", split=textur", "E215", "no column `textur`"),
        (", quantile={quantile}", ", split=label", "E215", "which half"),
        (", quantile={quantile}", ", split=correct", "E215", "which half"),
        (", quantile={quantile}", ', split="texture"', "E213", "name of a column"),
        ("dissect(some, quantile={quantile})", "dissect(split=split)", "E212", "needs `dataset`"),
    ],
)
def test_refused(tmp_path, network, before, after, code, words):
    (tmp_path / "photos").mkdir()
    for row in (0, 1):
        open_dataset("sample:shapes").picture(row).save(tmp_path / "photos" / f"{row}.png")
    with pytest.raises(BbiError) as caught:
        page(tmp_path, network, text=TEXT.replace(before, after))
    assert code in [each.code for each in caught.value.diagnostics] and words in str(caught.value)

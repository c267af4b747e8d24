"""`tcav`: from a text to a page, with a score that rests on one colour."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.data.dataset import open_dataset

TEXT = """dataset shapes = "sample:shapes"
dataset red = shapes | filter(colour == "red" and split == "train")
dataset blue = shapes | filter(colour == "blue" and split == "train")
dataset rest = shapes | filter(colour != "red" and colour != "blue" and split == "train")
dataset asked = shapes | filter(split == "test") | sample(40)
found = seen.channel | gradient(output[0]) | across(asked) | tcav([red, blue], against=rest) | present(table)
"""


class Reddish(nn.Module):
    """Class 0 rises with what is red, more or less from picture to picture, and ignores blue against the rest."""

    def __init__(self):
        super().__init__()
        self.seen = nn.Sequential(nn.AvgPool2d(16), nn.Conv2d(3, 6, 1), nn.ReLU())
        with torch.no_grad():
            red, blue = torch.tensor([4.0, -2, -2]), torch.tensor([-2.0, -2, 4])
            others = torch.rand((4, 3), generator=torch.Generator().manual_seed(0))
            self.seen[1].weight.copy_(torch.cat([red[None], blue[None], others])[..., None, None])
            self.seen[1].bias.zero_()

    def forward(self, images):
        means = self.seen(images).mean((2, 3))
        return torch.stack([torch.tanh(3 * means[:, 0]) + 0 * means[:, 1], means[:, 2]], 1)


def page(folder, text=TEXT):
    (folder / "page.bbi").write_text(text)
    return bbilang.run(folder / "page.bbi", model=bbilang.adapt(Reddish(), 128), cache=folder / "cache")


def test_the_score_rises_along_red(tmp_path):
    made = page(tmp_path)
    data = made.data("found")
    assert data.labels["concept"][1].tolist() == ["red", "blue"]
    measures = data.labels["measure"][1].tolist()
    red = dict(zip(measures, data.values[0].tolist(), strict=True))
    blue = dict(zip(measures, data.values[1].tolist(), strict=True))
    assert red["rises on"] == 1 and red["from"] <= red["rises on"] <= red["to"] and red["at zero"] == 0
    assert red["told apart"] > 0.9
    assert red["chance from"] <= red["chance to"] and blue["p"] <= 1
    html = made.html()
    assert "of 40 held-out examples" in html and "random sets" in html and "30 bootstrap samples" in html


def test_the_parts_are_those_of_the_definition(tmp_path):
    """The derivative along a direction, of gradients by hand: the share above zero is the table's."""
    from bbilang.runtime.data.sampling import sampled
    from bbilang.runtime.statistics.concepts import concept

    data = page(tmp_path).data("found")
    dataset, network = open_dataset("sample:shapes"), Reddish()
    columns = dataset.columns

    def layer(rows):
        pictures = np.stack([np.asarray(dataset.picture(int(row))) for row in rows]) / 255
        return network.seen(torch.tensor(pictures, dtype=torch.float32).movedim(-1, 1)).detach()

    train = columns["split"] == "train"
    rest = np.flatnonzero(train & ~np.isin(columns["colour"], ["red", "blue"]))
    test = np.flatnonzero(~train)
    asked = test[sampled([str(dataset.files[row]) for row in test], 40, 0)]
    maps = layer(asked).requires_grad_()
    torch.tanh(3 * maps.mean((2, 3))[:, 0]).sum().backward()
    gradients = maps.grad.sum((2, 3)).numpy()
    others = layer(rest).mean((2, 3)).numpy()
    for number, colour in enumerate(("red", "blue")):
        examples = layer(np.flatnonzero(train & (columns["colour"] == colour))).mean((2, 3)).numpy()
        told = concept(examples, others)
        expected = (gradients @ told.direction > 0).mean()
        assert abs(data.values[number, 0] - expected) <= 1 / 40


@pytest.mark.parametrize(
    ("before", "after", "code", "words"),
    [
        ("gradient(output[0])", "attribute(output[0])", "E238", "takes the gradients"),
        (" | across(asked)", "", "E238", "of each example of one dataset"),
        ("seen.channel", "seen.channel | top(2)", "E238", "all channels"),
        ('colour == "red" and split == "train"', "size > 95.9", "E466", "red has"),
    ],
)
def test_refused(tmp_path, before, after, code, words):
    with pytest.raises(BbiError) as caught:
        page(tmp_path, TEXT.replace(before, after))
    assert code in [each.code for each in caught.value.diagnostics] and words in str(caught.value)

"""Pictures of classes: the language's way to them, and a shortcut that a network learned is seen in the picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.featvis.engine import Objective, Recipe, visualize
from bbilang.runtime.featvis.regularization import Regularization
from bbilang.runtime.view.states import elements

TINY = {"featvis.size": 16, "featvis.steps": 2}
SIZE = 40


def test_the_pictures_of_classes(monkeypatch):
    from bbilang.runtime.execution import full
    from bbilang.runtime.featvis.icon import Icon

    asked: list[Objective] = []

    def icons(job, adapter, objectives, *rest):
        asked.extend(objectives)
        return [Icon(np.zeros((16, 16, 3), np.uint8), 0.0) for _ in objectives]

    monkeypatch.setattr(full, "make_icons", icons)
    text = """
    several = output[top(3)] | present(featvis)
    one = output["goldfish"] | present(featvis)
    lists = [output["fox squirrel"], output["goldfish"]] | present(featvis, negative=true)
    """
    page = bbilang.run("\n".join(map(str.strip, text.splitlines())), input="sample:chelsea", settings=TINY, cache=False)
    top = np.argsort(-page.data("several").values.ravel())
    assert top.tolist() == [0, 1, 2] and page.data("several").coords["class"][1].tolist() == [282, 285, 281]
    assert asked == [
        *(Objective("output", n) for n in (282, 285, 281)), Objective("output", 1),
        Objective("output", 335, negative=True), Objective("output", 1, negative=True),
    ]  # fmt: skip
    frame = next(e for e in elements(page.view) if e.id == "several").panels[0].frames[0]
    assert len(frame.pictures) == 3 and min(frame.pictures) >= 0
    (one,) = (e for e in elements(page.view) if e.id == "one")
    assert [atom.label for atom in one.atoms] == ["goldfish"]


def test_a_class_beside_those_of_the_highest_scores_on_several_photographs():
    text = """
input "sample:chelsea", "sample:coffee"
own = output["tabby"] | present(featvis)
others = output.class | top(4, joint=input) | present(featvis)
every = output.class | present(bars)
"""
    page = bbilang.run(text, settings=TINY)
    scores = page.data("every").values  # (input, class)
    assert scores.shape == (2, 1000)
    expected = np.argsort(-scores.max(0))[:4].tolist()
    assert set(page.data("others").coords["class"][1].ravel().tolist()) == set(expected)
    assert len(page.results.icons) == len({*expected, 281}), "one picture a class, whatever the input"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("input.pixel | attribute(output) | present(featvis)", "E304"),
        ('output["goldfish"] - output["tabby"] | present(featvis)', "E510"),
    ],
)
def test_what_has_no_picture(text, code):
    with pytest.raises(BbiError) as refused:
        bbilang.run(text, input="sample:chelsea", settings=TINY)
    assert refused.value.diagnostics[0].code == code and refused.value.diagnostics[0].span is not None


def mark() -> np.ndarray:
    """(rgb, 12, 12) of -1 and 1: a magenta cross on green."""
    shape = np.zeros((12, 12), bool)
    shape[4:8] = shape[:, 4:8] = True
    return np.where(shape, np.array([1, -1, 1])[:, None, None], np.array([-1, 1, -1])[:, None, None]).astype(np.float32)


def shortcut_pictures(count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Two classes that differ in brightness by a little, and the second always has the mark in a random place."""
    labels = torch.arange(count) % 2
    pictures = torch.rand(count, 3, SIZE, SIZE, generator=generator) * 0.6 + 0.2
    pictures += (labels * 0.01).view(-1, 1, 1, 1)
    places = torch.randint(0, SIZE - 12, (count, 2), generator=generator)
    for picture, label, (y, x) in zip(pictures, labels, places.tolist(), strict=True):
        if label:
            picture[:, y : y + 12, x : x + 12] = torch.tensor(mark()) * 0.4 + 0.5
    return pictures, labels


def trained() -> nn.Module:
    """A network of one convolution, trained for a second on the pictures above."""
    torch.manual_seed(0)
    module = nn.Sequential()
    module.add_module("conv", nn.Conv2d(3, 4, 12))
    module.add_module("relu", nn.ReLU())
    module.add_module("pool", nn.AdaptiveMaxPool2d(1))
    module.add_module("flat", nn.Flatten())
    module.add_module("head", nn.Linear(4, 2))
    nn.init.normal_(module.conv.weight, std=1e-3)  # so that what stands in it was learned
    pictures, labels = shortcut_pictures(256, torch.Generator().manual_seed(1))
    optimizer = torch.optim.SGD(module.parameters(), 0.02, momentum=0.9)
    for _ in range(100):
        loss = nn.functional.cross_entropy(module((pictures - 0.5) / 0.25), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return module.eval().requires_grad_(False)


def likeness(picture: np.ndarray) -> float:
    """The largest correlation of the mark with a part of the picture."""
    wanted = mark().ravel() - mark().mean()
    values = picture.astype(np.float64).transpose(2, 0, 1)
    best = -1.0
    for y in range(values.shape[1] - 11):
        for x in range(values.shape[2] - 11):
            patch = values[:, y : y + 12, x : x + 12].ravel()
            if patch.std() > 0:
                best = max(best, float(np.corrcoef(patch, wanted)[0, 1]))
    return best


def test_a_planted_shortcut_is_seen_in_the_picture_of_its_class(make_stub):
    module = trained()
    pictures, labels = shortcut_pictures(64, torch.Generator().manual_seed(2))
    scores = module((pictures - 0.5) / 0.25)
    assert (scores.argmax(1) == labels).float().mean() > 0.95, "the network has learned the mark"
    adapter = make_stub(module, input_size=(SIZE, SIZE))
    recipe = Recipe(size=SIZE, steps=64, batch=2, redirect=0)
    for how in (Regularization(0.02), Regularization(0.01, 4, 1.0)):
        own, other = visualize(adapter, [Objective("output", n, regularization=how) for n in (1, 0)], recipe)
        assert likeness(own.picture) > 0.8, likeness(own.picture)
        assert likeness(other.picture) < 0.6, likeness(other.picture)
    # the usual icons, on decorrelated colours, come to a magenta as rare in photographs by larger steps
    usual = Recipe(size=SIZE, batch=2)
    for rate, least in ((usual.rate, 0.65), (0.2, 0.8)):
        own, other = visualize(adapter, [Objective("output", n) for n in (1, 0)], replace(usual, rate=rate))
        assert likeness(own.picture) > least, (rate, likeness(own.picture))
        assert likeness(other.picture) < 0.6, (rate, likeness(other.picture))


def test_what_a_class_is_confused_with():
    """The text of the documentation: on the discs that are called squares, square has the highest mean score."""
    text = (Path(__file__).parents[2] / "docs" / "confused.bbi").read_text(encoding="utf-8")
    rows = 'dataset all = marks | filter(set == "balanced")\noutput.class | across(all) | present(matrix)'
    page = bbilang.run(text, settings=TINY, device="cpu")
    every = bbilang.run('model "sample:marks"\ndataset marks = "sample:marks"\n' + rows, device="cpu")
    (field,) = every.results.fields.values()
    scores, labels = field.values.data, field.columns["label"].data.astype(str)
    classes = [every.results.labels(number) for number in range(3)]
    called = np.array(classes)[scores.argmax(field.values.dims.index("class"))]
    wrong = scores[(labels == "disc") & (called != "disc")].mean(0)
    found = page.data("others")
    assert [classes[int(number)] for number in np.ravel(found.coords["class"][1])] == ["square"]
    assert np.ravel(found.values) == pytest.approx(wrong.max(), rel=1e-5)
    assert np.ravel(page.data("own").values) == pytest.approx(wrong[classes.index("disc")], rel=1e-5)

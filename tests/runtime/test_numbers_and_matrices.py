"""The style `number`, and matrices whose columns are inputs, against the network called by hand."""

import csv
import re
from collections import OrderedDict

import numpy as np
import pytest
import torch
from closeness import close_to
from torch import nn

import bbilang
from bbilang import BbiError

CHANNELS, CLASSES = 6, 4


@pytest.fixture(scope="module")
def net() -> nn.Module:
    """A layer `late` of 6 channels on 8 x 8 positions after ReLU, then the mean and 4 classes."""
    torch.manual_seed(3)
    parts = {"conv": nn.Conv2d(3, CHANNELS, 3, padding=1, stride=2), "late": nn.ReLU()}
    parts |= {"pool": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten(), "scores": nn.Linear(CHANNELS, CLASSES)}
    return nn.Sequential(OrderedDict(parts)).eval()


@pytest.fixture(scope="module")
def pictures() -> list[torch.Tensor]:
    return [torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2, 5)]


def by_hand(net, picture) -> tuple[np.ndarray, np.ndarray]:
    """(scores, attribution (channel, class)): above the ReLU the network is linear."""
    with torch.no_grad():
        late = net[:2](picture[None])
        return net(picture[None])[0].numpy(), (late.mean((2, 3))[0][:, None] * net.scores.weight.T).numpy()


def drawn(text, net, input):
    return next(iter(bbilang.run(text, model=net, input=input, cache=False).view.interfaces[0].elements))


def test_a_number_is_the_score_a_sum_or_one_atom(net, pictures):
    scores, given = by_hand(net, pictures[0])
    best = int(scores.argmax())
    for text, value, words in (
        ("output", scores[best], "score"),
        ("late.channel | attribute(output) | sum(channel)", given[:, best].sum(), "sum over channel"),
        ("late.channel[4] | attribute(output)", given[4, best], "channel 4: attribution to"),
    ):
        element = drawn(f"{text} | present(number)", net, pictures[0])
        (frame,) = element.panels[0].frames
        close_to(frame.values[0][0], value, digits=3)
        assert element.legend is not None and element.options["unit"] == "logits"
        said = [*frame.notes, element.legend.quantity]  # a quantity without an atom is the legend's alone
        assert words in " ".join(said).lower() and len({one.lower() for one in said}) == len(said)
        assert element.atoms[frame.atoms[0]].label  # a screen reader hears what the number is of


def test_a_number_follows_what_the_reader_points_at(net, pictures):
    scores, given = by_hand(net, pictures[0])
    text = "late.channel | attribute(output) | at(hover(late.channel)) | present(number)"
    element = drawn(f"{text}\nlate.channel | activation | present(bars)", net, pictures[0])
    frames = element.panels[0].frames
    close_to([frame.values[0][0] for frame in frames], given[:, scores.argmax()], digits=3)
    assert [element.atoms[frame.atoms[0]].label for frame in frames] == [f"channel {c}" for c in range(CHANNELS)]


def test_a_number_refuses_several_values(net, pictures):
    with pytest.raises(BbiError, match=r"E304.*draws one value, and this field has the axis `channel`"):
        bbilang.run("late.channel | attribute(output) | present(number)", model=net, input=pictures[0], cache=False)


def test_columns_are_inputs_with_their_pictures(net, pictures, tmp_path):
    page = bbilang.run(
        "late.channel | activation(reduce=mean) | present(matrix)", model=net, input=pictures, cache=False
    )
    (element,) = page.view.interfaces[0].elements
    (frame,) = element.panels[0].frames
    assert element.states == () and element.series_axis == "input"  # no menu: every input is seen at once
    with torch.no_grad():
        means = np.stack([net[:2](p[None]).mean((2, 3))[0].numpy() for p in pictures], axis=1)
    close_to(frame.values, means, digits=3)
    assert len(set(frame.series_pictures)) == 3 and len(frame.series) == 3
    assert [element.atoms[a].label for a in frame.atoms] == [f"channel {c}" for c in range(CHANNELS)]
    with page.save(tmp_path / "n.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["series"] == frame.series[1]]
    close_to([float(row["value"]) for row in rows], means[:, 1], digits=3)


@pytest.mark.parametrize(("text", "size"), [("late.channel | attribute(output) | top(2)", 2), ("output[top(2)]", 2)])
def test_atoms_of_each_input_have_rows_of_their_own(net, pictures, text, size):
    """The strongest channels and classes differ by input: a number is in the row of its own atom only."""
    element = drawn(f"{text} | present(matrix)", net, pictures)
    (frame,) = element.panels[0].frames
    expected = {}
    for column, picture in enumerate(pictures):
        scores, given = by_hand(net, picture)
        values = given[:, scores.argmax()] if "channel" in text else scores
        for atom in np.argsort(-values)[:size]:
            expected[int(atom), column] = values[atom]
    numbers = [int(element.atoms[a].key.rpartition("=")[2]) for a in frame.atoms]
    assert len(set(numbers)) == len(numbers)
    shown = {
        (numbers[slot], column): value
        for slot, row in enumerate(frame.values)
        for column, value in enumerate(row)
        if value is not None
    }
    assert shown.keys() == expected.keys()
    close_to([shown[key] for key in expected], list(expected.values()), digits=3)


@pytest.mark.parametrize(
    ("stage", "order"),
    [
        ("top(3, joint=input)", lambda given: np.argsort(-given.max(1), kind="stable")[:3]),
        ("top(3, by=magnitude, joint=input)", lambda given: np.argsort(-np.abs(given).max(1), kind="stable")[:3]),
        ("bottom(2, joint=input)", lambda given: np.argsort(given.max(1), kind="stable")[:2]),
        ("sort(joint=input)", lambda given: np.argsort(-given.max(1), kind="stable")),
    ],
)
def test_the_same_atoms_for_every_input(net, pictures, stage, order):
    """One order by the largest value over the inputs: every cell has the number of its row's channel."""
    given = np.stack([by_hand(net, picture)[1][:, 1] for picture in pictures], axis=1)
    assert len({tuple(np.argsort(column)) for column in given.T}) > 1, "the case shows something"
    element = drawn(f"late.channel | attribute(output[1]) | {stage} | present(matrix)", net, pictures)
    (frame,) = element.panels[0].frames
    expected = order(given)
    assert [element.atoms[a].label for a in frame.atoms] == [f"channel {c}" for c in expected]
    assert len(set(frame.series_pictures)) == len(pictures)
    close_to(frame.values, given[expected], digits=3)
    lines = frame.budget.split("\n")
    assert [line.partition(":")[0] for line in lines[: len(pictures)]] == list(frame.series)
    for line, picture in zip(lines, pictures, strict=False):
        score = re.search(r"score (−?[\d.]+)", line)[1].replace("−", "-")
        close_to(float(score), by_hand(net, picture)[0][1], digits=1)


def test_the_same_icons_whichever_input_is_chosen(net, pictures):
    """Where a reader picks the input, the atoms stay and their numbers change."""
    given = np.stack([by_hand(net, picture)[1][:, 1] for picture in pictures], axis=1)
    element = drawn("late.channel | attribute(output[1]) | top(2, joint=input) | present(bars)", net, pictures)
    frames, expected = element.panels[0].frames, np.argsort(-given.max(1), kind="stable")[:2]
    assert [frame.atoms for frame in frames] == [frames[0].atoms] * len(pictures)
    close_to([[row[0] for row in frame.values] for frame in frames], given[expected].T, digits=3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("late.channel | attribute(output[1]) | top(4) | top(2, joint=input)", "atoms of its own along `channel`"),
        ("output[top(3)] | sort(joint=input)", "atoms of its own along `class`"),
        ("late.channel | top(2, joint=channel)", "`channel` is ranked jointly already"),
        ("late.channel | top(2, joint=input, per=input)", "jointly and apart at once"),
    ],
)
def test_no_common_order(net, pictures, text, words):
    with pytest.raises(BbiError, match=f"E231.*{words}"):
        bbilang.run(f"{text} | present(matrix)", model=net, input=pictures, cache=False)


def test_rows_of_layers_have_their_names(net, pictures):
    text = "[conv, late].channel | attribute(output[top(3)]) | sum(channel) | present(matrix)"
    element = drawn(text, net, pictures[0])
    (frame,) = element.panels[0].frames
    assert [element.atoms[a].label for a in frame.atoms] == ["conv", "late"]

"""A training that finds a way around its own method is shown as such."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from trained import adapted

import bbilang
from bbilang.runtime.mending.report import AGREE, FOOLED, OPEN, UNSEEN, Comparison, Mean, Side, verdict


class Saturating(nn.Module):
    """Red gives "high" away. Above `seen` only a gain is trained, in front of a ceiling: above the ceiling the score
    has no gradient, and red counts as before."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = nn.Conv2d(3, 3, 1, bias=False)
        self.gain = nn.Conv2d(3, 3, 1, groups=3, bias=False)
        self.ceiling = nn.Hardtanh(0, 2)
        self.register_buffer("read", torch.tensor([[-0.5, 1.0, -0.5], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))
        with torch.no_grad():
            self.seen.weight.copy_(torch.eye(3)[:, :, None, None])
            self.gain.weight.fill_(1.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.ceiling(self.gain(self.seen(x))).mean((2, 3)) @ self.read


def pictures(count: int = 60) -> list[tuple[np.ndarray, str]]:
    """Grain of blue; those of "high" are red, too."""
    random = np.random.default_rng(0)
    made = []
    for number in range(count):
        picture = random.integers(0, 40, (12, 12, 3), np.uint8)
        picture[:, :, 0] = 250 if number % 3 == 1 else 0
        made.append((picture, ("low", "high", "other")[number % 3]))
    return made


def test_a_penalty_that_fools_its_own_method_only_is_shown_as_such():
    text = """
    set training(loss=cross_entropy, optimizer=adam, epochs=20, lr=0.1, batch=21, keep=0)
    model a = module
    dataset photos = "photos/"
    model mended = a | discourage(seen.channel[0] -> output["high"], data=photos)
    mended:seen.channel | attribute(mended:output["high"]) | across(photos) | mean(example) | present(bars)
    """
    page = bbilang.run(text, model=adapted(Saturating()), data={"photos": pictures()}, cache=False)
    field = page.results.fields["mended_report"]
    (contribution, _, _, after, _, _), (effect, _, _, effect_after, _, _), accuracy = field.values.data
    assert contribution > 0.3 and after < 0.01 * contribution
    assert effect > 0.3 and effect_after > 0.9 * effect
    assert accuracy[0] == accuracy[3] > 0.5
    word, kind, sentence, _ = next(iter(field.lines()))
    assert (word, kind) == ("not by another method", "fails") and sentence.startswith("Channel 0 of seen")
    assert "less for high by the method that it was trained on, and not by another" in field.finding
    assert "more epochs" not in " ".join(words for _, words in list(field.lines())[-1][3])  # it had ended


def test_a_training_that_is_too_short_says_so():
    """The defaults on `sample:marks`: 35 steps reach the contribution and not the exchange, 70 reach both."""
    text = """
    set training(loss=cross_entropy{more})
    model a = "sample:marks"
    dataset marks = "sample:marks" | filter(set == "biased")
    model mended = a | discourage(first.channel[5] -> output["square"], data=marks)
    mended:first.channel | attribute(mended:output["square"]) | across(marks) | mean(example) | present(bars)
    """
    for more, expected, said in (("", "not by another method", True), (", epochs=10", "counts less", False)):
        field = bbilang.run(text.replace("{more}", more), cache=False).results.fields["mended_report"]
        (word, *_), *_, (*_, details) = field.lines()
        assert word == expected
        words = " ".join(word for _, word in details)
        assert ("more epochs may reach the exchange too, `set training(epochs=10)`" in words) == said


def side(evidence: float, effect: float, whole: float = 1.0) -> Side:
    numbers = [Mean(value, value, value) for value in (1.0, evidence, effect)]
    return Side(*numbers, whole, 1.0)


@pytest.mark.parametrize(("before", "after", "expected"), [
    (side(0.5, 0.5), side(0.1, 0.1), AGREE),
    (side(0.5, 0.5), side(0.1, 0.4), FOOLED),
    (side(0.5, 0.5), side(0.4, 0.1), OPEN),
    (side(0.5, 0.02), side(0.1, 0.02), UNSEEN),  # as small before as after: no second opinion
    (side(0.5, 0.02), side(0.1, 0.005), AGREE),
    (side(0.5, 0.0), side(0.1, 0.0, 0.0), AGREE),
])  # fmt: skip
def test_the_verdict_needs_what_both_methods_see(before: Side, after: Side, expected: str):
    assert verdict(Comparison("some", 100, before, after, 0, 0, 1.0, 0)) == expected

"""References of captions: the page says what it does not show; a reference that cannot be an atom is an error."""

import pytest
import torch
from brings import brings
from torch import nn

import bbilang

NET = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
TEXT = '"1".channel | attribute(output[1]) | top(8) | filter(channel < 4) | present(bars, caption="[this](channel {})")'


@brings("Texts of the language", "a caption that refers to an atom not shown on the page", "works: the page says so")
def test_a_reference_to_what_is_not_shown_is_said():
    warnings = {
        n: bbilang.run(TEXT.format(n), model=NET, input=torch.rand(3, 12, 12), cache=False).to_dict()["warnings"]
        for n in (3, 7)
    }
    assert not warnings[3]
    assert warnings[7] == ("a caption points at `channel 7`, which this page does not show",)


@brings(
    "Texts of the language",
    "a caption that refers to an atom that the model does not have",
    "refused with E250 at its position in the text",
)
def test_a_reference_that_means_nothing_is_refused():
    with pytest.raises(bbilang.BbiError) as raised:
        bbilang.run(TEXT.format(8), model=NET, input=torch.rand(3, 12, 12), cache=False)
    (error,) = raised.value.diagnostics
    assert error.code == "E250" and TEXT.format(8)[error.span.start : error.span.end] == "[this](channel 8)"

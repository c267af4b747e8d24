"""Names of inputs that a call or a command line gives: `run(..., input={"cat": picture})`, `--input cat=a.jpg`."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import bbilang
from bbilang.given_inputs import inputs_of
from bbilang.grammar.diagnostic import BbiError

TEXT = '"2".spatial | patch(source=dog) | effect(output) | present(heatmap)'
NETWORK = nn.Sequential(
    nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)
).eval()
CAT, DOG = (torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))


def effect(text=TEXT, **given):
    return bbilang.run(text, model=NETWORK, cache=False, **given).data("element-1").values


def test_a_dict_names_its_inputs():
    own = effect(input={"cat": CAT, "dog": DOG})
    np.testing.assert_array_equal(own, effect(TEXT.replace("dog", "1"), input=[CAT, DOG]))
    assert np.abs(own).max() > 0
    np.testing.assert_array_equal(own[::-1], effect(input={"dog": DOG, "cat": CAT}))  # (input, y, x)


def test_inputs_without_names_take_those_of_a_text_with_as_many():
    text = 'input cat = "a.jpg", dog = "b.jpg"\n' + TEXT
    np.testing.assert_array_equal(effect(text, input=[CAT, DOG]), effect(input={"cat": CAT, "dog": DOG}))
    with pytest.raises(BbiError, match="E273"):
        effect(text, input=CAT)  # one of two: which is not known
    with pytest.raises(BbiError, match="the inputs are tiger, lion"):
        effect(text, input={"tiger": CAT, "lion": DOG})  # names of the call win


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"a b": CAT}, "'a b' is no name for an input of a text"),
        ({"input": CAT}, "'input' is no name"),
        ({1: CAT}, "1 is no name"),
        ({"cat": torch.stack([CAT, DOG])}, "`input['cat']` holds 2 inputs"),
        ({"cat": []}, "`input['cat']` holds 0 inputs"),
        ({}, "a dict without an input in it"),
    ],
)
def test_dicts_that_name_no_inputs_are_refused(given, words):
    with pytest.raises(BbiError, match="E418") as failed:
        effect(input=given)
    assert words in str(failed.value)


def test_words_of_a_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert inputs_of(None) is None
    assert inputs_of(["a.jpg", "b=c/d.jpg"][:1]) == ("a.jpg",)
    assert inputs_of(["cat=a.jpg", "dog=sample:coffee"]) == {"cat": "a.jpg", "dog": "sample:coffee"}
    (tmp_path / "cat=a.jpg").touch()
    assert inputs_of(["cat=a.jpg"]) == ("cat=a.jpg",)  # a file that is called so
    assert inputs_of(["text:x = 1"]) == ("text:x = 1",)
    for words in (["cat=c.jpg", "b.jpg"], ["a=x.jpg", "a=y.jpg"]):
        with pytest.raises(BbiError, match="E440"):
            inputs_of(words)

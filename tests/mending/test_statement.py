"""`model mended = a | discourage(...)`: a network of its own on the page, its report, and its file of weights."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import bbilang
from bbilang import BbiError
from bbilang.cli.app import main
from bbilang.runtime.models.loading import load

TEXT = """set training(loss=cross_entropy, epochs=2, lr=0.003)
model a = "sample:marks"
dataset marks = "sample:marks"
dataset biased = marks | filter(set == "biased") | sample(90)
dataset balanced = marks | filter(set == "balanced") | sample(40)
model mended = a | discourage(first.channel[5] -> output["square"], data=biased, test=balanced)
before = output.class | across(balanced) | present(matrix)
after = mended:output.class | across(balanced) | present(matrix)
"""


@pytest.fixture(scope="module")
def page() -> bbilang.Page:
    return bbilang.run(TEXT)


def codes(text: str) -> list[str]:
    with pytest.raises(BbiError) as caught:
        bbilang.check(text)
    return [d.code for d in caught.value.diagnostics if d.severity == "error"]


def test_the_report_is_the_first_element_and_tells_of_both_sides(page: bbilang.Page):
    first = page.results.program.elements[0]
    assert first.id == "mended_report"
    field = page.results.fields[first.id]
    words = [(word, sentence) for word, _, sentence, _ in field.lines()]
    assert words[1][1] == "Accuracy on 26 held-out examples of biased"
    assert words[2][1] == "Accuracy on 40 examples of balanced"
    lines = [line for _, _, _, own in field.lines() for _, line in own]
    assert sum(bool(re.match(r"right only after: \d+, only before: \d+; p [=<] ", line)) for line in lines) == 2
    assert words[3] == ("trained", "5,887 weights above first, on 64 examples of biased")
    assert field.values.data.shape == (6, 6)
    assert "counts" in field.finding and "examples of balanced is" in field.finding
    low, high = field.values.data[:, 1::3], field.values.data[:, 2::3]
    assert np.all(low <= field.values.data[:, 0::3]) and np.all(field.values.data[:, 0::3] <= high)


def test_the_page_shows_the_scores_of_the_mended_network(page: bbilang.Page):
    before, after = (page.data(name).values for name in ("before", "after"))
    assert before.shape == after.shape and float(np.abs(before - after).max()) > 0.01


def test_the_accuracy_is_that_of_the_scores_on_the_page(page: bbilang.Page):
    """The page has the scores of all examples of `balanced`, in their order; their shapes are in their names."""
    field = page.results.fields["mended_report"]
    files = page.results.fields["before"].columns["label"].data
    classes = np.array([("disc", "square", "cross").index(word) for word in files])
    for column, name in ((0, "before"), (3, "after")):
        own = page.results.fields[name].values.ordered(("example", "class")).data.argmax(1) == classes
        assert field.values.data[5, column] == pytest.approx(own.mean())


@pytest.mark.parametrize(("line", "code"), [
    ('discourage(first.channel[5] -> output["square"], data=marks)', "E291"),
    ('discourage(output["square"], data=marks)', "E292"),
    ('discourage(first.channel -> output[top(1)], data=marks)', "E232"),
    ('ablate(first.channel[1]) | discourage(first.channel[5] -> output["square"], data=marks)', "E292"),
    ('discourage(first.channel[5] -> output["square"], data=marks, split=colour)', "E215"),
])  # fmt: skip
def test_what_cannot_be_discouraged_is_refused_where_it_stands(line: str, code: str):
    training = "" if code == "E291" else "set training(loss=cross_entropy)\n"
    text = f'{training}model a = "sample:marks"\ndataset marks = "sample:marks"\nmodel mended = a | {line}\n'
    assert codes(f"{text}mended:first.channel | activation | across(marks) | mean(example) | present(bars)") == [code]


def test_in_a_pipe_it_is_refused():
    text = 'model "sample:marks"\ninput "sample:chelsea"\nfirst.channel | discourage | present(bars)'
    assert codes(text) == ["E288"]


def test_other_settings_of_the_training_are_another_network():
    digests = set()
    for epochs in (2, 3):
        program = bbilang.check(TEXT.replace("epochs=2", f"epochs={epochs}"))
        digests.add(program.models[1].changes[0].digest)
    assert len(digests) == 2


def test_exported_weights_load_again_and_give_the_same_scores(tmp_path: Path, capsys, page: bbilang.Page):
    text, file = tmp_path / "page.bbi", tmp_path / "mended.safetensors"
    text.write_text(TEXT)
    own = ["export", "model", str(text), "-q", "-o", str(file), "--name"]
    assert main([*own, "mended"]) == 0
    with safe_open(file, "pt") as opened:
        assert opened.metadata()["change"] == "channel 5 of first discouraged"
    again = load("sample:marks", file).module
    pictures = torch.rand(4, 3, 48, 48)
    original = load("sample:marks").module
    assert not torch.allclose(again(pictures), original(pictures), atol=1e-3)
    plain = TEXT.split("model mended")[0].replace("set training(loss=cross_entropy, epochs=2, lr=0.003)\n", "")
    plain = plain.replace('"sample:marks"\ndataset', f'"sample:marks" from "{file}"\ndataset', 1)
    scores = bbilang.run(f"{plain}after = output.class | across(balanced) | present(matrix)").data("after").values
    np.testing.assert_allclose(scores, page.data("after").values, atol=1e-5)
    before = file.read_bytes()
    assert main([*own, "mended"]) == 2 and file.read_bytes() == before
    assert "--force" in capsys.readouterr().err
    saved = load_file(file)
    assert main([*own, "mended", "--force"]) == 0
    assert all(torch.equal(value, saved[name]) for name, value in load_file(file).items())
    assert main([*own, "a", "--force"]) == 1 and "E490" in capsys.readouterr().err
    assert main([*own, "other", "--force"]) == 1 and "E490" in capsys.readouterr().err


def test_a_layer_that_changes_is_no_file_of_weights(tmp_path: Path, capsys):
    text = tmp_path / "page.bbi"
    text.write_text(TEXT.replace("test=balanced)", "test=balanced) | ablate(first.channel[1])"))
    assert main(["export", "model", str(text), "-q", "--name", "mended", "-o", str(tmp_path / "x.safetensors")]) == 1
    assert "E490" in capsys.readouterr().err and not (tmp_path / "x.safetensors").exists()

"""`--model a=...` and `--weights a=...`: models of the text by their names."""

from __future__ import annotations

import json

from safetensors.torch import save_file

TWO = 'model a = "sample:marks"\nmodel b = "sample:marks"\n'
SHOWN = "a:output.class | top(2) | present(bars)\nb:output.class | top(2) | present(bars)"


def weights(path):
    from bbilang.runtime.models.loading import load

    state = {name: value.clone() for name, value in load("sample:marks").module.state_dict().items()}
    state[list(state)[-1]] += 100
    save_file(state, str(path))


def test_a_model_and_a_file_of_weights_by_name(bbi, tmp_path):
    weights(tmp_path / "other.safetensors")
    (tmp_path / "page.bbi").write_text(TWO.replace('b = "sample:marks"', "b = efficientnet_lite0") + SHOWN)
    given = ("--model", "b=sample:marks", "--weights", "a=other.safetensors")
    done = bbi("run", "page.bbi", "-i", "sample:marked_disc", *given, "--format", "json", "-o", "page.json")
    assert done.code == 0
    page = (tmp_path / "page.json").read_text()
    assert "other.safetensors" in page and "EfficientNet" not in page


def test_a_name_that_the_text_has_not(bbi, tmp_path):
    (tmp_path / "page.bbi").write_text(TWO + SHOWN)
    done = bbi("check", "page.bbi", "--model", "c=sample:marks")
    assert done.code == 1 and "E363" in done.err + done.out
    done = bbi("run", "page.bbi", "--model", "a=sample:marks", "--model", "a=efficientnet_lite0")
    assert done.code == 2 and "--model is given twice for `a`" in done.err


def test_claims_of_several_models(bbi, tmp_path):
    """Each value for one name is a run, beside those for the others."""
    weights(tmp_path / "other.safetensors")
    (tmp_path / "claims.bbi").write_text(TWO + 'claim "A square" = b:output["square"] > 50')
    models = ("--model", "a=sample:marks", "--model", "b=other.safetensors", "--model", "b=sample:marks")
    done = bbi("test", "claims.bbi", "-i", "sample:marked_disc", *models, "--json")
    results = json.loads(done.out)
    assert done.code == 1
    assert [(each["model"], each["verdict"]) for each in results] == [
        ("a=sample:marks, b=other.safetensors", "holds"), ("a=sample:marks, b=sample:marks", "fails"),
    ]  # fmt: skip

"""`model={"a": net, "b": other}` and `--model a=...`: models that a call or the command line gives for a text's."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import bbilang
from bbilang import BbiError
from bbilang.given_models import alternatives, of_words
from bbilang.runtime.inputs import load as load_module
from bbilang.runtime.models.preprocess import Preprocess

TWO = 'model a = efficientnet_lite0\nmodel b = "sample:marks"\n'
SHOWN = "a:output.class | top(2) | present(bars)\nb:output.class | top(2) | present(bars)"
EACH = "a:first.channel | attribute(a:output) | present(bars)\nb:first.channel | attribute(b:output) | present(bars)"


def network(seed: int, classes: int = 3) -> nn.Sequential:
    torch.manual_seed(seed)
    parts = {"first": nn.Conv2d(3, 4, 3), "relu": nn.ReLU(), "pool": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten(),
             "head": nn.Linear(4, classes)}  # fmt: skip
    return nn.Sequential(OrderedDict(parts))


def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (12, 12, 3), dtype=np.uint8)


def alone(net: nn.Module) -> np.ndarray:
    text = "first.channel | attribute(output) | present(bars)"
    return bbilang.run(text, model=net, input=picture(), cache=False).results.fields["element-1"].values.data


def refused(text: str, **options) -> tuple[str, str]:
    with pytest.raises(BbiError) as failure:
        bbilang.check(bbilang.parse(text), input=picture(), **options)
    found = failure.value.diagnostics[0]
    return found.code, f"{found.message} {found.help}"


@pytest.mark.parametrize("text", [TWO + EACH, EACH], ids=["in place of the text's", "without a statement"])
def test_each_is_the_network_of_its_name(text):
    one, two = network(1), network(2, classes=5)
    page = bbilang.run(text, model={"a": one, "b": two}, input=picture(), cache=False)
    for name, net in (("element-1", one), ("element-2", two)):
        assert np.allclose(page.results.fields[name].values.data, alone(net), atol=1e-6)
    assert [model.name for model in page.view.provenance.models] == ["a", "b"]


def test_a_module_beside_a_name_of_the_text():
    """The text's other models stay as they are; a name may be given, too."""
    text = TWO.replace("efficientnet_lite0", '"sample:marks"') + EACH
    net = network(1)
    page = bbilang.run(text, model={"a": net}, input="sample:marked_disc", cache=False)
    whole = bbilang.run(text, input="sample:marked_disc", cache=False)
    own, known = (it.results.fields["element-2"].values.data for it in (page, whole))
    assert np.array_equal(own, known)
    assert page.results.fields["element-1"].values.data.shape[-1] == 4
    again = bbilang.run(EACH, model={"a": "sample:marks", "b": net}, input="sample:marked_disc", cache=False)
    assert np.array_equal(again.results.fields["element-1"].values.data, known)


def test_a_module_stands_for_the_first_model_alone():
    """Without a dict a module is the text's first model, also where only another is shown."""
    text = 'model a = efficientnet_lite0\nmodel b = "sample:marks"\n' + EACH.split("\n")[1]
    page, whole = (bbilang.run(text, model=model, input="sample:marked_disc", cache=False)
                   for model in (network(1), None))  # fmt: skip
    assert np.array_equal(page.results.fields["element-1"].values.data, whole.results.fields["element-1"].values.data)


def test_what_is_derived_follows_its_original():
    text = "model a = efficientnet_lite0\nmodel b = a | ablate(first.channel[0])\n" + EACH
    net = network(1)
    page = bbilang.run(text, model={"a": net}, input=picture(), cache=False)
    page = page.results.fields
    assert np.allclose(page["element-1"].values.data, alone(net), atol=1e-6)
    assert refused(text, model={"a": net, "b": net})[1].startswith(
        "a model is given for `b`, which is derived from `a`"
    )


def test_the_stages_one_by_one_take_them_too():
    models = {"a": network(1), "b": network(2)}
    program = bbilang.check(bbilang.parse(TWO + EACH), model=models, input=picture())
    results = bbilang.execute(bbilang.plan(bbilang.optimize(program)), model=models, input=picture(), cache=False)
    assert np.allclose(results.fields["element-2"].values.data, alone(models["b"]), atol=1e-6)


def test_pages_of_given_models_come_from_the_cache(tmp_path):
    """Of each model its own numbers; another network under the same name has others."""
    models = {"a": network(1), "b": network(2)}
    first = bbilang.run(EACH, model=models, input=picture(), cache=tmp_path)
    again = bbilang.run(EACH, model=models, input=picture(), cache=tmp_path)
    assert again.results.reused.elements == ("element-1", "element-2")
    other = bbilang.run(EACH, model={"a": models["b"], "b": models["a"]}, input=picture(), cache=tmp_path)
    for one, two in (("element-1", "element-2"), ("element-2", "element-1")):
        assert np.array_equal(other.results.fields[one].values.data, first.results.fields[two].values.data)


def test_pictures_are_read_once_for_models_that_prepare_them_alike(tmp_path, monkeypatch):
    from PIL import Image

    Image.fromarray(picture()).save(tmp_path / "one.png")
    reads = []
    usual = load_module.picture_of
    monkeypatch.setattr("bbilang.runtime.inputs.program_inputs.picture_of",
                        lambda *given: reads.append(1) or usual(*given))  # fmt: skip
    same = {name: bbilang.adapt(network(seed), preprocess=Preprocess(12, (12, 12), mean=(seed / 10,) * 3))
            for seed, name in enumerate("ab", 1)}  # fmt: skip
    bbilang.run(EACH, model=same, input=str(tmp_path / "one.png"), cache=False)
    assert len(reads) == 1
    other = {**same, "b": bbilang.adapt(network(2), input_size=8)}
    bbilang.run(EACH, model=other, input=str(tmp_path / "one.png"), cache=False)
    assert len(reads) == 3


@pytest.mark.parametrize("given, words", [
    ({"c": network(1)}, "a model is given for `c`, which the text does not name the text names `a` or `b`"),
    ({"aa": network(1)}, "a model is given for `aa`, which the text does not name did you mean `a`?"),
])  # fmt: skip
def test_names_that_the_text_has_not(given, words):
    assert refused(TWO + SHOWN, model=given) == ("E363", words)


def test_a_model_without_a_name():
    code, words = refused("model efficientnet_lite0\noutput | present(bars)", model={"a": network(1)})
    assert code == "E363" and "its only model has no name" in words


@pytest.mark.parametrize("options", [
    {"model": {1: network(1)}}, {"model": {"no name": network(1)}}, {"model": {"a": None}}, {"model": {"model": "x"}},
    {"model": {"a": {"b": network(1)}}}, {"model": {"a": "sample:marks"}, "weights": "a.safetensors"},
    {"weights": {"a": 3}},
])  # fmt: skip
def test_wrong_arguments(options):
    assert refused(TWO + SHOWN, **options)[0] == "E423"


def test_weights_by_name(tmp_path):
    """A file of weights for one model of the text."""
    from bbilang.runtime.models.loading import load

    module = load("sample:marks").module
    state = {name: value.clone() for name, value in module.state_dict().items()}
    head = list(state)[-1]
    state[head] += torch.arange(len(state[head]))
    save_file(state, str(tmp_path / "other.safetensors"))
    text = 'model a = "sample:marks", b = "sample:marks"\n' + SHOWN
    page = bbilang.run(text, weights={"b": tmp_path / "other.safetensors"}, input="sample:marked_disc", cache=False)
    one, two = (page.results.fields[name].values.data for name in ("element-1", "element-2"))
    assert not np.allclose(one, two)


# --- the command line -------------------------------------------------------------------------------------------------


def test_values_of_the_options():
    assert of_words(None, None) == (None, None)
    assert of_words(["resnet50"], ["a.pt"]) == ("resnet50", "a.pt")
    assert of_words(["a=resnet50", "b=timm:x=1"], ["b=w.pt"]) == ({"a": "resnet50", "b": "timm:x=1"}, {"b": "w.pt"})
    assert of_words(["one.safetensors"], None) == (None, "one.safetensors")
    assert of_words(["a=one.safetensors"], None) == (None, {"a": "one.safetensors"})
    assert alternatives([]) == [()]
    assert alternatives(["x", "y"]) == [("x",), ("y",)]
    assert alternatives(["a=x", "a=y", "b=z"]) == [("a=x", "b=z"), ("a=y", "b=z")]


@pytest.mark.parametrize("models, weights", [(["x", "y"], None), (["a=x", "a=y"], None), (["x", "a=y"], None),
                                             (["a=w.pt"], ["a=v.pt"]), (["a=x"], ["w.pt"])])  # fmt: skip
def test_options_that_make_no_sense(models, weights):
    with pytest.raises(BbiError) as failure:
        of_words(models, weights)
    assert failure.value.diagnostics[0].code == "E440"

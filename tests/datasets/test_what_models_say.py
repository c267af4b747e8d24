"""Conditions on what models say of examples: classes under any of their names, and several models."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.models.preprocess import Preprocess

COUNT = 24
MODELS = "model a = net\nmodel b = a | ablate(b.channel[2]) | ablate(b.channel[3]) | ablate(b.channel[5])\n"


@pytest.fixture(scope="module")
def module():
    return tiny.build()


@pytest.fixture(scope="module")
def network(module):
    return bbilang.adapt(module, (32, 32), labels=tiny.LABELS, preprocess=Preprocess(32, (32, 32)))


@pytest.fixture(scope="module")
def pictures():
    random = np.random.default_rng(5)
    tones = np.linspace(40, 255, COUNT)
    return [Image.fromarray((random.random((32, 32, 3)) * tone).astype(np.uint8)) for tone in tones]


def scores(module, pictures, without=()) -> np.ndarray:
    """Twin: the network by hand, with channels of `b` at zero."""
    batch = torch.stack([torch.from_numpy(np.array(it)).permute(2, 0, 1) / 255 for it in pictures])

    def zero(_, __, out):
        out = out.clone()
        out[:, list(without)] = 0
        return out

    handle = module.b.register_forward_hook(zero)
    try:
        with torch.no_grad():
            return module(batch).numpy()
    finally:
        handle.remove()


def numbers(page, element: int = 0) -> list[int]:
    """The places of the shown examples in the data set."""
    field = list(page.results.fields.values())[element]
    return [int(name.removeprefix("picture ")) - 1 for name in field.columns["file"].data.tolist()]


def test_a_label_is_a_class_by_any_of_its_names(module, network, pictures):
    best = scores(module, pictures).argmax(1)
    spelled = [f"pets/{tiny.LABELS[own].split(', ')[-1].replace(' ', '_').upper()}" for own in best]
    wrong = [0, 7, 11]
    other = ["ant" if own == 4 else "EEL" for own in best]
    labels = [other[n] if n in wrong else words for n, words in enumerate(spelled)]
    page = bbilang.run(
        "dataset wrong = photos | filter(predicted != label)\ndataset right = photos | filter(label == predicted)\n"
        "wrong | present(image)\nright | present(image)",
        model=network, data={"photos": list(zip(pictures, labels, strict=True))},
    )  # fmt: skip
    assert numbers(page) == wrong
    assert numbers(page, 1) == [n for n in range(COUNT) if n not in wrong]
    correct = bbilang.run(
        "dataset wrong = photos | filter(correct == false)\nwrong | present(image)",
        model=network, data={"photos": list(zip(pictures, labels, strict=True))},
    )  # fmt: skip
    assert numbers(correct) == wrong


def test_labels_that_are_indices_are_classes(module, network, pictures):
    best = scores(module, pictures).argmax(1)
    labels = [str((own + (n in (2, 3))) % 7) for n, own in enumerate(best)]
    page = bbilang.run("dataset wrong = photos | filter(predicted != label)\nwrong | present(image)", model=network,
                       data={"photos": list(zip(pictures, labels, strict=True))})  # fmt: skip
    assert numbers(page) == [2, 3]


def test_labels_that_are_no_classes_leave_open_what_is_wrong(network, pictures):
    data = {"photos": [(picture, "plate") for picture in pictures]}
    with pytest.raises(BbiError, match="no example meets the condition; of 24 a column is not known") as refused:
        bbilang.run(
            "dataset wrong = photos | filter(predicted != label)\nwrong | present(image)", model=network, data=data
        )
    assert refused.value.diagnostics[0].help == "no label is a class of the network: plate"


def test_examples_about_which_two_models_disagree(module, network, pictures):
    whole, changed = scores(module, pictures).argmax(1), scores(module, pictures, (2, 3, 5)).argmax(1)
    assert 0 < (whole != changed).sum() < COUNT
    words = [tiny.LABELS[own] for own in whole]
    page = bbilang.run(
        MODELS + "dataset differ = photos | filter(a:predicted != b:predicted)\n"
        "dataset worse = photos | filter(predicted == label and b:predicted != label)\n"
        "differ | present(image)\nworse | present(image)\na:b.channel | across(differ) | mean(example) | present(bars)",
        model=network, data={"photos": list(zip(pictures, words, strict=True))},
    )  # fmt: skip
    expected = np.flatnonzero(whole != changed).tolist()
    assert numbers(page) == expected and numbers(page, 1) == expected
    (panel,) = page.view.interfaces[0].elements[0].panels
    short = [name.partition(",")[0] for name in tiny.LABELS]
    assert list(panel.frames[0].notes) == [f"a: {short[whole[n]]}, b: {short[changed[n]]}" for n in expected]


def test_a_condition_without_a_model_is_of_the_first_one_in_every_pipe(module, network, pictures):
    whole = scores(module, pictures).argmax(1)
    words = ["ant"] * COUNT
    page = bbilang.run(
        MODELS + "dataset wrong = photos | filter(predicted != label)\n"
        "b:b.channel[1] | across(wrong) | present(bars)\nwrong | present(image)",
        model=network, data={"photos": list(zip(pictures, words, strict=True))},
    )  # fmt: skip
    expected = np.flatnonzero(whole != 0).tolist()
    assert numbers(page, 1) == expected or numbers(page) == expected
    of_b = next(field for field in page.results.fields.values() if field.type.model == "b")
    assert of_b.coords["example"].data.tolist() == expected


def refused(text: str, network, pictures) -> tuple[str, str]:
    with pytest.raises(BbiError) as error:
        bbilang.check(MODELS + text, model=network, data={"photos": [(it, "ant") for it in pictures]})
    (first,) = [each for each in error.value.diagnostics if each.severity == "error"]
    return first.code, first.message


def test_columns_that_no_model_says(network, pictures):
    code, message = refused('dataset x = photos | filter(b:label == "ant")\nx | present(image)', network, pictures)
    assert (code, message) == ("E257", "the column `label` is not what a model says: it is the same for every model")
    code, message = refused("dataset x = photos | filter(c:loss > 1)\nx | present(image)", network, pictures)
    assert (code, message) == ("E421", "no model is called `c`")
    text = "a:b.channel | across(photos) | mean(example, per=b:predicted) | present(matrix)"
    code, message = refused(text, network, pictures)
    assert code == "E257" and message.startswith("`per=` groups by what the pipe's own model says")
    text = "a:b.channel | across(photos) | filter(b:loss > 1) | mean(example) | present(bars)"
    assert refused(text, network, pictures)[0] == "E257"

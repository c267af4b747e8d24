"""Datasets that are ranked by a column: of the table, of the files, or what models say."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.models.preprocess import Preprocess

COUNT = 12
PHOTOS = 'dataset photos = "photos.csv"\n'


@pytest.fixture(scope="module")
def module():
    return tiny.build()


@pytest.fixture(scope="module")
def network(module):
    return bbilang.adapt(module, (32, 32), labels=tiny.LABELS, preprocess=Preprocess(32, (32, 32)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve pictures of widths 32 to 43; of the weights one is missing, and two are equal."""
    top = tmp_path_factory.mktemp("ranked")
    random = np.random.default_rng(3)
    weights = ["3", "1", "", "7", "7", "2", "9", "4", "0", "5", "6", "8"]
    rows = ["file,label,weight,by"]
    for number, weight in enumerate(weights):
        pixels = random.integers(0, 256, (32, 43 - number, 3), np.uint8)
        Image.fromarray(pixels).save(top / f"{number:02}.png")
        label = ("ant", "bee", "house cat")[number % 3] if number else "plate"  # which is no class
        rows.append(f"{number:02}.png,{label},{weight},{'ann' if number % 2 else 'bob'}")
    (top / "photos.csv").write_text("\n".join(rows))
    return top


def run(folder, network, text, **options):
    path = folder / "page.bbi"
    path.write_text(text)
    return bbilang.run(path, model=network, **options)


def shown(page, element: int = 0) -> list[int]:
    field = list(page.results.fields.values())[element]
    return [int(name.removesuffix(".png")) for name in field.columns["file"].data.tolist()]


def test_rankings_by_a_column_of_the_table(folder, network):
    page = run(
        folder, network,
        PHOTOS + "photos | top(3, by=weight) | present(image)\nphotos | bottom(2, by=weight) | present(image)\n"
        "photos | sort(by=weight) | present(image)\nphotos | sort(by=weight) | top(4) | present(image)\n"
        "photos | both(2, by=weight) | present(image)\nphotos | sort(by=width, descending=false) | present(image)",
    )  # fmt: skip
    order = [6, 11, 3, 4, 10, 9, 7, 0, 5, 1, 8]  # 3 and 4 are equal: the earlier first; 2 has no weight
    assert shown(page, 0) == order[:3]
    assert shown(page, 1) == [8, 1]
    assert shown(page, 2) == order
    assert shown(page, 3) == order[:4]
    assert shown(page, 4) == [6, 11, 1, 8]
    assert shown(page, 5) == list(range(COUNT))[::-1]
    first, *_ = elements = page.view.interfaces[0].elements
    assert first.panels[0].frames[0].notes == ("weight 9", "weight 8", "weight 7")
    assert first.title == "Examples of photos, by weight"
    (words,) = ("".join(piece.words for piece in answer) for answer in elements[2].answers)
    assert "has the largest weight, 9. 1 example is left out, since `weight` is not known of it" in words
    whole = page.results.fields[elements[0].id]
    assert whole.coords["example"].data.tolist() == order[:3]


def test_rankings_by_what_networks_say(folder, network, module):
    """The twin: the network by hand, example by example."""
    page = run(
        folder, network,
        "model a = net\nmodel b = a | ablate(b.channel[2]) | ablate(b.channel[3])\n" + PHOTOS +
        "photos | sort(by=loss) | present(image)\nphotos | sort(by=confidence) | present(image)\n"
        "dataset hard = photos | top(5, by=b:confidence)\nhard | present(image)\n"
        "a:b.channel[1] | across(hard) | present(bars)",
    )  # fmt: skip
    pictures = [Image.open(folder / f"{n:02}.png").convert("RGB") for n in range(COUNT)]
    batch = torch.stack([network.prepare(it)[0] for it in pictures])

    def scores(without=()):
        def zero(_, __, out):
            out = out.clone()
            out[:, list(without)] = 0
            return out

        handle = module.b.register_forward_hook(zero)
        with torch.no_grad():
            made = module(batch).double()
        handle.remove()
        return made.log_softmax(1).numpy()

    whole, changed = scores(), scores((2, 3))
    loss = [-whole[n, n % 3] if n else np.nan for n in range(COUNT)]
    assert shown(page, 0) == np.argsort(np.negative(loss), kind="stable")[: COUNT - 1].tolist()
    assert shown(page, 1) == np.argsort(-whole.max(1), kind="stable").tolist()
    best = np.argsort(-changed.max(1), kind="stable")[:5].tolist()
    assert shown(page, 2) == best
    bars = list(page.results.fields.values())[3]
    assert bars.coords["example"].data.tolist() == best  # of another model's pipe, in the same order
    alone = run(folder, network, PHOTOS + "b.channel[1] | across(photos) | present(bars)")
    every = next(iter(alone.results.fields.values())).values.data
    np.testing.assert_allclose(bars.values.data.ravel(), every.ravel()[best], rtol=1e-5)


def test_the_order_of_a_dataset_changes_no_number(folder, network):
    """Whatever reads a dataset reads the same examples in any order: means, strongest examples, maps, columns."""
    pipes = (
        "b.channel | across({0}) | mean(example) | top(3) | present(bars)",
        "b.channel[1] | examples({0}, 4) | present(image)",
        "b.channel[1] | examples({0}, 4, crop=map) | present(image)",
        "b.channel[1] | spectrum({0}, 4) | present(image)",
        "b.channel | across({0}) | mean(example, per=predicted) | present(matrix)",
        "b.channel[1] | across({0}) | filter(loss > 0.5) | mean(example) | present(bars)",
    )
    text = PHOTOS + "dataset turned = photos | sort(by=width, descending=false)\n"
    page = run(folder, network, text + "\n".join(pipe.format(name) for pipe in pipes for name in ("photos", "turned")))
    fields = list(page.results.fields.values())
    for plain, turned in zip(fields[::2], fields[1::2], strict=True):
        np.testing.assert_allclose(turned.values.data, plain.values.data, rtol=1e-5, atol=1e-7)
        if "file" in plain.columns:
            assert turned.columns["file"].data.tolist() == plain.columns["file"].data.tolist()


def test_examples_of_a_field_by_a_column(folder, network):
    page = run(
        folder, network, PHOTOS + "b.channel[1] | across(photos) | top(3, along=example, by=weight) | present(bars)\n"
        "b.channel[1] | across(photos) | present(bars)",
    )  # fmt: skip
    ranked, every = page.results.fields.values()
    assert ranked.coords["example"].data.tolist() == [6, 11, 3]
    np.testing.assert_array_equal(ranked.values.data.ravel(), every.values.data.ravel()[[6, 11, 3]])


@pytest.mark.parametrize(
    "text, code, words",
    [
        ("photos | top(3) | present(image)", "E212", "`top` of a dataset needs `by`"),
        ("photos | top(3, by=label) | present(image)", "E458", "`label` holds words"),
        ("photos | sort(by=wieght) | present(image)", "E215", "did you mean `weight`"),
        ("photos | sort(by=magnitude) | present(image)", "E231", "have no numbers of their own"),
        (
            "b.channel | across(photos) | top(3, along=channel, by=weight) | present(matrix)",
            "E231",
            "a column is of",
        ),
    ],
)
def test_what_is_refused(text, code, words, folder, network):
    (folder / "wrong.bbi").write_text(PHOTOS + text)
    with pytest.raises(BbiError, match=code) as caught:
        bbilang.check(folder / "wrong.bbi", model=network)
    assert words in str(caught.value)


def test_a_column_that_is_known_of_no_example(network, tmp_path):
    for number in range(3):
        Image.new("RGB", (32, 32), (60 * number, 90, 20)).save(tmp_path / f"{number}.png")
    (tmp_path / "page.bbi").write_text('dataset photos = "./"\nphotos | top(2, by=loss) | present(image)')
    with pytest.raises(BbiError, match="E451") as caught:
        bbilang.run(tmp_path / "page.bbi", model=network)
    assert "labels that are classes" in str(caught.value)

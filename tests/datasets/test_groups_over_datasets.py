"""Groups before `across` and `examples`: made on the page's input, read in each example as directions."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.models.preprocess import Preprocess

HEAD = 'dataset shapes = "sample:shapes" | sample(12)\ngroups = b | factorize(nmf, 3)\n'
PICTURE = Image.fromarray(np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8))


@pytest.fixture(scope="module")
def network():
    return bbilang.adapt(tiny.build(), (32, 32), labels=tiny.LABELS, preprocess=Preprocess(32, (32, 32)))


def fields(network, text: str, **options) -> list:
    page = bbilang.run(HEAD + text, model=network, **{"input": PICTURE, **options})
    return list(page.results.fields.values())


def by_hand(network) -> tuple[np.ndarray, np.ndarray]:
    """The twin: activations of `b` (example, channel, y, x) and gradients of each example's best score by them."""
    from bbilang.runtime.data.dataset import open_dataset

    dataset = open_dataset("sample:shapes")
    (row,) = fields(network, "shapes | present(image)")
    found, slopes = [], []
    for number in row.coords["example"].data.tolist():
        image = network.prepare(dataset.picture(number))[0][None]
        kept = []
        handle = network.module.b.register_forward_hook(lambda *given, kept=kept: kept.append(given[2]))
        scores = network.module(network.preprocess.normalize(image).requires_grad_())
        handle.remove()
        (slope,) = torch.autograd.grad(scores[0, scores[0].argmax()], kept[0])
        found.append(kept[0].detach()[0].numpy())
        slopes.append(slope[0].numpy())
    return np.stack(found), np.stack(slopes)


def test_numbers_are_those_of_the_directions_of_the_groups(network):
    factors, every, chosen, shown, here = fields(
        network,
        "groups.channel | present(matrix)\ngroups | across(shapes) | present(matrix)\n"
        "groups | attribute(output) | top(2) | across(shapes) | present(matrix)\n"
        "groups | attribute(output) | top(2) | activation(reduce=max) | examples(shapes, 4, crop=map)"
        " | present(image, facet=group)\ngroups | attribute(output) | top(2) | present(bars)",
    )  # fmt: skip
    rows = factors.values.ordered(("input", "group", "channel")).data[0]
    cubes, slopes = by_hand(network)
    inner = np.einsum("gc,ecyx->egyx", rows, cubes)
    np.testing.assert_allclose(every.values.ordered(("example", "concept")).data, inner.sum((2, 3)), rtol=1e-3)

    first = here.coords["group"].data.ravel()  # what the page's own input chose, with the parts of its groups
    assert chosen.coords["concept"].data.ravel().tolist() == first.tolist()
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    parts = np.einsum("gc,ecyx->egyx", unit, cubes) * np.einsum("gc,ecyx->egyx", unit, slopes)
    np.testing.assert_allclose(
        chosen.values.ordered(("example", "concept")).data, parts.sum((2, 3))[:, first], rtol=1e-3, atol=1e-5
    )
    peaks = inner.max((2, 3))
    for place, group in enumerate(first.tolist()):
        best = np.sort(peaks[:, group])[::-1][:4]
        np.testing.assert_allclose(shown.values.ordered(("concept", "example")).data[place], best, rtol=1e-3)
    assert "direction of its channels" in " ".join(every.notes)


def test_the_axis_of_groups_over_a_dataset_is_called_group(network):
    text = 'dataset shapes = "sample:shapes" | sample(12)\ngroups = b | factorize({}, 3)\n'
    for method, noun in (("nmf", "group"), ("pca", "component")):
        head = text.format(method)
        pipe = "groups | activation | examples(shapes, 2) | present(image, facet={})"
        pages = [bbilang.run(head + pipe.format(axis), model=network, input=PICTURE) for axis in ("group", "concept")]
        shown = [[panel.label for panel in page.view.interfaces[0].elements[0].panels] for page in pages]
        assert shown[0] == shown[1] == [f"group {number}" for number in range(3)], noun
        bars = head + "groups | across(shapes) | mean(example) | present(bars)"
        element = bbilang.run(bars, model=network, input=PICTURE).view.interfaces[0].elements[0]
        assert element.title.startswith(f"{noun.capitalize()}s of b")
    with pytest.raises(BbiError, match="E303") as caught:
        bbilang.check(head + "groups | activation | examples(shapes, 2) | present(image)", model=network, input=PICTURE)
    assert "facet=group" in str(caught.value) and "concept" not in str(caught.value)
    with pytest.raises(BbiError, match="E230") as caught:
        bbilang.check(head + pipe.format("channel"), model=network, input=PICTURE)
    assert "group, example" in str(caught.value)


def test_common_groups_of_several_inputs(network):
    one = Image.fromarray(np.random.default_rng(2).integers(0, 256, (32, 32, 3), np.uint8))
    text = 'dataset shapes = "sample:shapes" | sample(12)\n'
    text += "b | factorize(nmf, 3{}) | across(shapes) | mean(example) | present(bars)"
    page = bbilang.run(text.format(", along=input"), model=network, input=[PICTURE, one])
    assert next(iter(page.results.fields.values())).values.sizes == {"concept": 3}
    with pytest.raises(BbiError, match="E262") as caught:
        bbilang.check(text.format(""), model=network, input=[PICTURE, one])
    assert "along=input" in str(caught.value)


@pytest.mark.parametrize(
    "pipe, code",
    [
        ("groups.spatial | across(shapes) | mean(example) | present(heatmap)", "E261"),
        ("b | factorize(nmf, 3, of=attribute(output)) | across(shapes) | mean(example) | present(bars)", "E261"),
        ("groups | normalize(global) | top(2) | across(shapes) | mean(example) | present(bars)", "E261"),
        ("b | factorize(nmf, slider(2, 4)) | across(shapes) | mean(example) | present(bars)", "E262"),
    ],
)
def test_what_is_refused(network, pipe, code):
    with pytest.raises(BbiError, match=code):
        bbilang.check(HEAD + pipe, model=network, input=PICTURE)
    with pytest.raises(BbiError, match="E420"):  # groups are of a picture
        bbilang.run(HEAD + "groups | across(shapes) | mean(example) | present(bars)", model=network)

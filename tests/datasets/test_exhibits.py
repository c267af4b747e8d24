"""What pages about a dataset say: sentences, legends, titles, names of files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
from PIL import Image

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.models.preprocess import Preprocess
from bbilang.runtime.view.answers.pieces import plain
from bbilang.runtime.view.states import elements

LABELS = ("ant", "bee")
PHOTOS = 'dataset photos = "photos/"\n'


@pytest.fixture(scope="module")
def network():
    return bbilang.adapt(tiny.build(), (32, 32), labels=tiny.LABELS, preprocess=Preprocess(32, (32, 32)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    top = tmp_path_factory.mktemp("exhibits")
    random = np.random.default_rng(1)
    for number in range(12):
        own = top / "photos" / LABELS[number % 2]
        own.mkdir(parents=True, exist_ok=True)
        pixels = (random.random((32, 32, 3)) * (60 + 10 * number)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(own / f"{number:02}.png")
    return top


def run(folder: Path, text: str, network, **options):
    path = folder / "page.bbi"
    path.write_text(PHOTOS + text)
    return bbilang.run(path, model=network, **options)


def shown(page):
    """Return the last element, its sentence and its field."""
    element = list(elements(page.view))[-1]
    return element, plain(element.answers[0]) if element.answers else "", page.results.fields[element.id]


def test_a_row_of_examples_says_what_an_atom_responds_to(folder, network):
    element, words, field = shown(run(folder, "b.channel[3] | examples(photos, 4) | present(image)", network))
    values = field.values.data.ravel()
    labels = field.columns["label"].data.ravel()
    assert element.title == "Examples for channel 3 of b"
    assert words.startswith(f"Channel 3 responds most to {labels[0]} ({values[0]:.2f}), {labels[1]} (")
    assert element.legend.quantity == "activation"
    assert element.legend.unit == "the layer's own units, largest over positions"


def test_one_channel_has_the_examples_that_it_has_among_all(folder, network):
    alone = shown(run(folder, "b.channel[3] | examples(photos, 4) | present(image)", network))[2]
    every = shown(run(folder, "b.channel | examples(photos, 4) | present(image, facet=channel)", network))[2]
    row = every.values.ordered(("channel", "example")).data[3]
    np.testing.assert_array_equal(alone.values.ordered(("channel", "example")).data[0], row)
    files = every.columns["file"].ordered(("channel", "example")).data[3]
    assert alone.columns["file"].ordered(("channel", "example")).data[0].tolist() == files.tolist()


def test_the_ends_have_verbs_of_their_own(folder, network):
    for pipe, words in (
        ("b.channel[3] | examples(photos, 3, sign=negative)", "Channel 3 responds least to "),
        ("b.channel[3] | attribute(output) | examples(photos, 3)",
         "Channel 3 contributes most to each picture's predicted class in "),
        ('b.channel[3] | attribute(output["ant"]) | examples(photos, 3, sign=negative)',
         "Channel 3 counts most against ant in "),
        ('b.channel[3] | attribute(output["ant"] - output["dog"]) | examples(photos, 3, sign=magnitude)',
         "Channel 3 matters most for ant − dog in "),
        ("b.channel[3] | spectrum(photos, 3)", "Channel 3 ranges from "),
    ):  # fmt: skip
        assert shown(run(folder, f"{pipe} | present(image)", network))[1].startswith(words), pipe


def test_relmax_names_its_target_in_the_legend(folder, network):
    element, _, _ = shown(run(folder, "b.channel | attribute(output) | examples(photos, 2) "
                              "| present(image, facet=channel)", network))  # fmt: skip
    assert element.legend.quantity == "attribution to each picture's predicted class"


def test_ties_are_said(folder, network):
    """A channel that is zero everywhere: all of its examples are equal."""
    module = tiny.build()
    layer = module.b.conv if hasattr(module.b, "conv") else module.b
    import torch

    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
    silent = bbilang.adapt(module, (32, 32), labels=tiny.LABELS, preprocess=Preprocess(32, (32, 32)))
    page = run(folder, "b.channel[3] | examples(photos, 4) | present(image)", silent, cache=False)
    element, words, _ = shown(page)
    assert words == "Channel 3 is zero on all of the examples."
    assert any("8 more examples have exactly the value of the last one shown" in note for note in element.legend.notes)


def test_reductions_say_what_they_are_of(folder, network):
    _, words, field = shown(run(folder, "b.channel | across(photos) | mean(example) | top(4) | present(bars)", network))
    first = field.values.data.ravel()[0]
    assert words.startswith("Channel ") and " has the largest mean activation over the examples, before " in words
    assert f"({first:.2f})" in words or f"({first:.1f})" in words

    text = 'b.channel | attribute(output["ant"]) | across(photos) | fraction(example, above=0) | top(3) | present(bars)'
    element, words, field = shown(run(folder, text, network))
    assert "is above 0 in" in words and "of the examples" in words
    assert "add up" not in words and "contribute" not in words
    assert element.legend.unit == "share of the examples"


def test_an_example_has_its_file_for_pointer_and_screen_reader(folder, network):
    page = run(folder, "b.channel[3] | examples(photos, 3) | present(image)", network)
    element, _, field = shown(page)
    files = [str(file) for file in field.columns["file"].data.ravel()]
    assert [atom.more for atom in element.atoms] == [f"file {file}" for file in files]
    page.save(folder / "table.csv")
    assert all(f"file {file}" in (folder / "table.csv").read_text() for file in files)


def test_an_example_without_a_label_is_called_by_its_file(folder, network):
    (folder / "photos" / "loose").mkdir(exist_ok=True)
    table = folder / "some.csv"
    table.write_text("file,label\nphotos/ant/00.png,ant\nphotos/bee/01.png,\n")
    path = folder / "some.bbi"
    path.write_text('dataset some = "some.csv"\nsome | present(image)')
    element = list(elements(bbilang.run(path, model=network).view))[-1]
    assert [atom.label for atom in element.atoms] == ["ant", "photos/bee/01.png"]
    assert element.title == "Examples of some"


def test_a_page_lists_the_pictures_that_it_embeds(folder, network):
    text = "b.channel | examples(photos, 2) | present(image, facet=channel)\nphotos | present(image)"
    page = run(folder, text, network)
    assert page.view.provenance.pictures == ("12 examples of photos/ as thumbnails of up to 32 px",)
    assert "12 examples of photos/ as thumbnails of up to 32 px" in page.html()
    without = run(folder, f"set thumbnails(none)\n{text}", network)
    assert without.view.provenance.pictures == () and not without.view.pictures
    assert "<dt>Pictures</dt>" not in without.html()


def test_without_thumbnails_the_labels_stay(folder, network):
    page = run(folder, "set thumbnails(none)\nb.channel[3] | examples(photos, 3) | present(image)", network)
    element, words, _ = shown(page)
    assert {atom.label for atom in element.atoms} <= set(LABELS) and words.startswith("Channel 3 responds most to ")


def test_a_page_too_large_to_open_is_refused_with_what_to_bound(folder, network, monkeypatch):
    page = run(folder, "photos | present(image)", network)
    size = len(page.html().encode())
    monkeypatch.setattr("bbilang.runtime.page.size.MOST", size)
    page.html()
    monkeypatch.setattr("bbilang.runtime.page.size.MOST", size - 1)
    with pytest.raises(BbiError, match=r"E312.*(?s:.)*at most"):
        page.html()
    monkeypatch.setattr("bbilang.runtime.page.size.MOST", 1)
    monkeypatch.setattr("bbilang.runtime.page.size.BASE64", 1000)
    with pytest.raises(BbiError, match=r"12 pictures(?s:.)*set thumbnails"):
        page.html()


def test_a_condition_that_no_example_meets_is_an_error_with_the_words_there_are(folder, network):
    text = 'dataset wasps = photos | filter(label == "wasp")\nwasps | present(image)'
    with pytest.raises(BbiError, match=r'E263.*no example has "wasp"(?s:.)*it holds ant, bee'):
        run(folder, text, network)
    text = 'dataset wasps = photos | filter(label == "ant" and confidence > 2)\nwasps | present(image)'
    with pytest.raises(BbiError, match=r"E451.*no example(?s:.)*condition"):
        run(folder, text, network)


MAP = "map = b.channel | across(photos) | project(pca, 2, along=channel) | present(scatter)\n"


def test_examples_are_projected_by_their_vectors_of_channels(folder, network):
    from sklearn.decomposition import PCA

    vectors = shown(run(folder, "b.channel | across(photos) | present(image, facet=channel)", network))[2].values
    page = run(folder, MAP, network)
    element, _, field = shown(page)
    expected = PCA(2).fit_transform(vectors.ordered(("example", "channel")).data.astype(np.float64))
    made = field.values.ordered(("example", "component")).data
    for own, twin in zip(made.T, expected.T, strict=True):  # a component's sign is a convention
        np.testing.assert_allclose(own * np.sign(own @ twin), twin, rtol=1e-3, atol=1e-3 * np.abs(twin).max())
    assert {"label", "predicted", "correct"} <= set(field.columns)
    assert element.points.count == 12 and element.points.sheets == 1 and element.points.colour == "label"
    assert element.title == "Examples by b"


def test_pointing_at_an_example_shows_it_and_what_is_computed_of_it(folder, network):
    text = (
        f"{MAP}one = photos | at(hover(map)) | present(image)\n"
        "why = b.channel | attribute(output) | across(photos) | at(hover(map)) | top(3) | present(bars)"
    )
    page = run(folder, text, network)
    every = {element.id: element for element in elements(page.view)}
    (selection,) = [each for each in page.view.selections if each.id in every["one"].states]
    assert [atom.key for atom in selection.atoms] == [atom.key for atom in every["map"].atoms]
    files = page.results.fields["map"].columns["file"].data.tolist()
    assert [atom.more for atom in selection.atoms] == [f"file {file}" for file in files]
    whole = shown(
        run(folder, "b.channel | attribute(output) | across(photos) | present(image, facet=channel)", network)
    )
    numbers = whole[2].values.ordered(("example", "channel")).data
    for row, file in enumerate(files):
        (picture,) = every["one"].panels[0].frames[row].pictures
        assert page.view.pictures[picture].alt == f"the example {file}"
        values = [value for (value,) in every["why"].panels[0].frames[row].values]
        np.testing.assert_allclose(values, numbers[row][np.argsort(-numbers[row])[:3]], rtol=1e-3)
    assert plain(every["why"].answers[0]).startswith(f"In {selection.atoms[0].label}, channel")


def test_a_selection_is_among_examples_of_the_same_dataset(folder, network):
    (folder / "more.csv").write_text("file,label,weight\nphotos/ant/00.png,ant,1\nphotos/bee/01.png,bee,2\n")
    with pytest.raises(BbiError, match=r"E309.*another dataset"):
        run(folder, f'dataset more = "more.csv"\n{MAP}more | at(hover(map)) | present(image)', network)


def test_a_planted_detector_finds_the_patch_and_cuts_to_it(tmp_path):
    """A network whose only channel answers to a red patch: the first examples have it, and the cut shows it."""
    import io

    import torch
    from torch import nn

    random, places = np.random.default_rng(0), {}
    (tmp_path / "photos").mkdir()
    for number in range(10):
        pixels = (random.random((32, 32, 3)) * 90 + 60).astype(np.uint8)
        if number % 3 == 0:
            y, x = random.integers(4, 26, 2).tolist() if number else (0, 0)  # one in the corner
            pixels[y : y + 3, x : x + 3] = (250 - number, 0, 0)
            places[f"{number}.png"] = (y, x)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")

    class Detector(nn.Module):
        def __init__(self):
            super().__init__()
            self.blur = nn.AvgPool2d(3, 1)
            self.detect = nn.Conv2d(3, 2, 1)
            with torch.no_grad():
                self.detect.weight.copy_(torch.tensor([[1.0, -1, -1], [0.1, 0.1, 0.1]])[:, :, None, None])
                self.detect.bias.zero_()
            self.head = nn.Linear(2, 3)

        def forward(self, images):
            return self.head(self.detect(self.blur(images)).relu().amax((2, 3)))

    model = bbilang.adapt(Detector(), (32, 32), labels=("a", "b", "c"), preprocess=Preprocess(32, (32, 32)))
    path = tmp_path / "page.bbi"
    path.write_text('dataset photos = "photos/"\ndetect.channel[0] | examples(photos, 4, crop=field) | present(image)')
    page = bbilang.run(path, model=model)
    element, _, field = shown(page)
    files = field.columns["file"].data.ravel().tolist()
    assert sorted(files) == sorted(places)
    for file, number in zip(files, element.panels[0].frames[0].pictures, strict=True):
        cut = {name: int(field.coords[f"cut.{name}"].data.ravel()[files.index(file)]) for name in
               ("top", "bottom", "left", "right")}  # fmt: skip
        y, x = places[file]
        assert cut == {"top": y, "bottom": y + 3, "left": x, "right": x + 3}
        made = np.asarray(Image.open(io.BytesIO(page.view.pictures[number].data)).convert("RGB")).astype(int)
        assert made.shape == (3, 3, 3) and (made[..., 0] > 180).all() and (made[..., 1] < 60).all()
    assert any("3 × 3 of 32 × 32 pixels" in note for note in element.legend.notes)

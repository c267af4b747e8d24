"""Pipes over a dataset: the numbers of every example are those of a page about it alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from closeness import close_to
from PIL import Image
from torch import nn

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.fields.field import Field
from bbilang.runtime.models.preprocess import Preprocess

COUNT = 19
LABELS = ("ant", "bee", "plate")  # the last is no class of the network


@pytest.fixture(scope="module")
def network():
    return bbilang.adapt(tiny.build(), (32, 32), labels=tiny.LABELS, preprocess=Preprocess(32, (32, 32)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Noise of different brightness in three folders of labels, and a file that is no picture."""
    top = tmp_path_factory.mktemp("texts")
    random = np.random.default_rng(1)
    for number in range(COUNT):
        own = top / "photos" / LABELS[number % 3]
        own.mkdir(parents=True, exist_ok=True)
        pixels = (random.random((32, 32, 3)) * (60 + 10 * number)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(own / f"{number:02}.png")
    (top / "photos" / "ant" / "broken.png").write_bytes(b"no picture")
    return top


def run(folder: Path, text: str, network, **options):
    path = folder / "page.bbi"
    path.write_text(text)
    return bbilang.run(path, model=network, **options)


def field(page) -> Field:
    return page.results.fields[page.results.program.elements[-1].id]


@pytest.fixture(scope="module")
def alone(folder, network):
    """Twin: the numbers of a pipe for each picture, from a page of its own, (example, atom)."""
    known: dict[str, np.ndarray] = {}

    def numbers(pipe: str) -> np.ndarray:
        if pipe not in known:
            rows = []
            for path in pictures(folder):
                values = field(
                    bbilang.run(f"{pipe} | present(table)", model=network, input=str(path), cache=False)
                ).values
                rest = tuple(d for d in values.dims if d != "input")
                rows.append(values.spread(("input", *rest))[0].ravel())
            known[pipe] = np.stack(rows)
        return known[pipe]

    return numbers


def pictures(folder: Path) -> list[Path]:
    return sorted((folder / "photos").rglob("[0-9]*.png"))


def labels(folder: Path) -> np.ndarray:
    return np.array([path.parent.name for path in pictures(folder)])


PHOTOS = 'dataset photos = "photos/"\n'
PIPES = (
    "b.channel", "b.channel | activation(reduce=max)", "b.channel | attribute(output)", "b.channel | gradient(output)",
    'b.channel | attribute(output["ant"] - output["dog"])', "b.channel | attribute(output) | abs", "output.class",
    "a.channel | attribute(output, method=integrated_gradients(n_steps=4))", "b.whole",
)  # fmt: skip
REDUCED = {
    "mean(example)": lambda data: data.mean(0),
    "max(example)": lambda data: data.max(0),
    "std(example)": lambda data: data.std(0),
    "quantile(example, 0.3)": lambda data: np.quantile(data, 0.3, axis=0),
    "fraction(example, above=0.1)": lambda data: (data > 0.1).mean(0),
    "sum(example)": lambda data: data.sum(0),
}


@pytest.mark.parametrize("optimized", [True, False])
@pytest.mark.parametrize("pipe", PIPES)
def test_each_example_is_computed_as_on_a_page_of_its_own(pipe, optimized, folder, network, alone):
    for reduction in ("mean(example)", "std(example)"):
        text = f"{PHOTOS}{pipe} | across(photos) | {reduction} | present(table)"
        if pipe == "b.whole":
            text = text.replace("present(table)", "present(bars)").replace("across", "activation | across")
            continue
        made = field(run(folder, text, network, optimized=optimized, cache=False))
        expected = alone(pipe)
        close_to(made.values.data.ravel(), REDUCED[reduction](expected), terms=np.abs(expected).max())


@pytest.mark.parametrize("reduction", REDUCED)
def test_reductions_over_examples_are_numpys(reduction, folder, network, alone):
    text = f"{PHOTOS}b.channel | across(photos) | {reduction} | present(table)"
    data = alone("b.channel")
    close_to(field(run(folder, text, network)).values.data, REDUCED[reduction](data), terms=np.abs(data).max() * COUNT)


def test_a_reduction_of_each_group(folder, network, alone):
    text = f"{PHOTOS}b.channel | across(photos) | mean(example, per=label) | present(matrix)"
    made, data = field(run(folder, text, network)), alone("b.channel")
    assert made.names["label"].data.tolist() == sorted(LABELS)
    for row, label in enumerate(sorted(LABELS)):
        own = data[labels(folder) == label]
        close_to(made.values.ordered(("label", "channel")).data[row], own.mean(0), terms=np.abs(own).max())


def test_the_examples_that_activate_an_atom_most(folder, network, alone):
    text = f"{PHOTOS}b.channel | examples(photos, 4) | present(image, facet=channel)"
    made, data = field(run(folder, text, network)), alone("b.channel | activation(reduce=max)")
    files = np.array([str(path.relative_to(folder / "photos")) for path in pictures(folder)])
    values = made.values.ordered(("channel", "example")).data
    close_to(values, -np.sort(-data, axis=0)[:4].T, terms=np.abs(data).max())
    shown = made.columns["file"].ordered(("channel", "example")).data
    for channel in range(data.shape[1]):
        if len(np.unique(data[:, channel])) == COUNT:  # without ties
            assert shown[channel].tolist() == files[np.argsort(-data[:, channel], kind="stable")[:4]].tolist()


def test_an_attribution_before_examples_is_relmax(folder, network, alone):
    text = f"{PHOTOS}b.channel | attribute(output) | examples(photos, 3) | present(image, facet=channel)"
    made, data = field(run(folder, text, network)), alone("b.channel | attribute(output)")
    close_to(made.values.ordered(("channel", "example")).data, -np.sort(-data, axis=0)[:3].T, terms=np.abs(data).max())


def test_atoms_are_chosen_on_the_input_of_the_page(folder, network, alone):
    chosen = str(pictures(folder)[2])
    text = (
        f"{PHOTOS}b.channel | attribute(output) | top(3) | activation | across(photos) | mean(example) | present(bars)"
    )
    made = field(run(folder, text, network, input=chosen))
    order = np.argsort(-alone("b.channel | attribute(output)")[2], kind="stable")[:3]
    assert made.coords["channel"].data.ravel().tolist() == order.tolist()
    close_to(made.values.data.ravel(), alone("b.channel")[:, order].mean(0), terms=np.abs(alone("b.channel")).max())


def test_conditions_on_what_the_network_predicts(folder, network, alone):
    scores = alone("output.class")
    text = f"{PHOTOS}dataset wrong = photos | filter(predicted != label)\nwrong | present(image)"
    made = field(run(folder, text, network))
    classes = [name.split(",")[0] for name in tiny.LABELS]
    predicted = np.array(classes)[scores.argmax(1)]
    files = [str(path.relative_to(folder / "photos")) for path in pictures(folder)]
    # `plate` is no class: whether the network is wrong about it is not known
    known = [label != "plate" for label in labels(folder)]
    expected = [file for file, own, label in zip(files, predicted, labels(folder), strict=True)
                if label != "plate" and own != label]  # fmt: skip
    assert made.columns["file"].data.tolist() == expected
    count = known.count(False) + 1  # and the file that cannot be read
    assert made.notes == (f"{count} examples are left out, since a column of the condition is not known of them",)

    probability = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    sure = run(folder, f"{PHOTOS}dataset sure = photos | filter(confidence > 0.3)\nsure | present(image)", network)
    assert field(sure).columns["file"].data.tolist() == [
        f for f, p in zip(files, probability.max(1), strict=True) if p > 0.3
    ]


def test_a_label_that_is_no_class_leaves_the_loss_undefined(folder, network):
    text = f"{PHOTOS}dataset hard = photos | filter(loss > 0)\nhard | present(image)"
    made = field(run(folder, text, network))
    assert "plate" not in set(made.columns["label"].data.tolist())
    left = int((labels(folder) == "plate").sum()) + 1  # and the one that is no picture
    assert f"{left:,} examples are left out, since a column of the condition is not known of them" in made.notes


def test_a_list_of_datasets_is_an_axis_of_subsets(folder, network, alone):
    text = (
        f'{PHOTOS}dataset ants = photos | filter(label == "ant")\n'
        "b.channel | across([photos, ants]) | mean(example) | present(bars, facet=subset)"
    )
    page = run(folder, text, network)
    made, data = field(page), alone("b.channel")
    assert made.names["subset"].data.tolist() == ["photos", "ants"]
    values = made.values.ordered(("subset", "channel")).data
    close_to(values[0], data.mean(0), terms=np.abs(data).max())
    close_to(values[1], data[labels(folder) == "ant"].mean(0), terms=np.abs(data).max())
    assert len(page.results.program.scans) == 1  # that of the part joins that of the whole


def test_what_cannot_be_read_is_left_out_and_said(folder, network):
    made = field(run(folder, f"{PHOTOS}b.channel | across(photos) | mean(example) | present(bars)", network))
    assert any("1 example left out: cannot be read" in note and "broken.png" in note for note in made.notes)


def test_the_second_page_scans_nothing(folder, network, tmp_path):
    text = f"{PHOTOS}b.channel | across(photos) | mean(example) | top(3) | present(bars)"
    first = run(folder, text, network, cache=tmp_path / "cache")
    again = run(folder, text.replace("top(3)", "top(4)"), network, cache=tmp_path / "cache")
    assert (first.results.scanned, first.results.recalled) == (COUNT + 1, 0)  # one of them cannot be read
    assert again.results.passes is None and (again.results.scanned, again.results.recalled) == (0, COUNT + 1)
    assert first.view.provenance.passes == f"scanned {COUNT + 1} examples"
    assert again.view.provenance.passes == f"nothing ran; reused: the scan of {COUNT + 1} examples"
    np.testing.assert_array_equal(field(first).values.data, field(again).values.data[:3])


def test_sample_depends_on_the_seed_alone(folder, network):
    text = PHOTOS + "dataset few = photos | sample(5)\nfew | present(image)"
    files = [
        field(run(folder, seed + text, network)).columns["file"].data.tolist() for seed in ("", "", "set seed 3\n")
    ]
    assert files[0] == files[1] != files[2] and len(files[0]) == 5


def test_a_page_without_an_input_says_what_needs_one(folder, network):
    with pytest.raises(BbiError, match=r"E420.*no input"):
        run(folder, f"{PHOTOS}b.channel | attribute(output) | top(3) | activation | examples(photos, 2) "
            "| present(image, facet=channel)", network)  # fmt: skip


def test_thumbnails_can_be_left_out(folder, network):
    text = f"{PHOTOS}b.channel | examples(photos, 2) | present(image, facet=channel)"
    with_pictures, without = (run(folder, head + text, network) for head in ("", "set thumbnails(none)\n"))
    assert any(picture.mime == "image/webp" for picture in with_pictures.view.pictures)
    assert not without.view.pictures and b"UklGR" not in without.html().encode()


def test_a_spectrum_goes_from_the_lowest_to_the_highest(folder, network, alone):
    text = f"{PHOTOS}b.channel | spectrum(photos, 5) | present(image, facet=channel)"
    values = field(run(folder, text, network)).values.ordered(("channel", "example")).data
    data = alone("b.channel | activation(reduce=max)")
    for channel, own in enumerate(values):
        rest = np.sort(data[:, channel][data[:, channel] != 0])
        shown = own[~np.isnan(own)]
        if len(rest) > 4:
            close_to(shown[[0, -1]], rest[[0, -1]], terms=np.abs(data).max())
            assert (np.diff(shown) >= 0).all()


def test_the_plan_of_a_scan(folder, network):
    text = (
        f"{PHOTOS}b.channel | across(photos) | mean(example) | present(bars)\n"
        "b.channel | examples(photos, 2) | present(image, facet=channel)"
    )
    page = run(folder, text, network)
    (step,) = [step for step in page.plan.steps if step.kind == "scan"]
    assert "photos/: 20 examples, b; 1 forward each" in step.words
    assert step.passes == 20
    assert page.results.scanned == 20  # one pass for both questions


FIRST = """
block6a.expand.channel | across(photos) | mean(example) | top(3) | present(bars)
block6a.expand.channel[7] | examples(photos, 3) | present(image)
dataset wrong = photos | filter(confidence < 0.5)
wrong | present(image)
"""
SECOND = """
block6a.expand.channel | across(photos) | mean(example) | top(5) | present(bars)
block6a.expand.channel[9] | examples(photos, 5) | present(image)
dataset wrong = photos | filter(confidence < 0.9)
wrong | present(image)
"""
SCRIPT = """
import sys, bbilang
from pathlib import Path
page = bbilang.run(Path(sys.argv[1]), cache=sys.argv[2])
fields = page.results.fields
print("torch" in sys.modules, [field.values.data.tolist() for field in fields.values()])
"""


def test_another_question_needs_neither_torch_nor_the_network(tmp_path, folder):
    def answer(text: str, cache: str) -> str:
        (folder / "page.bbi").write_text(PHOTOS + text)
        arguments = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(folder / "page.bbi"), str(tmp_path / cache)]
        return subprocess.run(arguments, check=True, capture_output=True, text=True).stdout

    assert answer(FIRST, "kept").startswith("True")
    second = answer(SECOND, "kept")
    assert second.startswith("False")
    assert second.removeprefix("False") == answer(SECOND, "new").removeprefix("True")


class Saturated(nn.Module):
    """One convolution whose ReLU6 is at its ceiling for most pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU6(inplace=True))
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.a(x).mean((2, 3)))


def test_examples_at_a_ceiling_are_ordered_by_the_value_before_it(folder):
    module = tiny.build(Saturated)
    with torch.no_grad():
        module.a[0].weight.mul_(40)
    network = bbilang.adapt(module, (32, 32), preprocess=Preprocess(32, (32, 32)))
    made = field(run(folder, f"{PHOTOS}a.channel | examples(photos, 4) | present(image, facet=channel)", network))
    files = [str(path.relative_to(folder / "photos")) for path in pictures(folder)]
    images = [torch.from_numpy(np.array(Image.open(folder / "photos" / file))).permute(2, 0, 1) / 255 for file in files]
    with torch.no_grad():
        before = module.a[0](torch.stack(images)).amax((2, 3)).numpy()
    assert (made.values.data == 6).all(), "the test needs more examples at the ceiling than are shown"
    shown = made.columns["file"].ordered(("channel", "example")).data
    for channel, own in enumerate(shown):
        assert own.tolist() == [files[row] for row in np.argsort(-before[:, channel])[:4]]
    assert any("largest value before the nonlinearity" in note for note in made.notes)


def test_a_row_of_misclassified_examples_says_as_what(folder, network):
    page = run(folder, f"{PHOTOS}dataset wrong = photos | filter(predicted != label)\nwrong | present(image)", network)
    (element,) = page.view.interfaces[0].elements
    (frame,) = element.panels[0].frames
    predicted = field(page).columns["predicted"].data.tolist()
    assert list(frame.notes) == [f"as {name}" for name in predicted]
    assert f"{len(predicted)} of {COUNT + 1} examples" in page.answers[element.id].lower()


def test_near_duplicates_are_shown_once(folder, network, tmp_path):
    original = tmp_path / "photos"
    shutil.copytree(folder / "photos", original)
    source = sorted(original.rglob("[0-9]*.png"))[-1]
    copy = np.array(Image.open(source)).astype(np.int16)
    Image.fromarray((copy + 1).clip(0, 255).astype(np.uint8)).save(source.with_name("copy.png"))  # a change of tone
    (source.with_name("same.png")).write_bytes(source.read_bytes())
    text = PHOTOS + "b.channel | examples(photos, 4{}) | present(image, facet=channel)"
    kept = field(run(tmp_path, text.format(", duplicates=keep"), network))
    once = field(run(tmp_path, text.format(""), network))
    twins = {source.name, "copy.png", "same.png"}

    def shown(made: Field) -> list[int]:
        files = made.columns["file"].ordered(("channel", "example")).data
        return [sum(Path(str(file)).name in twins for file in row) for row in files]

    assert max(shown(kept)) == 3 and max(shown(once)) == 1
    assert once.values.sizes["example"] == 4 and not np.isnan(once.values.data).any()
    assert any("nearly the same picture" in note for note in once.notes)


def test_a_row_says_of_how_many_examples_it_is_a_part(folder, network):
    text = (
        f'{PHOTOS}dataset few = photos | sample(9)\ndataset ants = few | filter(label == "ant")\nants | present(image)'
    )
    page = run(folder, text, network)
    assert 0 < len(field(page).columns["file"].data) < 9
    assert "of nine examples" in page.answers[page.view.interfaces[0].elements[0].id]

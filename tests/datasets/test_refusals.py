"""Datasets that are refused, at their place in the text, and conditions on the sizes of pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
from PIL import Image

import bbilang
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.models.preprocess import Preprocess

PHOTOS = 'dataset photos = "photos/"\n'
MEAN = "b.channel | across(photos) | mean(example) | present(bars)"


@pytest.fixture(scope="module")
def network():
    return bbilang.adapt(tiny.build(), (32, 32), labels=tiny.LABELS, preprocess=Preprocess(32, (32, 32)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """`photos/`: twelve pictures of two splits and two labels, of widths 32 to 43; `one/`: those of one label;
    `flat/`: without labels; `empty/`; `broken/`: no picture can be read; and `outside/` of the folder."""
    top = tmp_path_factory.mktemp("refusals")
    random = np.random.default_rng(5)
    for number in range(12):
        pixels = random.integers(0, 256, (32, 32 + number, 3), np.uint8)
        split, label = ("train", "test")[number % 4 == 0], ("ant", "bee")[number % 2]
        for own in (f"in/photos/{split}/{label}", "in/flat", "in/one/ant", "outside/ant"):
            (top / own).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(top / own / f"{number:02}.png")
    (top / "in/empty").mkdir()
    (top / "in/broken/ant").mkdir(parents=True)
    for number in range(3):
        (top / f"in/broken/ant/{number}.png").write_bytes(b"no picture")
    return top / "in"


def error(folder: Path, text: str, network, **options) -> BbiError:
    path = folder / "page.bbi"
    path.write_text(text)
    with pytest.raises(BbiError) as caught:
        bbilang.run(path, model=network, cache=False, **options)
    return caught.value


def place(failure: BbiError, text: str) -> tuple[str, str]:
    """Return (code, the words of the text that it points at)."""
    (first, *_) = failure.diagnostics
    assert first.span is not None, failure
    return first.code, text[first.span.start : first.span.end]


CHECKED = [  # refused by `bbi check` too
    (f'dataset photos = "empty/"\n{MEAN}', "E451", '"empty/"'),
    (f'dataset photos = "gone/"\n{MEAN}', "E450", '"gone/"'),
    (f'dataset photos = "one/"\n{MEAN.replace("(example)", "(example, per=label)")}', "E264", "label"),
    (f'dataset photos = "flat/"\n{MEAN.replace("(example)", "(example, per=label)")}', "E264", "label"),
    (f'{PHOTOS}dataset test = photos | filter(split == "tset")\ntest | present(image)', "E263", '"tset"'),
    (f'{PHOTOS}dataset ants = photos | filter("cat" != label)\nants | present(image)', "E263", '"cat"'),
    (f"{PHOTOS}dataset ants = photos | filter(label == 3)\nants | present(image)", "E458", "3"),
    (f'{PHOTOS}dataset ants = photos | filter(lable == "ant")\nants | present(image)', "E215", "lable"),
]  # fmt: skip
RUN = [
    (f'dataset photos = "broken/"\n{MEAN}', "E452"),
    ('dataset photos = "photos/"\ndataset big = photos | filter(width > 300)\nbig | present(image)', "E451"),
]


@pytest.mark.parametrize("text, code, words", CHECKED)
def test_what_the_checker_refuses(text, code, words, folder, network):
    assert place(error(folder, text, network), text) == (code, words)
    with pytest.raises(BbiError, match=code):
        bbilang.check(bbilang.parse(folder / "page.bbi"), model=network)


@pytest.mark.parametrize("text, code", RUN)
def test_what_only_the_files_tell(text, code, folder, network):
    found, words = place(error(folder, text, network), text)
    assert found == code and words in text


def test_a_concept_against_itself(folder, network):
    text = f"{PHOTOS}c = b | concept(photos, against=photos)\nc | across(photos) | mean(example) | present(bars)"
    failure = error(folder, text, network)
    assert place(failure, text)[0] == "E466"
    assert failure.diagnostics[0].message == "all examples of photos are in photos too"


def test_a_dataset_stays_in_the_root(folder, network):
    from bbilang.pipeline import Pipeline, Request
    from bbilang.texts import read

    for name, fine in (("photos/", True), ("../outside/", False)):
        (folder / "page.bbi").write_text(f'dataset photos = "{name}"\n{MEAN}')
        pipeline = Pipeline(Request(read(str(folder / "page.bbi")), model=network, root=folder))
        if fine:
            assert pipeline.page.view is not None
        else:
            with pytest.raises(BbiError, match="E455"):
                _ = pipeline.page


@pytest.mark.parametrize("condition, kept", [
    ("width > 40", lambda n: n > 8), ("width > 36 and height == 32 and split == \"train\"", lambda n: n > 4 and n % 4),
    ("height > width", lambda n: False),
])  # fmt: skip
def test_conditions_on_the_sizes_of_pictures(condition, kept, folder, network):
    text = f'dataset photos = "photos/"\ndataset big = photos | filter({condition})\nbig | present(image)'
    expected = [f"{n:02}.png" for n in range(12) if kept(n)]
    if not expected:
        assert place(error(folder, text, network), text)[0] == "E451"
        return
    (folder / "page.bbi").write_text(text)
    page = bbilang.run(folder / "page.bbi", model=network, cache=False)
    files = page.results.fields["element-1"].columns["file"].data.tolist()
    assert sorted(Path(file).name for file in files) == expected


def test_groups_by_the_size_of_pictures(folder, network):
    text = f'dataset photos = "photos/"\n{MEAN.replace("(example)", "(example, per=width)").replace("bars", "matrix")}'
    (folder / "page.bbi").write_text(text)
    page = bbilang.run(folder / "page.bbi", model=network, cache=False)
    assert page.data("element-1").labels["width"][1].tolist() == [str(32 + n) for n in range(12)]

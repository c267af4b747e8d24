"""Datasets of Python objects: kinds of pictures, labels, what is refused."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys

import numpy as np
import pytest
from drawn import CLASSES, encoded, pixels, write
from PIL import Image

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.data.dataset import Dataset, list_unreadable, peek_of, require_readable
from bbilang.runtime.data.pictures import Unreadable
from bbilang.runtime.data.sequences import as_dataset, of_sequence


def refused(code: str, *words: str):
    return pytest.raises(BbiError, match="(?s)" + ".*".join([code, *words]))


def same(picture: Image.Image, expected: np.ndarray) -> bool:
    return picture.mode == "RGB" and np.array_equal(np.asarray(picture), expected)


def kinds(tmp_path):
    import torch

    image = pixels(1)
    write(tmp_path, {"a.png": encoded(1)})
    yield Image.fromarray(image)
    yield str(tmp_path / "a.png")
    yield tmp_path / "a.png"
    yield image
    yield image.astype(np.float32) / 255
    yield np.ascontiguousarray(image.transpose(2, 0, 1))
    yield torch.from_numpy(image.copy()).permute(2, 0, 1)
    yield torch.from_numpy(image.copy()).permute(2, 0, 1) / 255
    yield (torch.from_numpy(image.copy()).permute(2, 0, 1) / 255).double().requires_grad_()


def test_every_kind_of_picture_is_the_same(tmp_path):
    given = list(kinds(tmp_path))
    data = of_sequence([(picture, "x") for picture in given])
    assert all(same(data.picture(row), pixels(1)) for row in range(len(given)))
    assert len({data.digest(row) for row in range(len(given))}) == 1
    assert same(Image.open(io.BytesIO(data.read(3))), pixels(1))
    assert data.columns["width"].tolist() == [16] * len(given)


def test_grey_pictures():
    import torch

    grey = pixels(1)[..., 0]
    three = np.repeat(grey[..., None], 3, 2)
    data = of_sequence([Image.fromarray(grey), grey, grey[..., None], torch.from_numpy(grey.copy())[None], grey > 99])
    assert all(same(data.picture(row), three) for row in range(4))
    assert same(data.picture(4), np.where(three > 99, 255, 0)) and data.labels is None


@pytest.mark.parametrize(
    ("labels", "classes", "words"),
    [
        (["cat", "dog", None], None, ["cat", "dog", ""]),
        ([1, 0, 7], ["cat", "dog"], ["dog", "cat", "7"]),
        ([np.int64(1), np.array(0), 1.0], None, ["1", "0", "1"]),
    ],
)
def test_labels(labels, classes, words):
    class Own(list):
        pass

    given = Own((pixels(number), label) for number, label in enumerate(labels))
    if classes:
        given.classes = classes
    assert of_sequence(given).labels.tolist() == words


def test_a_torch_dataset_with_targets_is_not_opened_for_its_labels():
    import torch

    class Own(torch.utils.data.Dataset):
        classes = ("cat", "dog")
        targets = torch.tensor([0, 1, 1, 0])
        taken: list[int] = []

        def __len__(self):
            return 4

        def __getitem__(self, number):
            self.taken.append(number)
            return torch.full((3, 4, 5), number / 255), self.targets[number]

    own = Own()
    data = of_sequence(own)
    assert data.labels.tolist() == ["cat", "dog", "dog", "cat"] and own.taken == [0]
    part = of_sequence(torch.utils.data.Subset(own, [3, 1]))
    assert part.labels.tolist() == ["cat", "dog"] and np.asarray(part.picture(0)).max() == 3
    assert data.files.tolist()[:2] == ["picture 1", "picture 2"]


def test_mappings_as_of_hugging_face():
    class Feature:
        names = ["cat", "dog"]

    class Own:
        column_names = ["image", "label"]
        features = {"image": None, "label": Feature()}

        def __len__(self):
            return 2

        def __getitem__(self, key):
            return [1, 0] if key == "label" else {"image": Image.fromarray(pixels(key)), "label": 1 - key}

    data = of_sequence(Own())
    assert data.labels.tolist() == ["dog", "cat"] and same(data.picture(1), pixels(1))


@pytest.mark.parametrize("given", [7, "photos", {"a": 1}, (number for number in range(3)), list])
def test_other_objects_are_refused(given):
    with refused("E423", "data"):
        of_sequence(given, "photos")


def test_an_iterable_dataset_has_no_length():
    import torch

    class Own(torch.utils.data.IterableDataset):
        def __iter__(self):
            yield 1

    with refused("E423"):
        of_sequence(Own())


def test_a_first_example_that_is_no_picture():
    import torch

    for item, words in (
        (torch.full((3, 4, 4), 2.0), "before normalization"),
        (torch.full((3, 4, 4), torch.nan), "before normalization"),
        (np.zeros((4, 4, 5)), "no axis of 1 or 3"),
        (np.zeros((4, 4, 3), np.int64), "int64"),
        (np.zeros(7), "shape \\(7,\\)"),
        (object(), "an object"),
    ):
        with refused("E418", words):
            of_sequence([(item, 1)])
    with refused("E451", "no examples"):
        of_sequence([])


def test_later_examples_that_cannot_be_read_are_unreadable():
    class Own(list):
        def __getitem__(self, number):
            if number == 2:
                raise KeyError("spoiled")
            return super().__getitem__(number)

    data = of_sequence(Own([(pixels(0), "a"), (np.zeros(3), "b"), (pixels(2), "c"), ("/no/such.png", "d")]))
    failures = []
    for row in range(4):
        try:
            data.picture(row)
        except Unreadable as failure:
            failures.append(failure)
    assert [failure.name for failure in failures] == ["picture 2", "picture 3", "picture 4"]
    assert "KeyError" in list_unreadable(failures) and len(data) == 4
    require_readable(data, failures)
    with refused("E452", "none of the 3 examples", "KeyError"):
        require_readable(data.subset([1, 2, 3]), failures)


def test_what_data_may_mean(tmp_path):
    write(tmp_path / "photos", CLASSES)
    opened = as_dataset("photos", "x", tmp_path)
    assert isinstance(opened, Dataset) and as_dataset(opened, "x") is opened and len(opened) == 3
    assert len(as_dataset([pixels(1)], "x")) == 1
    again = pickle.loads(pickle.dumps(of_sequence([(pixels(1), "a")])))
    assert same(again.picture(0), pixels(1))


def test_the_checker_is_told_of_a_sequence():
    pictures = [(pixels(number), "cat" if number % 3 else "dog") for number in range(9)]
    seen = peek_of(of_sequence(pictures))
    assert (seen.count, seen.exact, seen.labels) == (9, True, {"cat": 6, "dog": 3})
    assert list(seen.columns) == ["file", "label", "width", "height"] and seen.columns["label"].values == ("cat", "dog")
    assert peek_of(of_sequence(list(pictures))).digest == seen.digest
    pictures[4] = (pixels(99), "cat")
    assert peek_of(of_sequence(pictures)).digest != seen.digest


def test_torch_is_not_imported():
    code = (
        "import sys, numpy as np\n"
        "from bbilang.runtime.data import duplicates, thumbnails, labels\n"
        "from bbilang.runtime.data.sequences import of_sequence\n"
        "of_sequence([np.zeros((4, 4, 3), np.uint8)]).picture(0)\n"
        "assert 'torch' not in sys.modules\n"
        "print('done')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "done\n", done.stderr


def test_the_checkers_part_imports_no_numpy():
    code = "import sys, bbilang.runtime.data.peek\nprint([m for m in ('numpy', 'torch', 'PIL') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr

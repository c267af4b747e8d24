"""Samples by names, and the classes that labels stand for."""

from __future__ import annotations

import numpy as np
import pytest
from drawn import encoded, tar, write

from bbilang.runtime.data.dataset import open_dataset
from bbilang.runtime.data.labels import class_of_label
from bbilang.runtime.data.sampling import sampled

NAMES = [f"folder {number % 7}/{number}.png" for number in range(500)]


def test_a_sample_depends_on_names_only():
    order = np.random.default_rng(0).permutation(500)
    one = {NAMES[row] for row in sampled(NAMES, 50, 3)}
    other = [NAMES[order[row]] for row in sampled([NAMES[row] for row in order], 50, 3)]
    assert one == set(other) and len(one) == 50
    assert one != {NAMES[row] for row in sampled(NAMES, 50, 4)}
    assert len(sampled(NAMES, 900, 3)) == 500 and len(sampled(NAMES, 0, 3)) == 0
    assert sampled(NAMES, 50, 3).tolist() == sorted(sampled(NAMES, 50, 3).tolist())


def test_a_sample_hardly_changes_with_more_files():
    before = {NAMES[row] for row in sampled(NAMES, 100, 0)}
    more = [*NAMES, *(f"new/{number}.png" for number in range(50))]
    after = {more[row] for row in sampled(more, 100, 0)}
    assert len(before & after) >= 80, "about 9 of 100 give way"


def test_samples_are_even():
    counts = np.zeros(500)
    for seed in range(400):
        counts[sampled(NAMES, 50, seed)] += 1
    assert abs(counts.mean() - 40) < 1e-9 and counts.min() > 15 and counts.max() < 70
    assert 25 < counts.var() < 50, "binomial: 36"


def test_equal_names_are_told_apart():
    rows = sampled(["a.png"] * 20, 10, 0)
    assert len(set(rows.tolist())) == 10


def test_folder_and_archive_give_the_same_sample(tmp_path):
    files = {f"{number % 3}/{number}.png": encoded(number % 5) for number in range(40)}
    names = [list(files)[row] for row in np.random.default_rng(1).permutation(40)]
    folder = open_dataset(str(write(tmp_path / "folder", files))).sample(12, seed=5)
    archive = open_dataset(str(tar(tmp_path / "a.tar", {name: files[name] for name in names}))).sample(12, seed=5)
    assert sorted(folder.files) == sorted(archive.files) and len(folder) == 12
    assert folder.sample(4).subset([1, 0]).files.tolist() == folder.sample(4).files[[1, 0]].tolist()


CLASSES = ("tench, Tinca tinca", "crane", "crane", "partridge", "ruffed grouse, partridge", "golden retriever", "tub")


@pytest.mark.parametrize(
    ("label", "index"),
    [
        ("tench", 0),
        ("Tinca Tinca", 0),
        ("tench, tinca tinca", 0),
        ("crane", -1),
        ("partridge", 3),
        ("ruffed grouse", 4),
        ("golden_retriever", 5),
        ("dogs/golden retriever", 5),
        ("tub/2019", 6),
        ("animals/cat", -1),
        ("n01440764", -1),
        ("", -1),
        ("3", -1),
    ],
)
def test_labels_and_classes(label, index):
    assert class_of_label([label, "tub"], CLASSES).tolist() == [index, 6]


def test_labels_that_are_numbers_are_indices():
    assert class_of_label(["3", "0", "", "7"], CLASSES).tolist() == [3, 0, -1, -1]
    assert class_of_label(["1", "2"], ("0", "2", "1")).tolist() == [2, 1], "names come first"
    assert class_of_label([], CLASSES).tolist() == []

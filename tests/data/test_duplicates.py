"""Duplicates: exact ones by content, near ones by fingerprints, against a slow twin; overlap of train and test."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from drawn import encoded, write
from PIL import Image, ImageDraw, ImageEnhance

from bbilang.runtime.data.dataset import open_dataset
from bbilang.runtime.data.duplicates import exact_leaders, near_leaders, overlap, split_overlaps
from bbilang.runtime.data.fingerprints import COLOURS, NearIndex, collapsed, fingerprint, leaders
from bbilang.runtime.data.sequences import of_sequence


def photo(seed: int, size: int = 96) -> Image.Image:
    """Smooth noise in colours, as photographs have it."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(noise).resize((size, size), Image.Resampling.BICUBIC)


def recoded(picture: Image.Image, **options: object) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", **options)
    return Image.open(io.BytesIO(file.getvalue())).convert("RGB")


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "recoded": lambda picture: recoded(picture, quality=40),
    "smaller": lambda picture: picture.resize((40, 40), Image.Resampling.BICUBIC),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.03),
    "other aspect": lambda picture: picture.resize((120, 90), Image.Resampling.BICUBIC),
}


def test_the_bits_are_those_of_the_definition():
    grey = np.zeros((8, 9), np.uint8)
    grey[0] = [90, 80, 80, 70, 80, 90, 30, 20, 10]  # falls at 0, 2, 5, 6, 7
    grey[1, :3] = [5, 3, 0]  # by 2, which is noise, and by 3
    bits, _ = fingerprint(Image.fromarray(grey).convert("RGB"))
    assert f"{bits:064b}" == "10100111" + "01" + "0" * 54


@pytest.mark.parametrize("change", CHANGES)
def test_small_changes_are_near_and_other_pictures_are_not(change):
    originals = [photo(seed) for seed in range(40)]
    marks = [fingerprint(picture) for picture in originals + [CHANGES[change](picture) for picture in originals]]
    leader = leaders(marks)
    assert leader[:40].tolist() == list(range(40)), "no two originals"
    assert (leader[40:] == np.arange(40)).mean() >= 0.95


def test_drawings_that_differ_are_not_duplicates():
    """Flat parts give equal bits, and noise of recoding in them gives none."""
    drawn = []
    for number in range(12):
        picture = Image.new("RGB", (96 + number, 64), (20 * number, 90, 160))
        ImageDraw.Draw(picture).ellipse((20, 8, 68, 56), fill=(250, 200, 10 * number))
        drawn.append(picture)
    copies = [recoded(picture, quality=80) for picture in drawn]
    assert leaders(map(fingerprint, drawn + copies)).tolist() == [*range(12)] * 2


def test_flat_pictures_of_other_colours_are_not_duplicates():
    flat = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue", "red", (250, 2, 3))]
    assert leaders(map(fingerprint, flat)).tolist() == [0, 1, 0, 0]


def slow(marks, threshold):
    """One after the other: the earliest leader that is near."""
    first, result = [], []
    for number, mark in enumerate(marks):
        near = [
            other
            for other in first
            if mark is not None
            and bin(marks[other][0] ^ mark[0]).count("1") <= threshold
            and np.abs(marks[other][1].astype(int) - mark[1].astype(int)).max() <= COLOURS
        ]
        result.append(near[0] if near else number)
        if not near and mark is not None:
            first.append(number)
    return result


@pytest.mark.parametrize("threshold", [0, 1, 4, 10])
def test_the_index_is_like_comparing_all(threshold):
    random = np.random.default_rng(threshold)
    bases = [int(base) for base in random.integers(0, 1 << 63, 15, np.uint64)]
    marks = []
    for _ in range(300):
        bits = bases[random.integers(15)]
        for bit in random.choice(64, random.integers(0, 9), replace=False):
            bits ^= 1 << int(bit)
        marks.append(
            (bits, (random.integers(0, 2, 48) * random.choice([9, 16]) + 60 * random.integers(0, 2)).astype(np.uint8))
        )
    marks[7] = None
    assert leaders(marks, threshold).tolist() == slow(marks, threshold)


def test_thresholds_are_bounded():
    with pytest.raises(ValueError, match="0 to 15"):
        NearIndex(16)


def test_duplicates_in_a_folder(tmp_path):
    picture = photo(1)
    near = io.BytesIO()
    picture.save(near, "JPEG", quality=60)
    write(tmp_path, {"a.png": encoded(1), "b.png": encoded(1), "c.png": encoded(3), "e.jpg": near.getvalue(),
                     "f.png": b"no picture", "g.png": b"no picture"})  # fmt: skip
    picture.save(tmp_path / "d.png")
    data = open_dataset(".", tmp_path)
    assert exact_leaders(data).tolist() == [0, 0, 2, 3, 4, 5, 5]
    assert near_leaders(data).tolist() == [0, 0, 2, 3, 3, 5, 6]


def test_overlap_of_train_and_test():
    train = of_sequence([photo(seed) for seed in range(10)])
    test = of_sequence([photo(20), photo(4), recoded(photo(7), quality=50), photo(21)])
    both = overlap(test, train)
    assert both.exact.tolist() == [[1, 4]] and both.near.tolist() == [[2, 7]]
    apart = overlap(of_sequence([photo(30)]), train)
    assert apart.exact.shape == apart.near.shape == (0, 2)


def test_splits_that_share_examples(tmp_path):
    write(tmp_path, {f"{name}.png": encoded(seed) for name, seed in zip("abcdef", (1, 2, 3, 1, 5, 2), strict=True)})
    splits = ["train", "train", "val", "test", "test", ""]
    rows = [f"{name}.png,{split}" for name, split in zip("abcdef", splits, strict=True)]
    (tmp_path / "photos.csv").write_text("\n".join(["file,split", *rows]), encoding="utf-8")
    found = split_overlaps(open_dataset("photos.csv", tmp_path))
    assert {names: (both.exact.tolist(), both.near.tolist()) for names, both in found.items()} == {
        ("test", "train"): ([[3, 0]], [])
    }
    assert split_overlaps(open_dataset(".", tmp_path)) == {}


def test_rankings_without_near_duplicates():
    leader = np.array([0, 1, 0, 3, 1, 5])
    assert collapsed(np.array([4, 2, 5, 0, 1, 3]), leader).tolist() == [4, 2, 5, 3]
    assert collapsed(np.array([], np.int64), leader).tolist() == []


def test_photographs_are_not_near_each_other(request):
    folder = request.config.rootpath.parent / "shared" / "data" / "imagenet-sample"
    if not folder.is_dir():
        pytest.skip("../shared/data/imagenet-sample is not there")
    data = open_dataset(str(folder)).sample(150)
    assert near_leaders(data).tolist() == list(range(150))

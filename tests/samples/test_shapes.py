"""`sample:shapes`: a dataset like any other, balanced, the same everywhere, whose pictures show what is said."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.data.dataset import open_dataset
from bbilang.runtime.data.peek import peek
from bbilang.runtime.samples.drawing import picture
from bbilang.runtime.samples.shapes import COLOURS, SEGMENTS, SHAPES, SIDE, TEXTURES, shapes

MEANS = [[188.9, 152.2, 152.2], [184.0, 203.2, 186.6], [200.8, 204.3, 211.8]]


@pytest.fixture(scope="module")
def dataset():
    return open_dataset("sample:shapes")


def test_every_combination_four_times_in_both_splits(dataset):
    columns = dataset.columns
    rows = list(zip(columns["shape"], columns["texture"], columns["colour"], columns["split"], strict=True))
    assert len(dataset) == 720 and set(Counter(rows).values()) == {2}
    assert (columns["label"] == columns["shape"]).all() and set(dataset.split) == {"train", "test"}
    assert (columns["width"] == SIDE).all()
    assert len(set(dataset.files)) == 720 and dataset.files[0] == "001 plain red circle.png"


def test_peek_says_the_same_without_numpy(dataset):
    seen = peek("sample:shapes")
    assert seen.count == 720 and seen.exact and seen.labels == dict.fromkeys(sorted(SHAPES), 120)
    assert seen.columns["texture"].values == tuple(sorted(TEXTURES)) and seen.columns["size"].kind == "numbers"
    assert set(seen.columns) == set(dataset.columns)
    code = (
        "import sys; from bbilang.runtime.data.peek import peek; peek('sample:shapes'); print('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def test_options_name_columns():
    assert set(open_dataset("sample:shapes", label="texture").labels) == set(TEXTURES)
    assert set(peek("sample:shapes", label="colour").labels) == set(COLOURS)
    with pytest.raises(BbiError, match="no column `textur`"):
        open_dataset("sample:shapes", label="textur")
    with pytest.raises(BbiError, match="no dataset `sample:shape`"):
        peek("sample:shape")


def test_a_picture_and_its_bytes(dataset):
    for i in (0, 5, 700):
        own, read = np.asarray(dataset.picture(i)), Image.open(io.BytesIO(dataset.read(i)))
        assert own.shape == (SIDE, SIDE, 3) and (np.asarray(read) == own).all()
        assert (np.asarray(picture(shapes()[i])) == own).all()
    assert len({dataset.digest(i) for i in range(720)}) == 720
    part = dataset.subset([5, 700])
    assert part.digest(0) == dataset.digest(5) and (part.segments(1) == dataset.segments(700)).all()


def test_the_pictures_are_the_same_everywhere():
    """Where a picture is changed on purpose, raise `VERSION`: caches hold what networks made of them."""
    means = [np.asarray(picture(shapes()[i]), np.float64).mean((0, 1)) for i in (0, 5, 100)]
    np.testing.assert_allclose(means, MEANS, atol=0.1)


def test_segments_are_where_the_colour_is(dataset):
    for i in range(0, 720, 45):
        shape, masks = shapes()[i], dataset.segments(i)
        named = [name for name, mask in zip(dataset.segment_names, masks, strict=True) if mask.any()]
        assert named == [shape.shape, shape.texture, shape.colour]
        inside = masks[SEGMENTS.index(shape.shape)]
        assert all((mask == inside).all() for mask in masks if mask.any())
        y, x = np.nonzero(inside)
        if shape.shape in ("circle", "square", "ring", "cross"):
            assert abs(y.mean() + 0.5 - shape.y) < 0.5 and abs(x.mean() + 0.5 - shape.x) < 0.5
        assert np.hypot(y + 0.5 - shape.y, x + 0.5 - shape.x).max() <= shape.size / 2 + 1
        pixels = np.asarray(dataset.picture(i), np.float64)
        background = pixels[~inside]
        assert np.abs(background - background.mean(1, keepdims=True)).mean() < 2  # grey, but for the pixels on the edge
        if shape.texture == "plain":
            assert np.abs(np.median(pixels[inside], axis=0) - COLOURS[shape.colour]).max() <= 1


def test_areas_by_hand(dataset):
    """Of a circle around each shape: the whole, 1 - 0.55 ^ 2, a square with its corners on it, a triangle likewise."""
    parts = {"circle": 1.0, "ring": 1 - 0.55**2, "square": 2 / np.pi, "triangle": 3 * np.sqrt(3) / 4 / np.pi}
    for i in range(60):
        shape = shapes()[i]
        if shape.shape in parts:
            area = dataset.segments(i)[SEGMENTS.index(shape.shape)].sum()
            assert area == pytest.approx(parts[shape.shape] * np.pi * (shape.size / 2) ** 2, rel=0.03)


def test_textures_are_told_apart_by_what_is_in_the_pictures(dataset):
    """Edges over two scales, inside of the shape, tell plain from striped from speckled on pictures never seen."""

    def features(i):
        inside = dataset.segments(i).any(0)
        grey = np.asarray(dataset.picture(i).convert("L"), np.float64)
        grey = (grey - grey[inside].mean()) / 50
        return [np.abs(np.diff(grey, n=n, axis=axis))[inside[: SIDE - n * (1 - axis), : SIDE - n * axis]].mean()
                for n in (1, 3) for axis in (0, 1)]  # fmt: skip

    kinds = ("plain", "striped", "speckled")
    rows = [i for i in range(720) if shapes()[i].texture in kinds and shapes()[i].colour == "blue"]
    data = np.array([features(i) for i in rows])
    labels = np.array([shapes()[i].texture for i in rows])
    train = np.array([shapes()[i].split == "train" for i in rows])
    model = LogisticRegression(C=100, max_iter=5000).fit(data[train], labels[train])
    assert model.score(data[~train], labels[~train]) > 0.85


def test_some_hundreds_take_seconds(dataset):
    began = time.process_time()
    for i in range(60):
        dataset.picture(i)
    assert time.process_time() - began < 3  # measured: 0.4 s

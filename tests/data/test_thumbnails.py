"""Sprites: every thumbnail in its cell, bounded sizes, nothing where there are to be none."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from bbilang.runtime.data import thumbnails
from bbilang.runtime.data.thumbnails import LARGEST, sprites

COLOURS = np.random.default_rng(0).integers(0, 256, (57, 3), np.uint8)


def pictures():
    for colour in COLOURS:
        yield Image.new("RGB", (30, 20), tuple(colour.tolist()))


@pytest.mark.parametrize(("size", "most"), [(16, 400), (16, 57), (16, 9), (16, 1), (33, 20), (1, 10)])
def test_every_thumbnail_is_in_its_cell(size, most):
    given = sprites(pictures(), size, most)
    sheets = [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int) for data, _, _ in given]
    cells = given[0][1] * given[0][2] if len(given) > 1 else 57
    assert cells <= max(most, 1) and len(given) == -(-57 // cells)
    for k, colour in enumerate(COLOURS):
        sheet, (_, columns, rows) = sheets[k // cells], given[k // cells]
        assert sheet.shape == (rows * size, columns * size, 3)
        row, column = divmod(k % cells, columns)
        cell = sheet[row * size : (row + 1) * size, column * size : (column + 1) * size]
        if size >= 16:
            assert np.abs(cell[size // 4 : -size // 4, size // 4 : -size // 4].mean((0, 1)) - colour).max() < 12, k


def test_sprites_are_bounded(monkeypatch):
    monkeypatch.setattr(thumbnails, "LARGEST", 256)
    given = sprites((Image.new("RGB", (4, 4)) for _ in range(30)), 100, 10_000)
    assert [(columns, rows) for _, columns, rows in given] == [(2, 2)] * 7 + [(2, 1)]
    assert all(max(Image.open(io.BytesIO(data)).size) <= 256 for data, _, _ in given)


def test_no_thumbnails_look_at_no_picture():
    def none():
        pytest.fail("a picture is read")
        yield

    assert sprites(none(), None) == []
    assert sprites([], 16) == []


def test_unreadable_examples_are_grey_and_the_middle_is_shown():
    wide = np.zeros((10, 40, 3), np.uint8)
    wide[:, 15:25] = (255, 255, 255)
    [(data, columns, rows)] = sprites([None, Image.fromarray(wide)], 16)
    sheet = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert (columns, rows) == (2, 1)
    assert np.abs(sheet[:, :16] - 128).max() < 10 and sheet[:, 20:28].min() > 230


def test_the_same_pictures_give_the_same_bytes():
    assert sprites(pictures(), 24) == sprites(pictures(), 24)


@pytest.mark.parametrize(("size", "most"), [(0, 1), (LARGEST + 1, 1), (16, 0)])
def test_sizes_that_are_none(size, most):
    with pytest.raises(ValueError, match="pixels"):
        sprites(pictures(), size, most)

"""Pictures that two datasets or two splits share are said on the page and in the log; nothing is read again for it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import bbilang
from bbilang.grammar.source import Source
from bbilang.runtime.data.source import FileSource

torch.manual_seed(0)
NET = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
PIPE = '"0".channel | across({}) | mean(example) | top(3) | present(bars)'


def photo(seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(noise).resize((48, 48), Image.Resampling.BICUBIC)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Splits of 12 and 6 pictures: two equal files, and one smaller and recoded."""
    for split, seeds in (("train", range(12)), ("test", (3, 4, 20, 21, 22))):
        (tmp_path / "photos" / split / "a").mkdir(parents=True)
        for seed in seeds:
            photo(seed).save(tmp_path / "photos" / split / "a" / f"{seed:02}.png")
    photo(7).resize((40, 40)).save(tmp_path / "photos" / "test" / "a" / "small.jpg", quality=80)
    return tmp_path


def warnings(folder: Path, text: str, **options: object) -> tuple[str, ...]:
    source = Source(text, str(folder / "page.bbi"))
    made = bbilang.run(source, model=NET, input_size=(32, 32), cache=options.pop("cache", False), **options)
    return tuple(made.to_dict()["warnings"])


def test_splits_that_share_pictures(folder):
    (said,) = warnings(folder, f'dataset photos = "photos/"\n{PIPE.format("photos")}')
    assert said.startswith("the splits `test` and `train` of photos share 3 pictures (2 equal, 1 nearly equal): ")
    assert "train/a/03.png and test/a/03.png" in said and said.endswith("and 1 more")


def test_datasets_that_share_pictures(folder):
    (folder / "photos").rename(folder / "all")
    for split in ("train", "test"):
        (folder / "all" / split / "a").rename(folder / split)
    text = f'dataset first = "train/"\ndataset second = "test/"\n{PIPE.format("first")}\n{PIPE.format("second")}'
    (said,) = warnings(folder, text)
    assert said.startswith("the datasets train and test share 3 pictures (2 equal, 1 nearly equal)")


def test_nothing_is_said_where_nothing_is_shared(folder):
    for name in ("03.png", "04.png", "small.jpg"):
        (folder / "photos" / "test" / "a" / name).unlink()
    text = f'dataset photos = "photos/"\n{PIPE.format("photos")}'
    assert warnings(folder, text) == ()
    parts = text + f"\ndataset few = photos | sample(5)\n{PIPE.format('few')}"
    assert warnings(folder, parts) == (), "parts of one dataset share pictures, which is no mistake"


def test_each_picture_is_decoded_once_and_none_for_a_second_page(folder, tmp_path, monkeypatch):
    for path in (folder / "photos").rglob("*.*"):  # facts of files that changed just now are not kept
        os.utime(path, (1e9, 1e9))
    decoded: list[int] = []
    load = FileSource.load
    monkeypatch.setattr(FileSource, "load", lambda self, row: decoded.append(row) or load(self, row))
    text = f'dataset photos = "photos/"\n{PIPE.format("photos")}'
    cache = tmp_path / "cache"
    assert len(warnings(folder, text, cache=cache)) == 1
    first = len(decoded)
    assert sorted(set(decoded)) == list(range(18)) and first <= 18 + 8, "a first batch is tried for its time"
    assert len(warnings(folder, text.replace("top(3)", "top(4)"), cache=cache)) == 1
    assert len(decoded) == first


def test_the_log_says_it(folder, capsys, monkeypatch):
    from bbilang.cli.app import main

    monkeypatch.chdir(folder)
    text = 'set preprocess(size=32, crop=32)\ndataset photos = "photos/"\n'
    Path("page.bbi").write_text(text + PIPE.format("photos").replace('"0"', "block2a.expand") + "\n")
    assert main(["run", "page.bbi", "--weights", "random"]) == 0
    assert "warning: the splits `test` and `train`" in "".join(capsys.readouterr())
    assert "share 3 pictures" in Path("page.html").read_text()
    assert main(["scan", "page.bbi", "--weights", "random"]) == 0
    assert "warning: the splits `test` and `train`" in "".join(capsys.readouterr())

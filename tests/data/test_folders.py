"""Folders as datasets: labels, what is left out, links, the split, order."""

from __future__ import annotations

import os

import numpy as np
import pytest
from drawn import CLASSES, encoded, pixels, write

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.data.dataset import open_dataset
from bbilang.runtime.data.peek import peek
from bbilang.runtime.data.pictures import Unreadable


def refused(code: str, *words: str):
    return pytest.raises(BbiError, match="(?s)" + ".*".join([code, *words]))


def test_class_folders_are_labels(tmp_path):
    write(tmp_path, {**CLASSES, "top.PNG": encoded(4), "animals/big/cat/3.jpg": encoded(5, "JPEG")})
    data = open_dataset(".", tmp_path)
    names = ["animals/big/cat/3.jpg", "cat/1.png", "cat/2.png", "dog/1.png", "top.PNG"]
    assert data.files.tolist() == names and len(data) == 5
    assert data.labels.tolist() == ["animals/big/cat", "cat", "cat", "dog", ""]
    assert data.split is None and list(data.columns) == ["file", "label", "width", "height"]
    assert data.columns["width"].tolist() == [16, 16, 16, 20, 16]
    assert data.columns["height"].tolist() == [12, 12, 12, 10, 12]
    np.testing.assert_array_equal(np.asarray(data.picture(2)), pixels(2))
    assert data.read(1) == CLASSES["cat/1.png"]


def test_a_flat_folder_has_no_labels(tmp_path):
    data = open_dataset(str(write(tmp_path, {"b.png": encoded(1), "a.png": encoded(2)})))
    assert data.labels is None and data.files.tolist() == ["a.png", "b.png"]
    assert peek(".", tmp_path).labels == {}


def test_hidden_files_and_others_are_left_out(tmp_path):
    write(tmp_path, {
        **{name: encoded(1) for name in (".a.png", ".git/b.png", "__MACOSX/c.png", "c/._d.png", "c/e.png")},
        "notes.txt": b"no picture", "c/weights.bin": b"0",
    })  # fmt: skip
    assert open_dataset(".", tmp_path).files.tolist() == ["c/e.png"]


def test_folders_of_a_split(tmp_path):
    write(tmp_path, {f"{part}/{label}/1.png": encoded(1) for part in ("train", "Test") for label in ("cat", "dog")})
    data = open_dataset(".", tmp_path)
    assert data.split.tolist() == ["Test", "Test", "train", "train"]
    assert data.labels.tolist() == ["cat", "dog"] * 2
    assert peek(".", tmp_path).columns["split"].values == ("Test", "train")


def test_peek_says_what_opening_finds(tmp_path):
    data, seen = open_dataset(".", write(tmp_path, CLASSES)), peek(".", tmp_path)
    assert seen.count == len(data) and seen.exact and seen.kind == "folder"
    assert seen.labels == {"cat": 2, "dog": 1}
    assert list(seen.columns) == list(data.columns)
    assert seen.columns["label"].values == ("cat", "dog") and seen.columns["width"].kind == "numbers"


def test_the_digest_changes_with_the_files(tmp_path):
    write(tmp_path, CLASSES)
    digests = [peek(".", tmp_path).digest]
    os.utime(tmp_path / "cat/1.png", ns=(0, 12345))
    digests.append(peek(".", tmp_path).digest)
    (tmp_path / "cat/2.png").rename(tmp_path / "cat/3.png")
    digests.append(peek(".", tmp_path).digest)
    write(tmp_path, {"dog/2.png": encoded(7)})
    digests.append(peek(".", tmp_path).digest)
    assert len(set(digests)) == 4 and peek(".", tmp_path).digest == digests[-1]


def test_a_circle_of_links_ends(tmp_path):
    write(tmp_path, {"a/1.png": encoded(1), "b/2.png": encoded(2)})
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "other").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "other").symlink_to(tmp_path / "a")
    files = open_dataset(".", tmp_path).files.tolist()
    assert files == ["a/1.png", "a/other/2.png", "b/2.png", "b/other/1.png"]


def test_a_link_may_not_leave_the_root(tmp_path):
    write(tmp_path, {"in/a.png": encoded(1), "out/b.png": encoded(2)})
    (tmp_path / "in" / "b.png").symlink_to(tmp_path / "out" / "b.png")
    assert len(open_dataset("in", tmp_path)) == 2
    with refused("E455", "b.png", "--root"):
        open_dataset("in", tmp_path, tmp_path / "in")
    (tmp_path / "in" / "b.png").unlink()
    (tmp_path / "in" / "b").symlink_to(tmp_path / "out")
    with refused("E455", "b", "--root"):
        peek("in", tmp_path, tmp_path / "in")


def test_a_link_made_after_listing_is_not_followed_out_of_the_root(tmp_path):
    write(tmp_path, {"in/a.png": encoded(1), "out/b.png": encoded(2)})
    data = open_dataset("in", tmp_path, tmp_path / "in")
    (tmp_path / "in" / "a.png").unlink()
    (tmp_path / "in" / "a.png").symlink_to(tmp_path / "out" / "b.png")
    with pytest.raises(Unreadable, match="--root"):
        data.read(0)


@pytest.mark.parametrize("name", ["../out", "{}/out"])
def test_the_folder_itself_lies_in_the_root(tmp_path, name):
    write(tmp_path, {"in/a.png": encoded(1), "out/b.png": encoded(2)})
    with refused("E455", "--root"):
        peek(name.format(tmp_path), tmp_path / "in", tmp_path / "in")


def test_what_is_not_a_dataset(tmp_path):
    write(tmp_path, {"photos/a.png": encoded(1), "a.tar.xz": b"", "b.docx": b"", "empty/a.txt": b"", "one.png": b""})
    cases = {"photo": "did you mean `photos`", "a.tar.xz": "not read in place", "b.docx": "a dataset is a folder",
             "one.png": "one picture", "https://x.org/a.zip": "an address", "/dev/null": "a device"}  # fmt: skip
    for name, words in cases.items():
        with refused("E450", words):
            peek(name, tmp_path)
    with refused("E451", "no pictures"):
        peek("empty", tmp_path)


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    write(tmp_path, {"a/1.png": encoded(1), "b/2.png": encoded(2)})
    scandir = os.scandir

    def closed(path):
        if str(path).endswith("b"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", closed)
        data = open_dataset(".", tmp_path)
    assert data.files.tolist() == ["a/1.png"] and data.closed == (("b", "Permission denied"),)


def test_folders_that_are_too_deep_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("bbilang.runtime.data.folders.MOST_DEPTH", 2)
    write(tmp_path, {"a/b/1.png": encoded(1), "a/b/c/2.png": encoded(2)})
    data = open_dataset(".", tmp_path)
    assert data.files.tolist() == ["a/b/1.png"] and data.closed == (("a/b/c", "it lies in over 2 folders"),)


def test_many_files_are_listed_without_opening_them(tmp_path, monkeypatch):
    """One listing a folder, and nothing opened: 50,000 files take 0.4 s."""
    for folder in range(20):
        (tmp_path / str(folder)).mkdir()
        for number in range(50):
            (tmp_path / str(folder) / f"{number}.jpg").touch()
    listed, scandir = [], os.scandir
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", lambda path: listed.append(path) or scandir(path))
        patch.setattr(os, "open", lambda *_, **__: pytest.fail("a file is opened"))
        patch.setattr("builtins.open", lambda *_, **__: pytest.fail("a file is opened"))
        assert peek(str(tmp_path)).count == 1000
    assert len(listed) == 21

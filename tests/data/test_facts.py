"""Facts of examples in the cache: a second question opens no file, and a changed file is looked at again."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
from drawn import encoded, tar, write

from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.data import facts
from bbilang.runtime.data.dataset import open_dataset
from bbilang.runtime.data.duplicates import exact_leaders, near_leaders
from bbilang.runtime.data.source import ArchiveSource, FileSource

OLD = 1_600_000_000_000_000_000


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "photos", {f"{number:02}.png": encoded(number) for number in range(20)})
    for path in (tmp_path / "photos").iterdir():
        os.utime(path, ns=(OLD, OLD))
    return tmp_path / "photos"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(facts, "CHUNK", 8)
    return Cache(tmp_path / "cache")


def asked(data):
    marks = [data.fingerprint(row) for row in range(len(data))]
    return (
        [data.digest(row) for row in range(len(data))],
        [(bits, colours.tolist()) for bits, colours in marks],
        [data.columns[name].tolist() for name in ("width", "height")],
    )


def no_reading(monkeypatch):
    for source in (FileSource, ArchiveSource):
        for method in ("read", "header", "load"):
            monkeypatch.setattr(source, method, lambda *_: pytest.fail("a file is opened"))


def test_a_second_question_opens_no_file(folder, cache, monkeypatch):
    data = open_dataset(str(folder))
    data.remember(cache)
    first = asked(data)
    data.keep()
    again = open_dataset(str(folder))
    again.remember(cache)
    no_reading(monkeypatch)
    assert asked(again) == first
    assert asked(again.subset([19, 3])) == tuple(
        [[part[19], part[3]] for part in first[:2]] + [[[values[19], values[3]] for values in first[2]]]
    )


def test_questions_about_all_examples_keep_what_they_found(folder, cache, monkeypatch):
    first = open_dataset(str(folder), store=cache)
    wide = ("compare", ">", ("column", "width"), ("constant", 3))
    expected = len(first.filter(wide).dataset), near_leaders(first).tolist(), exact_leaders(first).tolist()
    no_reading(monkeypatch)
    again = open_dataset(str(folder), store=cache)
    assert (len(again.filter(wide).dataset), near_leaders(again).tolist(), exact_leaders(again).tolist()) == expected


def test_archives_too(folder, cache, monkeypatch, tmp_path):
    path = tar(tmp_path / "a.tar", {path.name: path.read_bytes() for path in folder.iterdir()})
    os.utime(path, ns=(OLD, OLD))
    data = open_dataset(str(path))
    data.remember(cache)
    first = asked(data)
    data.keep()
    no_reading(monkeypatch)
    again = open_dataset(str(path))
    again.remember(cache)
    assert asked(again) == first


def test_a_changed_file_costs_its_record(folder, cache, monkeypatch):
    data = open_dataset(str(folder))
    data.remember(cache)
    before = asked(data)
    data.keep()
    (folder / "09.png").write_bytes(encoded(99))
    again = open_dataset(str(folder))
    again.remember(cache)
    loaded, load = [], FileSource.load
    monkeypatch.setattr(FileSource, "load", lambda source, row: loaded.append(row) or load(source, row))
    after = asked(again)
    assert loaded == list(range(8, 16))
    assert [row for row in range(20) if before[0][row] != after[0][row]] == [9]


def test_files_just_written_or_changed_meanwhile_are_not_kept(folder, cache):
    (folder / "03.png").write_bytes(encoded(50))  # in the last two seconds
    data = open_dataset(str(folder))
    data.remember(cache)
    for row in range(20):
        data.digest(row)
    (folder / "12.png").write_bytes(b"x" + encoded(12)[1:])  # after it was listed
    os.utime(folder / "12.png", ns=(OLD + 5, OLD + 5))
    data.keep()
    os.utime(folder / "12.png", ns=(OLD, OLD))
    again = open_dataset(str(folder))
    again.remember(cache)
    known = [bool(again._shared.facts._knows(row, facts.DIGEST)) for row in range(20)]
    assert [row for row in range(20) if not known[row]] == [3, 12]


def test_pictures_that_were_decoded_tell_their_facts(folder, monkeypatch):
    data = open_dataset(str(folder))
    for row in range(20):
        data.picture(row)
    with monkeypatch.context() as patch:
        no_reading(patch)
        digests = [data.digest(row) for row in range(20)]
        assert data.columns["width"].tolist() == [16.0] * 20
    assert digests == [open_dataset(str(folder)).digest(row) for row in range(20)]
    assert pickle.loads(pickle.dumps(data)).digest(3) == digests[3]


def test_unreadable_sizes_are_not_kept(folder, cache):
    (folder / "05.png").write_bytes(b"no picture")
    os.utime(folder / "05.png", ns=(OLD, OLD))
    data = open_dataset(str(folder))
    data.remember(cache)
    assert np.flatnonzero(np.isnan(data.columns["width"])).tolist() == [5]
    data.keep()
    again = open_dataset(str(folder))
    again.remember(cache)
    assert [row for row in range(20) if not again._shared.facts._knows(row, facts.SIZE)] == [5]

"""Untrusted files of `bbi cache export`: bounded, never executed, and no user file is overwritten."""

from __future__ import annotations

import io
import json
import random
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from brings import brings
from PIL import Image

from bbilang.runtime.cache.disk import Cache, key_of
from bbilang.runtime.cache.record import pack
from bbilang.runtime.fields.field import Named
from bbilang.runtime.recall.archive import COMMENT, export, take
from bbilang.runtime.recall.codec import DAMAGED, decode, encode

ICON = {"kind": "icon", "objective": 1.0, "dead": False, "reason": "", "made": {}}


def record(data: bytes, **metadata) -> tuple[str, bytes]:
    key = key_of({"data": data.hex(), "kind": metadata["kind"]})
    return key, pack(key, data, {"shared": key_of({"shared": key}), **metadata})


def numbers() -> bytes:
    words = np.array(["cat", "dog"], dtype=object)
    return encode(
        {"a": Named(("y", "x"), np.arange(6.0).reshape(2, 3)), "w": Named(("class",), words), "n": [1, ("x",)]}
    )


def picture() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), 90, np.uint8)).save(file, "PNG")
    return file.getvalue()


def archive(path: Path, *records: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        made.comment = COMMENT
        for key, data in records:
            made.writestr(zipfile.ZipInfo(key), data)
    return path


@brings("Files", "a damaged archive for `bbi cache import`", "refused with E443, or only the damaged entries")
def test_damaged_archives(tmp_path):
    source = Cache(tmp_path / "source")
    for key, data in (record(numbers(), kind="numbers"), record(picture(), **ICON)):
        assert source.put_raw(key, data)
    good = tmp_path / "good.bbicache"
    assert sum(export(source, good).values()) == 2
    data, chance = good.read_bytes(), random.Random(5)
    bad = tmp_path / "bad.bbicache"
    outcomes = {"refused": 0, "read": 0}
    for number in range(400):
        changed = bytearray(data)
        for _ in range(chance.choice((1, 1, 2, 8))):
            changed[chance.randrange(len(changed))] = chance.choice((0, 1, 255, chance.randrange(256)))
        if number % 5 == 0:
            changed = changed[: chance.randrange(len(changed))]
        if number % 7 == 0:
            at = chance.randrange(len(changed) + 1)
            changed[at:at] = chance.randbytes(4)
        bad.write_bytes(changed)
        cache = Cache(tmp_path / "cache" / str(number % 3))
        try:
            taken = take(cache, bad)
            outcomes["read"] += 1
            assert sum(taken.new.values()) + taken.there + sum(taken.refused.values()) <= 2
        except ValueError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 20, outcomes


@brings("Files", "an archive with arrays that share their bytes", "refused: arrays cannot be larger than the file")
def test_arrays_that_overlap(tmp_path):
    rest = bytes(1 << 20)
    one = {"array": {"shape": [1 << 17], "type": "<f8", "at": 0}}
    data = json.dumps({"table": [[str(n), one] for n in range(400)]}).encode() + b"\n" + rest
    tracemalloc.start()
    with pytest.raises(DAMAGED):
        decode(data)
    taken = take(Cache(tmp_path / "cache"), archive(tmp_path / "a", record(data, kind="numbers")))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert not taken.new and taken.refused and peak < 32 << 20


def test_bytes_of_no_array():
    with pytest.raises(ValueError, match="no array"):
        decode(numbers() + b"\0")


def test_many_lists(tmp_path):
    """JSON grows twentyfold when it is read: whatever is not an array is bounded before that."""
    from bbilang.runtime.recall import archive as store_archive

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_archive, "MOST_HEAD", 1000)
        data = b'{"table": [["x", [' + b"[]," * 1000 + b"[]]]]}\n"
        taken = take(Cache(tmp_path / "cache"), archive(tmp_path / "a", record(data, kind="numbers")))
        assert not taken.new and taken.refused


@brings("Files", "an archive with a key that exists in the cache", "works: local results are never overwritten")
def test_own_records_stay(tmp_path):
    cache = Cache(tmp_path / "cache")
    own = key_of({"mine": 1})
    assert cache.put(own, b"computed here", {"kind": "numbers"})
    key, data = record(numbers(), kind="numbers", shared=own)
    data = pack(key, numbers(), {"kind": "numbers", "shared": own})
    taken = take(cache, archive(tmp_path / "a", (key, data)))
    assert taken.new["numbers"] == 1
    assert cache.get(own) == (b"computed here", {"kind": "numbers"})
    itself = key_of({"itself": 1})
    take(cache, archive(tmp_path / "b", (itself, pack(itself, numbers(), {"kind": "numbers", "shared": itself}))))
    assert cache.get(itself)[0] == numbers()
    shared = key_of({"shared": 2})
    first, second = key_of({"first": 1}), key_of({"second": 1})
    for one in (first, second):  # a pointer may change: the last import counts
        take(cache, archive(tmp_path / "c", (one, pack(one, numbers(), {"kind": "numbers", "shared": shared}))))
        assert cache.get(shared) == (one.encode(), {"kind": "pointer"})


def test_lists_of_entries_are_bounded(tmp_path):
    """Both fields that state the length of the list: a list that is too long is not read at all."""
    path = archive(tmp_path / "a", record(numbers(), kind="numbers"))
    data = path.read_bytes()
    end = len(data) - 22 - len(COMMENT)
    path.write_bytes(data[: end + 12] + struct.pack("<L", 1 << 30) + data[end + 16 :])
    with pytest.raises(ValueError, match="too many"):
        take(Cache(tmp_path / "cache"), path)
    large = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, 1 << 40, 0) + struct.pack(
        "<4sLQL", b"PK\6\7", 0, end, 1
    )
    path.write_bytes(data[:end] + large + data[end:])
    with pytest.raises(ValueError, match="too many"):
        take(Cache(tmp_path / "cache"), path)


def test_entries_that_overlap(tmp_path):
    key, data = record(bytes(5000) + numbers(), kind="numbers")
    path = tmp_path / "a"
    with zipfile.ZipFile(path, "w") as made:
        made.comment = COMMENT
        made.writestr(zipfile.ZipInfo(key), data)
        made.filelist += [made.filelist[0]] * 50
    with pytest.raises(ValueError, match="overlap"):
        take(Cache(tmp_path / "cache"), path)


def test_many_entries_fit(tmp_path):
    """More than the 65,535 of a plain archive, as a large cache has them."""
    path = tmp_path / "a"
    with zipfile.ZipFile(path, "w") as made:
        made.comment = COMMENT
        for number in range(66_000):
            made.writestr(zipfile.ZipInfo(f"{number}"), b"")
    taken = take(Cache(tmp_path / "cache"), path)
    assert taken.refused == {"a name that is no key": 66_000}

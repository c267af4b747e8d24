"""Records for another machine: exported records are usable there, and anything else is rejected."""

import json
import zipfile

import pytest

from bbilang.runtime.cache.disk import Cache, key_of
from bbilang.runtime.cache.record import pack
from bbilang.runtime.featvis import icon
from bbilang.runtime.recall import archive as store_archive
from bbilang.runtime.recall import results_store as store
from bbilang.runtime.recall.codec import DAMAGED, decode, encode


@pytest.fixture
def made(bbi, folder, monkeypatch):
    """An archive of page.bbi, made on a machine with another torch and a GPU, as far as the records say."""
    with monkeypatch.context() as patch:
        versions = {"torch": "9.9+cu999", "numpy": "0", "pillow": "0"}
        patch.setattr(icon, "version_of", versions.get)
        patch.setattr(icon, "device_type", lambda adapter: "cuda")
        patch.setattr(store, "version_of", versions.get)
        assert bbi("run", "page.bbi", "-o", "far.html").code == 0
        assert bbi("cache", "export", "all.bbicache").code == 0
        done = bbi("cache", "export", "page.bbicache", "page.bbi")
        assert done.out.startswith("page.bbicache  3 icons, numbers of 4 results, ") and not done.err
    assert (folder / "page.bbicache").read_bytes() == (folder / "all.bbicache").read_bytes()
    assert bbi("cache", "clear").code == 0
    return folder / "page.bbicache"


def test_icons_of_another_machine_serve_this_one(bbi, folder, made):
    from bbilang import api

    done = bbi("cache", "import", made)
    assert done.code == 0 and "3 icons, numbers of 4 results taken" in done.out
    assert bbi("cache", "import", made).out.endswith("taken, 7 there already\n")
    assert "3 icons (16 px, 4 steps), all in the cache" in bbi("run", "page.bbi", "-o", "here.html").err
    page = (folder / "here.html").read_text()
    assert "3 icons made on cuda with torch 9.9+cu999" in page and "numbers computed on cpu" in page
    results = api.execute(api.plan(api.optimize(api.check(api.parse((folder / "page.bbi").read_text())))))
    assert results.passes is None and len(results.icons) == 3
    assert not bbi("cache", "export", "again.bbicache", "page.bbi").err, "what was imported can be passed on"


def test_nothing_else_comes_in(bbi, folder, made):
    """Paths, other kinds of records, damage and bombs are refused one by one; the rest is taken."""
    good = zipfile.ZipFile(made)
    name = good.namelist()[0]
    shared = key_of({"a": "shared"})

    def record(kind, data=b"<script>", **metadata):
        key = key_of({"kind": kind, "data": data.hex()})
        return key, pack(key, data, {"kind": kind, "shared": shared, **metadata})

    icons = {"objective": 1.0, "dead": False, "reason": "", "made": {}}
    entries = [
        ("../../evil", b"x"), ("/etc/passwd", b"x"), ("records/" + name, good.read(name)), ("a" * 64, b"x"),
        (name[:-1] + ("0" if name[-1] != "0" else "1"), good.read(name)), (name, good.read(name)[:-1]),
        record("page"), record("model"), record("icon", b"no picture", **icons), record("numbers", b"[1, 2]\n"),
        record("numbers", b'{"array": {"shape": [1099511627775], "type": "<f8", "at": 0}}\n'),
        record("icon", good.read(name)), (name, good.read(name)),
    ]  # fmt: skip
    with zipfile.ZipFile(folder / "evil.bbicache", "w") as archive:
        archive.comment = store_archive.COMMENT
        for entry, data in entries:
            archive.writestr(zipfile.ZipInfo(entry), data)
        archive.writestr(zipfile.ZipInfo("b" * 64), b"0" * 10_000_000, zipfile.ZIP_DEFLATED)
    done = bbi("cache", "import", "evil.bbicache")
    assert done.code == 1 and done.out.count("1 icon") + done.out.count("of 1 result") == 1
    assert sum(int(line.split()[0]) for line in done.err.splitlines()) == len(entries)
    assert {p.name for p in (folder / "cache" / "records").glob("*/*")} == {name, *Cache().keys()}
    assert len(Cache().keys()) == 2, "the good one, and where it is found"
    assert not (folder.parent / "evil").exists()


@pytest.mark.parametrize("data", [b"", b"no archive", b"PK\x05\x06" + bytes(18)])
def test_another_file_is_refused(bbi, folder, data):
    (folder / "x.bbicache").write_bytes(data)
    done = bbi("cache", "import", "x.bbicache")
    assert done.code == 1 and done.err.startswith("error[E443]: x.bbicache holds no records of the cache")


def test_the_command_line(bbi, folder):
    assert "error[E441]: there is no file" in bbi("cache", "import", "nowhere").err
    assert "error[E440]" in bbi("cache", "export", "page.bbi").err and (folder / "page.bbi").read_text()
    assert "error[E440]" in bbi("cache", "export", folder).err
    done = bbi("cache", "export", "empty.bbicache")
    assert done.code == 0 and "0 icons, numbers of 0 results" in done.out


def test_no_bytes_break_the_reader():
    """Every byte of a record may be another: it is read as something, or refused in one of the ways that are known."""
    import numpy as np

    from bbilang.runtime.fields.field import Named

    words = np.array(["a", "b − c"], dtype=object)
    value = {"n": Named(("y", "x"), np.arange(6, dtype=np.float32).reshape(2, 3)), "w": Named(("class",), words),
             "plain": [1, None, True, 2.5, ("x", ())]}  # fmt: skip
    value |= {"none": np.zeros((0, 3), np.int64), "one": np.array(True)}
    data = encode(value)
    back = decode(data)
    assert back["plain"] == value["plain"] and back["w"].data.tolist() == words.tolist()
    assert back["none"].shape == (0, 3) and back["none"].dtype == np.int64 and back["one"].dtype == bool
    np.testing.assert_array_equal(back["n"].data, value["n"].data)
    for at in range(len(data)):
        for other in (data[at] ^ 1, data[at] ^ 16, 48):
            try:
                decode(data[:at] + bytes([other]) + data[at + 1 :])
            except DAMAGED:
                pass
    with pytest.raises(TypeError):
        encode({"x": np.array([object()], dtype="V8")})
    assert json.loads(data.split(b"\n")[0])["table"][0][0] == "n"

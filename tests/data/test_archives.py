"""Archives read in place: like the folder they were made of, and refused where they are dangerous or damaged."""

from __future__ import annotations

import gzip
import os
import pickle
import struct
import tarfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from drawn import CLASSES, encoded, tar, write, zipped

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.data.archives import gzips, members
from bbilang.runtime.data.archives.gzips import GzipBytes
from bbilang.runtime.data.dataset import open_dataset
from bbilang.runtime.data.peek import peek
from bbilang.runtime.data.pictures import Unreadable


def refused(code: str, *words: str):
    return pytest.raises(BbiError, match="(?s)" + ".*".join([code, *words]))


def made(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    if name.endswith(".zip"):
        return zipped(folder / name, files)
    return tar(folder / name, files, "w" if name.endswith(".tar") else "w:gz")


KINDS = ["photos.tar", "photos.tar.gz", "photos.tgz", "photos.zip"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prefix", ["", "./", "photos/"])
def test_an_archive_is_like_its_folder(tmp_path, kind, prefix):
    files = {**CLASSES, "dog/" + "long" * 30 + "/ä.png": encoded(9), "dog/.hidden.png": b"", "notes.txt": b"x" * 3000}
    path = made(tmp_path, kind, {f"{prefix}{name}": data for name, data in files.items()})
    folder = open_dataset(str(write(tmp_path / "folder", files)))
    data, seen = open_dataset(str(path)), peek(str(path))
    inner = prefix.replace("./", "")
    assert sorted(data.files) == sorted(inner + name for name in folder.files)
    order = np.argsort(data.files)
    assert data.labels[order].tolist() == folder.labels.tolist()
    for number, row in enumerate(order):
        assert data.read(row) == folder.read(number) and data.digest(row) == folder.digest(number)
    assert data.columns["width"][order].tolist() == folder.columns["width"].tolist()
    assert seen.exact and seen.count == len(folder) and seen.labels == peek(str(tmp_path / "folder")).labels


@pytest.mark.parametrize("kind", KINDS)
def test_pickled_and_read_by_threads(tmp_path, kind):
    files = {f"{number % 3}/{number}.png": encoded(number) for number in range(60)}
    data = open_dataset(str(made(tmp_path, kind, files)))
    data = pickle.loads(pickle.dumps(data))
    rows, wrong = np.random.default_rng(0).permutation(60), []

    def read(part):
        wrong.extend(row for row in part if data.read(row) != files[data.files[row]])

    threads = [threading.Thread(target=read, args=(rows[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("kind", KINDS)
def test_a_later_member_replaces_an_earlier_one(tmp_path, kind):
    path = made(tmp_path, kind, {"a.png": encoded(1)})
    if kind.endswith(".zip"):
        with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.png", encoded(2))
    else:
        inner = gzip.decompress(path.read_bytes()) if kind != "photos.tar" else path.read_bytes()
        plain = tmp_path / "plain.tar"
        plain.write_bytes(inner)
        tar(plain, {"a.png": encoded(2)}, "a")
        path.write_bytes(gzip.compress(plain.read_bytes()) if kind != "photos.tar" else plain.read_bytes())
    data = open_dataset(str(path))
    assert len(data) == 1 and data.read(0) == encoded(2)


def test_gzip_in_any_order_is_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(gzips, "SPACING", 10_000)
    monkeypatch.setattr(gzips, "STEP", 3_000)
    monkeypatch.setattr(gzips, "CHUNK", 700)
    monkeypatch.setattr(gzips, "BEHIND", 2_000)
    monkeypatch.setattr(gzips, "MOST_COPIES", 8)
    random = np.random.default_rng(0)
    content = random.integers(0, 60, 400_000, np.uint8).tobytes()
    half = len(content) // 2
    path = tmp_path / "data.gz"  # two files of gzip, one after the other, and padding
    path.write_bytes(gzip.compress(content[:half]) + gzip.compress(content[half:]) + b"\0" * 100)
    data = GzipBytes(path)
    for offset in random.integers(0, len(content), 200).tolist():
        size = int(random.integers(0, 20_000))
        assert data.read(offset, size) == content[offset : offset + size]
    assert data.read(len(content), 10) == b"" and len(data._copies) <= 9


def test_gzip_in_order_is_unpacked_once(tmp_path, monkeypatch):
    files = {f"{number}.png": encoded(number, size=(64, 64)) for number in range(200)}
    data = open_dataset(str(made(tmp_path, "photos.tar.gz", files)))
    steps = []
    forward = GzipBytes._forward
    monkeypatch.setattr(GzipBytes, "_forward", lambda *given: steps.append(1) or forward(*given))
    monkeypatch.setattr(gzips, "STEP", 4096)
    for row in range(200):
        data.read(row)
    once = len(steps)
    size = sum(512 + -(-len(each) // 512) * 512 for each in files.values())
    assert once <= size / 4096 + (tmp_path / "photos.tar.gz").stat().st_size / gzips.CHUNK + 5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["../evil.png", "a/../../evil.png", "/tmp/evil.png", "..\\evil.png", "C:\\evil.png"])
def test_names_that_lead_out(tmp_path, kind, name):
    path = made(tmp_path, kind, {"a.png": encoded(1), name: encoded(2)})
    for look in (peek, open_dataset):
        with refused("E455", "leads out of the archive"):
            look(str(path))
    assert not (tmp_path.parent / "evil.png").exists() and not Path("/tmp/evil.png").exists()


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_tar(tmp_path, mode, kind):
    path = tmp_path / ("a.tar" if mode == "w" else "a.tar.gz")
    with tarfile.open(path, mode) as archive:
        member = tarfile.TarInfo("a.png")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    with refused("E456", "a link" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else "no regular file"):
        open_dataset(str(path))


def test_links_in_zip(tmp_path):
    info = zipfile.ZipInfo("a.png")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with refused("E456", "a link"):
        peek(str(tmp_path / "a.zip"))


def test_bombs(tmp_path, monkeypatch):
    monkeypatch.setattr(members, "MOST_PICTURE", 1 << 20)
    zeros = b"\0" * (2 << 20)
    for kind in KINDS:
        with refused("E456", "a.png, which unpacks to 2 MB"):
            peek(str(made(tmp_path, kind, {"a.png": zeros})))
    for module in (members, gzips):
        monkeypatch.setattr(module, "RATIO_FROM", 1 << 20, raising=False)
    from bbilang.runtime.data.archives import zips

    monkeypatch.setattr(zips, "RATIO_FROM", 1 << 20)
    for kind in ("photos.zip", "photos.tar.gz"):
        with refused("E456", "a bomb"):
            peek(str(made(tmp_path, kind, {"notes.txt": zeros, "a.png": encoded(1)})))


def test_members_that_overlap_are_a_bomb(tmp_path):
    """Two entries of the directory with the same bytes, as in the bombs of Fifield 2019."""
    path = zipped(tmp_path / "a.zip", {"a.png": encoded(1), "b.png": encoded(2)})
    data = bytearray(path.read_bytes())
    second = data.rfind(b"PK\x01\x02")
    data[second + 42 : second + 46] = struct.pack("<I", 0)
    path.write_bytes(data)
    with refused("E456", "overlap"):
        peek(str(path))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_in_one_piece(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        archive.writestr("a.png", encoded(1))
    with refused("E456", "a.png, which is neither stored nor deflated"):
        peek(str(tmp_path / "a.zip"))


def test_a_header_that_claims_gigabytes_is_not_read(tmp_path, monkeypatch):
    member = tarfile.TarInfo("long")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 3 << 30
    path = tmp_path / "a.tar"
    path.write_bytes(member.tobuf(tarfile.GNU_FORMAT) + b"\0" * 4096)
    with refused("E456", "a header of 3,221,225,472 bytes"):
        peek(str(path))


def test_encrypted_zip(tmp_path):
    path = zipped(tmp_path / "a.zip", {"a.png": encoded(1)})
    data = bytearray(path.read_bytes())
    data[data.rfind(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with refused("E456", "encrypted"):
        peek(str(path))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", [0, 0.3, 0.55])
def test_archives_cut_short(tmp_path, kind, part):
    path = made(tmp_path, kind, {f"{number}.png": encoded(number) for number in range(20)})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with refused("E456", kind):
        open_dataset(str(path))


@pytest.mark.parametrize("kind", KINDS)
def test_archives_of_other_bytes(tmp_path, kind):
    random = np.random.default_rng(0)
    path = tmp_path / kind
    path.write_bytes(random.bytes(5000))
    with refused("E456", kind):
        peek(str(path))
    good = made(tmp_path, kind, {f"{number}.png": encoded(number) for number in range(8)}).read_bytes()
    for _ in range(40):  # one byte changed: refused, or a picture that is unreadable or another; never another error
        spoiled = bytearray(good)
        spoiled[int(random.integers(len(good)))] ^= int(random.integers(1, 256))
        path.write_bytes(spoiled)
        try:
            data = open_dataset(str(path))
        except BbiError as failure:
            assert failure.diagnostics[0].code in ("E451", "E455", "E456")
            continue
        for row in range(len(data)):
            try:
                data.picture(row)
            except Unreadable:
                pass


def test_garbage_between_the_members_of_a_tar_is_not_the_end(tmp_path):
    path = made(tmp_path, "a.tar", {"a.png": encoded(1), "b.png": encoded(2)})
    data = bytearray(path.read_bytes())
    offset = 512 + -(-len(encoded(1)) // 512) * 512
    data[offset : offset + 512] = b"x" * 512
    path.write_bytes(data)
    with refused("E456", f"damaged at byte {offset:,}"):
        peek(str(path))


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_that_changes_is_not_read_on(tmp_path, kind):
    path = made(tmp_path, kind, {"a.png": encoded(1)})
    data = open_dataset(str(path))
    made(tmp_path, kind, {"b.png": encoded(2), "a.png": encoded(3)})
    with pytest.raises(Unreadable, match="has changed"):
        data.read(0)
    path.unlink()
    with pytest.raises(Unreadable, match="is gone"):
        pickle.loads(pickle.dumps(data)).read(0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_digest_changes_with_a_member_of_the_same_size(tmp_path, kind):
    path = made(tmp_path, kind, {"a.png": encoded(1)})
    os.utime(path, ns=(10**18, 10**18))
    before = peek(str(path)).digest
    made(tmp_path, kind, {"a.png": b"x" + encoded(1)[1:]})
    assert peek(str(path)).digest != before


@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_without_pictures(tmp_path, kind):
    with refused("E451", "no pictures"):
        peek(str(made(tmp_path, kind, {"a.txt": b"x"})))


@pytest.mark.parametrize("kind", ["photos.tar", "photos.tar.gz"])
def test_a_large_archive_is_looked_at_in_part(tmp_path, kind, monkeypatch):
    random = np.random.default_rng(0)
    path = made(tmp_path, kind, {f"{number % 2}/{number}.png": random.bytes(4000) for number in range(400)})
    monkeypatch.setattr(gzips, "CHUNK", 4096)
    monkeypatch.setattr("bbilang.runtime.data.peek.LOOKED_AT", {"tar": 500_000, "gzip": 500_000})
    seen = peek(str(path))
    assert not seen.exact and abs(seen.count - 400) < 40 and set(seen.labels) == {"0", "1"}
    assert len(open_dataset(str(path))) == 400


def test_nothing_is_written(tmp_path, monkeypatch):
    for kind in KINDS:
        data = open_dataset(str(made(tmp_path, kind, CLASSES)))
        monkeypatch.chdir(tmp_path)
        data.picture(0)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(KINDS)


def test_the_index_of_a_compressed_archive_is_kept(tmp_path, monkeypatch):
    cache = Cache(tmp_path / "cache")
    path = made(tmp_path, "photos.tar.gz", CLASSES)
    os.utime(path, ns=(10**18, 10**18))
    first = open_dataset(str(path), store=cache)
    data = first.read(2)
    with monkeypatch.context() as patch:
        patch.setattr("bbilang.runtime.data.archives.index.list_gzip", lambda *_: pytest.fail("it is unpacked"))
        again, seen = open_dataset(str(path), store=cache), peek(str(path), store=cache)
    assert again.files.tolist() == first.files.tolist() and again.labels.tolist() == first.labels.tolist()
    assert again.read(2) == data and seen.exact and seen.digest == peek(str(path)).digest
    made(tmp_path, "photos.tar.gz", {"b.png": encoded(7)})
    assert open_dataset(str(path), store=cache).files.tolist() == ["b.png"]

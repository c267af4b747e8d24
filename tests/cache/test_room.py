"""The limit, several processes at once, damage and full disks. Ctrl-C is in tests/cli/test_run.py."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bbilang.runtime.cache.disk import Cache, key_of, unpack

KEYS = [key_of({"n": n}) for n in range(40)]
WORK = """
import sys
from bbilang.runtime.cache.disk import Cache, key_of
cache = Cache(sys.argv[1])
own = [key_of({"own": sys.argv[2], "n": n}) for n in range(10)]
with cache.holding():
    for key in own:
        assert cache.put(key, sys.argv[2].encode() * 2000)
        for n in range(15):
            other = key_of({"n": n})
            cache.put(other, b"%d" % n * 1500)
            found = cache.get(other)
            assert found is None or found[0] == b"%d" % n * 1500
            if n % 5 == 0:
                cache._shrink(0)
    for key in own:
        assert cache.get(key)[0] == sys.argv[2].encode() * 2000, "a page's own records stay while it is made"
assert cache.damaged == 0 and cache.writable
"""
HOLDS = """
import sys, time
from bbilang.runtime.cache.disk import Cache, key_of
cache = Cache(sys.argv[1])
with cache.holding():
    cache.put(key_of({"n": 0}), b"x" * 1000)
    print("held", flush=True)
    time.sleep(60)
"""


def kind_of(cache, key):
    return json.loads(cache.raw(key).split(b"\n", 2)[1])["kind"]


def test_several_processes_write_read_and_shrink(tmp_path):
    """Each holds its own records while all of them remove the records that no process holds."""
    Cache(tmp_path).set_limit(60_000)
    running = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", WORK, str(tmp_path), name], stderr=subprocess.PIPE)
        for name in "abc"
    ]
    for process in running:
        _, error = process.communicate(timeout=120)
        assert process.returncode == 0, error.decode()
    cache = Cache(tmp_path)
    cache.put(KEYS[30], b"x")
    cache._shrink()
    assert cache.stats()["bytes"] <= 60_000 and cache.damaged == 0
    assert not list((tmp_path / "holds").iterdir()), "nobody holds anything"


def test_a_record_is_held_before_others_can_see_it(tmp_path, monkeypatch):
    """Another process that looks for room between the two would remove what was just put."""
    cache, other, replace = Cache(tmp_path), Cache(tmp_path), os.replace

    def shrunk(source, target):
        replace(source, target)
        if Path(target).name in KEYS:
            other._shrink(0)

    monkeypatch.setattr(os, "replace", shrunk)
    with cache.holding():
        assert cache.put(KEYS[0], b"x") and cache.get(KEYS[0])
    assert other._shrink(0) == 1


def test_a_record_that_goes_between_reading_and_holding_comes_back(tmp_path, monkeypatch):
    cache, other = Cache(tmp_path), Cache(tmp_path)
    cache.put(KEYS[0], b"x")
    monkeypatch.setattr("bbilang.runtime.cache.disk.unpack", lambda *a: (other._shrink(0), unpack(*a))[1])
    with cache.holding():
        assert cache.get(KEYS[0])[0] == b"x" and other.get(KEYS[0])[0] == b"x"


def test_a_dead_process_holds_nothing(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLDS, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    cache = Cache(tmp_path)
    assert cache._shrink(0) == 0 and cache.get(KEYS[0])
    process.kill()
    process.wait()
    process.stdout.close()
    assert cache._shrink(0) == 1 and cache.get(KEYS[0]) is None


@pytest.mark.parametrize("way", ["flock", "filelock"])
def test_what_locks_keep_apart(tmp_path, monkeypatch, way):
    """The same on systems without flock, where the package filelock does it."""
    from bbilang.runtime import locks

    if way == "filelock":
        pytest.importorskip("filelock")
        monkeypatch.setattr(locks, "fcntl", None)
    one, other = locks.Lock(tmp_path / "a"), locks.Lock(tmp_path / "a")
    assert one.acquire() and not other.acquire(wait=False)
    one.release()
    assert other.acquire(wait=False)
    other.release()
    first, second = Cache(tmp_path / "cache"), Cache(tmp_path / "cache")
    with first.holding():
        assert first.put(KEYS[0], b"x") and second._shrink(0) == 0
    assert second._shrink(0) == 1 and not list((tmp_path / "cache" / "holds").iterdir())
    abandoned = tmp_path / "cache" / "holds" / "1-0"
    abandoned.write_text(KEYS[1] + "\n")
    assert first.put(KEYS[1], b"x") and first._shrink(0) == 1 and not abandoned.exists()


def test_the_limit_is_stored_in_the_folder_and_applied_at_once(bbi, folder):
    cache = Cache()
    for key in KEYS:
        cache.put(key, b"x" * 1000, {"kind": "icon"})
    done = bbi("cache", "--limit", "20 kB")
    assert done.code == 0 and "at most 20 kB; " in done.out
    assert Cache().limit == 20_000 and 10_000 < Cache().stats()["bytes"] <= 20_000
    assert Cache().get(KEYS[-1]) and Cache().get(KEYS[0]) is None, "the oldest go first"
    lines = bbi("cache").out.splitlines()
    assert "of at most 20 kB" in lines[0] and lines[1].split()[1] == "icons,"
    shown = json.loads(bbi("cache", "--json").out)
    assert shown["limit"] == 20_000 and shown["kinds"]["icon"]["records"] == shown["records"]
    assert "at most 2.15 GB\n" in bbi("cache", "--limit", "2GiB").out and Cache().limit == 2 << 30
    for wrong in ("much", "-1", "2XB", "2 GB GB", ""):
        assert "error[E440]" in bbi("cache", "--limit", wrong).err
    (folder / "cache" / "settings.json").write_text("[" * 100_000)
    assert Cache().limit == 1 << 30, "a damaged setting is none"


def test_damaged_records_are_noticed_dropped_and_made_again(bbi, folder):
    """Every record of a page, one byte of each: the same page again, and every record whole again."""
    assert bbi("run", "page.bbi", "-o", "first.html").code == 0
    cache = Cache()
    keys = cache.keys()
    assert {kind_of(cache, key) for key in keys} >= {"icon", "numbers", "page", "model"}
    for key in keys:
        path = cache._path(key)
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    done = bbi("run", "page.bbi", "-o", "second.html")
    assert done.code == 0 and "error" not in done.err and "making 3 icons" in done.err
    assert (folder / "second.html").read_bytes() == (folder / "first.html").read_bytes()
    assert sorted(Cache().keys()) == sorted(keys) and all(cache.raw(key) is not None for key in keys)


def test_records_that_say_nothing_are_made_again(bbi, folder):
    """Their checksum is right and their content is not: what no version of ours has written."""
    assert bbi("run", "page.bbi", "-o", "first.html").code == 0
    cache = Cache()
    for key in cache.keys():
        cache.put(key, b"null", {"kind": kind_of(cache, key)})
    done = bbi("run", "page.bbi", "-o", "second.html")
    assert done.code == 0 and "error" not in done.err
    assert (folder / "second.html").read_bytes() == (folder / "first.html").read_bytes()


def test_a_full_disk_costs_a_warning(bbi, folder, monkeypatch):
    whole = os.replace

    def full(source, target):
        if "records" in str(target):
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(source, target)

    monkeypatch.setattr(os, "replace", full)
    done = bbi("run", "page.bbi", "-o", "page.html")
    assert done.code == 0 and done.err.count("warning[W440]") == 1 and (folder / "page.html").stat().st_size > 100_000
    assert not Cache().keys() and not list((folder / "cache").rglob(".new-*"))

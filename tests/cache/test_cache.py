"""The disk cache: complete records or none, whatever happens to files, processes and disks."""

import errno
import os
import subprocess
import sys
import threading
import warnings

import pytest

from bbilang.runtime.cache.disk import Cache, key_of

KEY, OTHER = key_of({"a": 1}), key_of({"a": 2})


def record(cache, key=KEY):
    return cache.folder / "records" / key[:2] / key


def test_what_is_put_is_got(tmp_path):
    cache = Cache(tmp_path)
    assert cache.get(KEY) is None
    data = bytes(range(256)) + b"\n\n"
    assert cache.put(KEY, data, {"objective": 1.5, "text": "é\n"})
    assert Cache(tmp_path).get(KEY) == (data, {"objective": 1.5, "text": "é\n"})
    assert cache.put(OTHER, b"")
    assert cache.get(OTHER) == (b"", {})
    stats = cache.stats()
    assert (stats["records"], stats["hits"], stats["misses"]) == (2, 1, 1)
    assert cache.clear() == 2 and cache.get(KEY) is None


def test_keys_are_canonical():
    assert key_of({"a": 1, "b": [1, 2]}) == key_of({"b": (1, 2), "a": 1}) != key_of({"a": 1, "b": [2, 1]})
    with pytest.raises(ValueError):
        key_of({"a": float("nan")})
    with pytest.raises(ValueError, match="sha256"):
        Cache().get("../../etc/passwd")


@pytest.mark.parametrize("cut", [0, 1, 20, 90, -1])
def test_a_shortened_record_is_dropped(tmp_path, cut):
    cache = Cache(tmp_path)
    cache.put(KEY, b"x" * 100, {"a": 1})
    path = record(cache)
    path.write_bytes(path.read_bytes()[:cut])
    assert cache.get(KEY) is None and not path.exists() and cache.damaged == 1
    assert cache.put(KEY, b"again") and cache.get(KEY) == (b"again", {})


def test_every_changed_byte_is_noticed(tmp_path):
    cache = Cache(tmp_path)
    cache.put(KEY, b"picture", {"a": 1})
    whole = record(cache).read_bytes()
    for at in range(len(whole)):
        record(cache).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert cache.get(KEY) is None, at


def test_a_record_under_another_name_is_damaged(tmp_path):
    cache = Cache(tmp_path)
    cache.put(KEY, b"picture")
    record(cache, OTHER).parent.mkdir(parents=True, exist_ok=True)
    os.rename(record(cache), record(cache, OTHER))
    assert cache.get(OTHER) is None and cache.damaged == 1


def test_the_least_recently_read_go_first(tmp_path):
    cache = Cache(tmp_path, limit=5000)
    keys = [key_of({"n": n}) for n in range(12)]
    for n, key in enumerate(keys):
        cache.put(key, b"x" * 800)
        os.utime(record(cache, key), (1e9 + n, 1e9 + n)) if record(cache, key).exists() else None
        cache.get(keys[0])
    assert cache.stats()["bytes"] <= 5000
    assert cache.get(keys[0]) and cache.get(keys[-1]) and not cache.get(keys[1])
    assert not cache.put(keys[1], b"x" * 6000), "a record over the limit is not stored"


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_full_or_closed_disk_warns_once_and_goes_on(tmp_path, monkeypatch, fault):
    cache = Cache(tmp_path)
    cache.put(OTHER, b"before")

    def refuse(*_):
        raise OSError(fault, os.strerror(fault))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.warns(RuntimeWarning, match="not written any more"):
        assert not cache.put(KEY, b"x")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not cache.put(KEY, b"x")
    assert cache.get(OTHER) == (b"before", {})
    assert not list(tmp_path.rglob(".new-*")) and cache.stats()["writable"] is False


def test_a_folder_that_is_a_file_warns(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(RuntimeWarning):
        assert not Cache(tmp_path / "file").put(KEY, b"x")


def test_an_interrupted_put_leaves_nothing(tmp_path, monkeypatch):
    cache = Cache(tmp_path)

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        cache.put(KEY, b"x")
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_unfinished_files_left_long_ago_are_removed(tmp_path):
    cache = Cache(tmp_path)
    cache.put(KEY, b"x")
    left = record(cache).parent / ".new-left"
    left.write_bytes(b"half")
    os.utime(left, (1e9, 1e9))
    assert cache.stats()["records"] == 1 and not left.exists()


def test_several_threads_and_processes_share_a_folder(tmp_path):
    program = (
        "import sys; from bbilang.runtime.cache.disk import Cache, key_of\n"
        "assert 'torch' not in sys.modules\n"
        "c = Cache(sys.argv[1], limit=60_000)\n"
        "for n in range(200):\n"
        "    k = key_of({'n': n % 20}); c.put(k, b'%d' % (n % 20) * 3000)\n"
        "    r = c.get(k); assert r is None or r[0] == b'%d' % (n % 20) * 3000\n"
        "assert c.damaged == 0 and c.writable\n"
    )
    processes = [subprocess.Popen([sys.executable, "-W", "error", "-c", program, str(tmp_path)]) for _ in range(2)]
    cache = Cache(tmp_path, limit=60_000)
    threads = [threading.Thread(target=lambda: [cache.put(KEY, b"t" * 500) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [p.wait() for p in processes] == [0, 0]
    cache._shrink()
    assert cache.stats()["bytes"] <= 60_000 and cache.damaged == 0 and cache.writable


def test_the_folder_is_the_environments(tmp_path, monkeypatch):
    monkeypatch.setenv("BBI_CACHE_DIR", str(tmp_path / "here"))
    cache = Cache()
    cache.put(KEY, b"x")
    assert cache.folder == tmp_path / "here" and record(cache).exists()

"""Whatever ends a scan, the shards that were finished stay; and what does not fit is said before it begins."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import tracemalloc
from collections import namedtuple
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from tiny_scan import TwoLayers

from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.cache.disk import Cache
from bbilang.runtime.scan.reading import threads
from bbilang.runtime.scan.scan import scan

ROOT = Path(__file__).parents[2]
Usage = namedtuple("Usage", "total used free")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX")
def test_killed_at_five_points():
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.kills", "5", "3"]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert told["points"] == told["equal"] == 5
    left = told["shards left by a killed scan"]
    assert 0 < sum(left) < 25, "some shards were finished when it was killed, and some were not"


def test_ctrl_c_keeps_finished_shards(pictures, cache):
    def interrupt(event):
        if event.done > 300:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        scan(pictures, TwoLayers(), cache, listener=interrupt)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]
    again = scan(pictures, TwoLayers(), cache)
    assert (again.fresh, again.recalled) == (2, 1)


def test_an_error_of_the_network_keeps_finished_shards(pictures, cache):
    work = TwoLayers()
    usual = work.batch
    work.batch = lambda images, wanted, numbers=(): usual(images, wanted) if len(work.runs) < 40 else 1 / 0
    with pytest.raises(ZeroDivisionError):
        scan(pictures, work, cache)
    assert scan(pictures, TwoLayers(), cache).recalled == 1


def test_scan_that_does_not_fit_on_the_disk(pictures, cache, monkeypatch):
    monkeypatch.setattr(
        shutil, "disk_usage", lambda folder: Usage(10**9, 10**9 - 64 * 2**20 - 10**5, 64 * 2**20 + 10**5)
    )
    work = TwoLayers()
    with pytest.raises(BbiError) as raised:
        scan(pictures, work, cache)
    said = raised.value.diagnostics[0]
    assert said.code == "E448" and "209.4 kB" in said.message and "67.2 MB free" in said.message
    assert len(work.runs) == 1 and not cache.keys(), "refused after one batch, before a shard is written"
    assert 600 * 11 * 7 * 4 + 6 * 4096 == 209_376  # 11 channels, 7 numbers of 4 bytes each; 6 records


def test_scan_that_does_not_fit_into_the_cache(pictures, tmp_path):
    cache = Cache(tmp_path / "cache", limit=200_000)
    with pytest.raises(BbiError) as raised:
        scan(pictures, TwoLayers(), cache)
    said = raised.value.diagnostics[0]
    assert said.code == "E448" and "at most 200.0 kB" in said.message and "bbi cache --limit 1GB" in said.help
    assert not cache.keys()
    assert scan(pictures, TwoLayers(), None).fresh == 3, "without a cache only the disk limits it"


@pytest.mark.filterwarnings("ignore:the cache")
def test_disk_that_fills_up_meanwhile(pictures, cache, monkeypatch):
    from bbilang.runtime.cache import disk

    usual, written = disk.replacing, []

    @contextmanager
    def filling(path, **options):
        written.append(path)
        if len(written) > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with usual(path, **options) as file:
            yield file

    monkeypatch.setattr(disk, "replacing", filling)
    with pytest.raises(BbiError) as raised:
        scan(pictures, TwoLayers(), cache)
    assert raised.value.diagnostics[0].code == "E448" and "are kept" in raised.value.diagnostics[0].message
    monkeypatch.undo()
    assert scan(pictures, TwoLayers(), Cache(cache.folder)).recalled == 1


class Wide:
    """Pictures without files, and 16 kB of numbers for each."""

    name, network, parts = "wide", "wide", {"wide": "wide"}

    def __init__(self, count):
        self.count, self.waiting, self.most = count, 0, 0
        self._lock = threading.Lock()

    def __len__(self):
        return self.count

    def known_digest(self, number):
        return None

    def digest(self, number):
        return str(number)

    def picture(self, number):
        with self._lock:
            self.waiting += 1
            self.most = max(self.most, self.waiting)
        return number

    def prepare(self, number):
        return np.full((1, 2, 2), number, np.float32)

    def batch(self, images, wanted, numbers=()):
        with self._lock:
            self.waiting -= len(images)
        return {"wide": {"value": np.repeat(images[:, 0, 0].numpy(), 2000, 1)}}


def test_memory_is_bounded(cache):
    """41 MB of results and 2,560 pictures: neither the shards nor the decoded pictures are ever all there."""
    wide = Wide(2560)
    tracemalloc.start()
    try:
        scanned = scan(wide, wide, cache, batch=16)
        total = sum(float(piece[:, 0].sum()) for piece in scanned.stream("wide", "value"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == 2560 * 2559 / 2 and scanned.bytes == 2560 * 16_000
    assert peak < 5 * 256 * 16_000, "a few shards"
    assert wide.most <= 3 * 16 + threads(), "a batch that runs, two that wait, and what threads decode"


def test_a_batch_is_told_which_examples_it_has(pictures, cache):
    """What depends on an example besides its picture, as its label, is found by its number in the dataset."""
    work, told = TwoLayers(), []
    usual = work.batch

    def batch(images, wanted, numbers=()):
        told.extend(numbers)
        return usual(images, wanted)

    work.batch = batch
    pictures.data[3] = b"no picture"
    scan(pictures, work, cache, batch=16)
    assert told == [n for n in range(len(pictures)) if n != 3]

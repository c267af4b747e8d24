"""Attributions over a dataset are units of work, too: shards whose passes include backward ones."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_examples import Pictures, network

from bbilang.grammar.source import Source
from bbilang.pipeline import Pipeline, Request
from bbilang.runtime.cache.disk import Cache

ROOT = Path(__file__).parents[2]
ICONS = """
set featvis(size=16, steps=2, batch=1)
b.channel | activation | across(photos) | mean(example) | top(2) | present(featvis)
"""
TEXT = """
b.channel | attribute(output) | across(photos) | mean(example) | present(bars)
b.channel | attribute(output["ant"], method=gradient) | across(photos) | std(example)
  | present(bars)
a.channel | attribute(output["bee"], method=lrp) | across(photos) | mean(example, per=label) | present(matrix)
"""
DRIVER = """
import os, signal, sys, threading
from pathlib import Path
from tiny_examples import Pictures, network
from bbilang.grammar.source import Source
from bbilang.pipeline import Pipeline, Request
from bbilang.runtime.cache.disk import Cache
folder, text, dies, ends, more = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])

def listen(event):
    if event.total == 800 and event.done >= ends:
        threading.Timer(more, os.kill, (os.getpid(), signal.SIGKILL)).start()

data, cache = {"photos": Pictures(800, folder, dies)}, Cache(folder / "cache")
Pipeline(Request(Source(text), network(), data=data, cache=cache, workers=2), listener=listen).scan()
threading.Event().wait()
"""


def numbers(folder, pictures, workers=None):
    request = Request(Source(TEXT), network(), data={"photos": pictures}, cache=Cache(folder), workers=workers)
    pipeline = Pipeline(request)
    (kept,) = pipeline.scan()
    return {(part, name): kept.array(part, name) for part in kept.parts for name in kept.names(part)}, kept


def test_equal_to_one_process_with_a_worker_killed(tmp_path):
    pictures = Pictures(300, tmp_path, dies=270)
    expected, _ = numbers(tmp_path / "here", pictures)
    shards, kept = numbers(tmp_path / "workers", pictures, workers=2)
    assert len(list(tmp_path.glob("death *"))) == 1 and kept.fresh == 2
    assert list(shards) == list(expected) and len(shards) > 1
    for name, values in shards.items():
        assert values.tobytes() == expected[name].tobytes(), name


@pytest.mark.parametrize("seed", [0, 1])
def test_a_worker_and_the_driver_are_killed_at_random(tmp_path, seed):
    """The driver some time after a shard was finished, the worker at some picture, if the driver lives so long."""
    draw = random.Random(seed)
    given = [str(draw.randrange(400)), str(draw.randrange(1, 800)), str(draw.uniform(0, 0.5))]
    paths = os.pathsep.join(str(ROOT / path) for path in ("", "tests/shared", "tests/compiler"))
    command = [sys.executable, "-c", DRIVER, str(tmp_path), TEXT, *given]
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    assert subprocess.run(command, env=environment, timeout=300).returncode == -signal.SIGKILL
    expected, _ = numbers(tmp_path / "here", Pictures(800))
    shards, kept = numbers(tmp_path / "cache", Pictures(800))
    assert kept.recalled >= 1, "a shard was finished"
    for name, values in shards.items():
        assert values.tobytes() == expected[name].tobytes(), name


def test_workers_start_once_for_scans_and_icons(tmp_path, monkeypatch):
    started, usual = [], subprocess.Popen

    def popen(*arguments, **options):
        started.append(usual(*arguments, **options))
        return started[-1]

    monkeypatch.setattr("bbilang.runtime.workers.processes.subprocess.Popen", popen)
    data = {"photos": Pictures(20)}
    results = Pipeline(Request(Source(ICONS), network(), data=data, cache=Cache(tmp_path), workers=1)).results
    assert results.scanned == 20 and len(results.icons) == 2
    assert len(started) == 1 and started[0].poll() is not None

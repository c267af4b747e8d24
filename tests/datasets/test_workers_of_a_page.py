"""Attributions over a dataset are units of work, too: shards whose passes include backward ones."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
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
COUNT = 520  # two shards, and a third of eight
DRIVER = """
import os, signal, sys, threading
from pathlib import Path
import torch  # once for all drivers, each of which is a fork of this process
from tiny_examples import Pictures, network
from bbilang.grammar.source import Source
from bbilang.pipeline import Pipeline, Request
from bbilang.runtime.cache.disk import Cache
folder, text, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

def drive(own, dies, ends, more):
    def listen(event):
        if event.total == count and event.done >= ends:
            threading.Timer(more, os.kill, (os.getpid(), signal.SIGKILL)).start()

    data, cache = {"photos": Pictures(count, own, dies)}, Cache(own / "cache")
    Pipeline(Request(Source(text), network(), data=data, cache=cache, workers=1), listener=listen).scan()
    threading.Event().wait()

for number in range((len(sys.argv) - 4) // 3):
    dies, ends, more = sys.argv[4 + 3 * number : 7 + 3 * number]
    (own := folder / str(number)).mkdir()
    child = os.fork()
    if child == 0:
        try:
            drive(own, int(dies), int(ends), float(more))
        finally:
            os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
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


WAITING = """
dataset some = photos | sample(24)
dataset ants = photos | filter(label == "ant") | sample(60)
c = b | concept(ants, against=photos)
groups = b | factorize(kmeans, 2)
"""
WAITS = (
    'b.channel | ablate(mean, source=some) | effect(output["ant"], controls=1) | across(photos) | std(example)'
    " | present(bars)",
    'b.channel[2] | ablate(resample, source=some) | effect(output["ant"]) | across(photos) | present(histogram)',
    'b.channel | activation | top(2) | isolate(source=some) | effect(output["ant"]) | across(photos)'
    " | present(histogram)",
    'c | ablate(zero) | effect(output["ant"]) | across(photos) | present(histogram)',
    'groups | activation | top(1) | steer(2) | effect(output["ant"]) | across(photos) | present(histogram)',
    'b.channel | patch(source=0) | effect(output["ant"]) | across(photos) | mean(example) | present(bars)',
)


def test_what_the_page_finds_is_sent_to_the_workers(tmp_path):
    """Donors, means, directions, groups and chosen atoms: scans that wait for them run in workers, too."""
    picture, pictures = np.random.default_rng(7).integers(0, 256, (32, 32, 3), np.uint8), Pictures(300)
    text = WAITING + "\n".join(WAITS)

    def scans(folder, workers=None):
        request = Request(Source(text), network(), input=picture, data={"photos": pictures}, cache=Cache(folder),
                          workers=workers)  # fmt: skip
        kept = Pipeline(request).scan()
        return {(part, name): one.array(part, name) for one in kept for part in one.parts for name in one.names(part)}

    expected, shards = scans(tmp_path / "here"), scans(tmp_path / "workers", workers=2)
    assert list(shards) == list(expected) and sum(name.startswith("values") for _, name in shards) == len(WAITS)
    assert any(name.startswith("beside distances") for _, name in shards)
    for name, values in shards.items():
        assert values.tobytes() == expected[name].tobytes(), name


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX")
def test_a_worker_and_the_driver_are_killed_at_random(tmp_path):
    """The worker at some picture, if the driver lives so long, the driver some time after a shard was finished."""
    drawn = [random.Random(seed) for seed in (0, 1)]
    given = [
        str(it) for draw in drawn for it in (draw.randrange(COUNT), draw.randrange(1, COUNT), draw.uniform(0, 0.5))
    ]
    paths = os.pathsep.join(str(ROOT / path) for path in ("", "tests/shared", "tests/compiler"))
    command = [sys.executable, "-c", DRIVER, str(tmp_path), TEXT, str(COUNT), *given]
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, env=environment, timeout=300, capture_output=True, text=True)
    assert ended.stdout.split() == [str(-signal.SIGKILL)] * len(drawn), ended.stderr
    expected, _ = numbers(tmp_path / "here", Pictures(COUNT))
    for number in range(len(drawn)):
        shards, kept = numbers(tmp_path / str(number) / "cache", Pictures(COUNT))
        assert kept.recalled >= 1, "a shard was finished"
        for name, values in shards.items():
            assert values.tobytes() == expected[name].tobytes(), name
    assert list(tmp_path.glob("*/death *")), "a worker died, too"


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

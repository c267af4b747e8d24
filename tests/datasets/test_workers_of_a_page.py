"""Attributions over a dataset are units of work, too: shards whose passes include backward ones."""

import subprocess

from tiny_examples import Pictures, network

from bbilang.grammar.source import Source
from bbilang.pipeline import Pipeline, Request
from bbilang.runtime.cache.disk import Cache

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

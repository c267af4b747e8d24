"""`bbi scan`: the pass over a dataset by itself."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bbilang.cli.app import main

TEXT = """dataset photos = "photos/"
block4a.expand.channel | across(photos) | mean(example) | top(3) | present(bars)
block4a.expand.channel[7] | examples(photos, 3) | present(image)
"""


@pytest.fixture
def text(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    random = np.random.default_rng(5)
    for number in range(6):
        Image.fromarray(random.integers(0, 255, (64, 64, 3), np.uint8)).save(tmp_path / "photos" / f"{number}.png")
    path = tmp_path / "photos.bbi"
    path.write_text(TEXT)
    return path


def run(capsys, *arguments: str) -> tuple[int, str]:
    code = main(list(arguments))
    return code, "".join(capsys.readouterr())


def test_a_scan_keeps_what_the_page_needs(text, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("BBI_CACHE_DIR", str(tmp_path / "cache"))
    code, said = run(capsys, "scan", str(text))
    assert code == 0 and re.search(r"photos: 6 examples · 1 shard computed, 0 kept before", said)
    code, said = run(capsys, "scan", str(text))
    assert code == 0 and "0 shards computed, 1 kept before" in said
    code, said = run(capsys, "run", str(text), "-o", str(tmp_path / "page.html"))
    assert code == 0 and "nothing ran; reused: the scan of 6 examples" in said


@pytest.mark.slow
def test_two_processes_keep_the_same_bytes(text, capsys, monkeypatch, tmp_path):
    records = []
    for name, options in (("one", ()), ("two", ("--workers", "2"))):
        monkeypatch.setenv("BBI_CACHE_DIR", str(tmp_path / name))
        code, said = run(capsys, "scan", str(text), "-q", *options)
        assert code == 0, said
        files = (path for path in (tmp_path / name).rglob("*") if path.is_file())
        records.append({path.name: path.read_bytes() for path in files if path.stat().st_size > 10_000})
    assert records[0].keys() == records[1].keys() and records[0] == records[1]


def test_a_text_without_a_dataset(tmp_path, capsys):
    path = tmp_path / "page.bbi"
    path.write_text('input "sample:chelsea"\ninput | present(image)\n')
    code, said = run(capsys, "scan", str(path))
    assert code == 2 and "reads no dataset" in said


def test_workers_are_counted(text, capsys):
    code, said = run(capsys, "scan", str(text), "--workers", "0")
    assert code == 2 and "workers" in said

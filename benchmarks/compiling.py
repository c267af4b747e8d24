"""`bbi explain` of each gallery file: a whole process that parses, checks, optimizes and plans, without torch."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np

from benchmarks.harness import ROOT, Limit, Numbers, Row, Way

EXPLAIN = """
import sys
from bbilang.cli.app import main
sys.argv = ["bbi", "explain", sys.argv[1]]
try:
    code = main()
except SystemExit as stop:
    code = stop.code
sys.stderr.write(f"torch {int('torch' in sys.modules)} code {int(code or 0)}")
"""


def environment() -> dict[str, str]:
    """Return a user's environment, in which Python caches compiled modules; some build machines forbid it."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def process(*arguments: str) -> Callable[[], subprocess.CompletedProcess[str]]:
    """Run Python in a new process. Returns what it wrote."""
    command = [sys.executable, *arguments]
    return lambda: subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)


def row(tiny: bool = False) -> Row:
    files = sorted((ROOT / "specs").glob("*.bbi"))[: 1 if tiny else None]

    def said(done: subprocess.CompletedProcess[str]) -> Numbers:
        """Return the evidence that it succeeded: torch not imported, code 0, a plan was printed."""
        if not done.stdout.strip() or not done.stderr.endswith("torch 0 code 0"):
            raise ValueError(f"bbi explain: {done.stderr[-300:]}")
        return {"torch imported, exit code": np.zeros(2)}

    def imported(done: subprocess.CompletedProcess[str]) -> Numbers:
        return {"torch imported, exit code": np.array([0, done.returncode])}

    return Row(
        "compiling",
        "plan and compile of each gallery file, torch not imported, whole process (the slowest file)",
        (
            *(Way(f"bbilang, {f.stem}", "ours", process("-c", EXPLAIN, str(f)), said, process=True) for f in files),
            Way('python -c "import torch"', "beside", process("-c", "import torch"), imported, process=True),
        ),
        (Limit("seconds", 0.5),),
        "the plan is printed, the process ends with 0, and torch was not imported",
        0.0,
    )

"""The processor time of an icon relative to that of an earlier commit, in alternating runs of two processes.

    python -m benchmarks.against_earlier [--commit 38f761e3] [--rounds 6] [--size 96] [--layer block5c.expand]

The earlier commit's files are unpacked into a temporary folder. Each process makes the first steps of eight icons in
turn; the first 16 of an icon, in which gradients pass shut nonlinearities, cost more and are timed apart. An icon has
the steps of its own commit's default. Adds a line to benchmarks/results/against_earlier.jsonl.

The default is the commit before icons took 152 steps instead of 272.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
EARLIER = "38f761e3"
CHANNELS = (10, 32, 52, 74, 139, 143, 33, 80)
FIRST, STEPS = 16, 40  # steps in which gradients are redirected; steps of a run


def worker(size: int, layer: str) -> None:
    """Print the steps of an icon, then for each line of the input [median seconds of a first step, of a later one]."""
    import torch

    from bbilang.runtime.featvis.ascent import Ascent
    from bbilang.runtime.featvis.icon import Objective, Recipe
    from bbilang.runtime.featvis.schedule import schedule_of
    from bbilang.runtime.models.loading import load
    from bbilang.runtime.passes import Passes

    torch.set_num_threads(1)
    adapter, objectives = load("efficientnet_lite0"), [Objective(layer, channel) for channel in CHANNELS]
    print(schedule_of(Recipe(size=size)).steps, flush=True)
    with Ascent(adapter, objectives[0], Recipe(size=size, steps=STEPS), len(CHANNELS), Passes()) as ascent:

        def run() -> list[float]:
            times = [time.process_time()]
            ascent.run(objectives, lambda objective, icon: None, lambda left: times.append(time.process_time()))
            taken = [after - before for before, after in pairwise(times)]
            return [statistics.median(taken[:FIRST]), statistics.median(taken[FIRST:STEPS])]

        run()
        for _ in sys.stdin:
            print(json.dumps(run()), flush=True)


def started(folder: Path, arguments: Sequence[str]) -> subprocess.Popen[str]:
    """Start this file with the packages of a folder."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", __file__, "--worker", *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def compared(commit: str, rounds: int, size: int, layer: str) -> dict[str, Any]:
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=BytesIO(packed)) as files:
            files.extractall(folder, filter="tar")
        arguments = ["--size", str(size), "--layer", layer]
        processes = [started(Path(folder), arguments), started(ROOT, arguments)]
        try:
            steps = [int(_line(process)) for process in processes]
            runs: list[list[list[float]]] = [[], []]
            for _ in range(rounds):
                for process, taken in zip(processes, runs, strict=True):
                    assert process.stdin is not None
                    print(file=process.stdin, flush=True)
                    taken.append(json.loads(_line(process)))
        finally:
            for process in processes:
                process.kill()
                process.wait()
    icons = [
        [FIRST * first + (count - FIRST) * later for first, later in taken]
        for count, taken in zip(steps, runs, strict=True)
    ]
    ratios = [own / before for before, own in zip(*icons, strict=True)]
    later = [own[1] / before[1] for before, own in zip(*runs, strict=True)]
    quartiles = statistics.quantiles(ratios, n=4)
    return {
        "earlier": commit,
        "steps": steps,
        "step_ms": [[round(statistics.median(each) * 1000, 1) for each in zip(*taken, strict=True)] for taken in runs],
        "step_ratio": round(statistics.median(later), 3),
        "icon_ratio": round(statistics.median(ratios), 3),
        "icon_ratio_quartiles": [round(quartiles[0], 3), round(quartiles[2], 3)],
    }


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit("a process ended early")
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commit", default=EARLIER)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--layer", default="block5c.expand")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        worker(given.size, given.layer)
        return
    from benchmarks.records import append
    from benchmarks.surroundings import surroundings

    where = surroundings()
    found = compared(given.commit, given.rounds, given.size, given.layer)
    when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    record = {"benchmark": "against_earlier", "when": when, "layer": given.layer, "size": given.size, **found, **where}
    print(append("against_earlier", record))


if __name__ == "__main__":
    main()

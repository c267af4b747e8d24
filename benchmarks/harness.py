"""The same work in several ways, side by side: compared for equality first, then timed in turns.

A `Row` of the table is one piece of work. Its ways are run once each, which warms them up, and their numbers are
compared; a way that differs is not timed. Then rounds follow in which every way runs once, in an order that turns from
round to round, so that what else the machine does falls on all alike. Medians are reported, with quartiles.

Peak memory is measured apart, a new process for each way: by how much the resident set rises above what it was before
the work, after one run that warms up (Linux: the peak is reset through /proc/self/clear_refs; elsewhere the peak of the
process is all there is). For work that is a process of its own it is the peak of that process.

    python -m benchmarks.harness ROW WAY     the peak memory of one way, in bytes
"""

from __future__ import annotations

import gc
import importlib
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

ROOT = Path(__file__).parents[1]
METHODS = {  # rows of methods of attribution -> the module that they share
    **dict.fromkeys(("gradient", "integrated_gradients", "smoothgrad", "vargrad"), "methods_gradients"),
    **dict.fromkeys(("guided_backprop", "deconvnet", "grad_cam", "grad_cam_pp"), "methods_gradients"),
    **dict.fromkeys(("lrp", "excitation_backprop"), "methods_relevance"),
    **dict.fromkeys(("occlusion", "rise", "extremal_perturbation"), "methods_masks"),
}
ROWS = (
    "linear",
    "positions",
    "integrated",
    "icon_steps",
    "icon_works",
    "compiling",
    "cached",
    "mixed",
    "interventions",
    "derived",
    *METHODS,
)
ROUNDS, ROUNDS_QUICK, FEWEST = 9, 3, 3
BUDGET = 90.0  # seconds for a way that is no way of ours; after that it rests, once it ran FEWEST times

# Of the largest value. Where no unit of ReLU6 lies within rounding of 0 or 6, ways differ by 1e-6; one that does is
# open in one way and shut in the other, and has moved gradients by 0.4 %. The table tells the difference itself.
KINKS = 1e-2

Kind = Literal["ours", "minimum", "beside"]
Numbers = Mapping[str, np.ndarray]


class Missing(Exception):
    """A way that cannot be had here, with the reason."""


@dataclass(frozen=True)
class Way:
    """One way to do the work. ``work`` is what is timed; ``numbers`` makes of its result what is compared.

    ``share``: the part of the work that is done, where all of it would take minutes; times are divided by it. Then
    ``whole`` does all of it, for comparing. ``process``: the work is a process of its own.
    """

    name: str
    kind: Kind
    work: Callable[[], Any]
    numbers: Callable[[Any], Numbers]
    share: float = 1.0
    process: bool = False
    whole: Callable[[], Any] | None = None

    def compared(self) -> Numbers:
        return self.numbers((self.whole or self.work)())


@dataclass(frozen=True)
class Limit:
    """What must be reached. ``times``: ours takes at most so many times as long as ``against``; ``faster``: ``against``
    takes at least so many times as long as ours; ``seconds``: ours takes at most so long."""

    how: Literal["times", "faster", "seconds"]
    value: float
    against: str = ""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    ``compared``: in words, what is compared. ``tolerance``: of the largest value of the array, 0 for equality.
    ``expected``: way -> how many times as long as ours the issue expected it to take.
    """

    name: str
    title: str
    ways: tuple[Way, ...]
    limits: tuple[Limit, ...]
    compared: str
    tolerance: float
    missing: Mapping[str, str] = field(default_factory=dict)
    expected: Mapping[str, float] = field(default_factory=dict)
    differ: Callable[[Numbers, Numbers], float] | None = None  # of ours and another; by default `errors`
    rounds: int = ROUNDS  # at most
    notes: Callable[[], Mapping[str, str]] = dict  # asked after the ways ran: what else there is to say

    @property
    def ours(self) -> Way:
        return next(way for way in self.ways if way.kind == "ours")

    def difference(self, ours: Numbers, other: Numbers) -> float:
        return (self.differ or errors)(ours, other)


def row_named(name: str, tiny: bool = False) -> Row:
    """Return the row of ``benchmarks/<name>.py``; ``tiny`` for the same work on a small scale."""
    if name in METHODS:
        row = getattr(importlib.import_module(f"benchmarks.{METHODS[name]}"), name)(tiny)
        assert isinstance(row, Row)
        return row
    return importlib.import_module(f"benchmarks.{name}").row(tiny)


def errors(reference: Numbers, other: Numbers) -> float:
    """Return the largest difference, relative to the largest value of the array that it is in. A way may compute some
    of the arrays only."""
    if not other or set(other) - set(reference):
        raise ValueError(f"nothing to compare: {sorted(other)} with {sorted(reference)}")
    worst = 0.0
    for name, have in other.items():
        want = reference[name]
        if want.shape != have.shape:
            raise ValueError(f"{name}: {have.shape} instead of {want.shape}")
        if want.dtype.kind in "OU":
            worst = max(worst, float(not np.array_equal(want, have)))
        else:
            worst = max(worst, float(np.abs(want - have).max() / max(np.abs(want).max(), 1e-30)))
    return worst


def compare(row: Row) -> dict[str, float]:
    """Run every way once. Returns way -> its error against ours."""
    expected = row.ours.compared()
    return {way.name: row.difference(expected, way.compared()) for way in row.ways if way is not row.ours}


@dataclass(frozen=True)
class Timing:
    wall: tuple[float, ...]
    cpu: tuple[float, ...]

    def to_json(self, share: float) -> dict[str, Any]:
        low, middle, high = _quartiles(self.wall)
        return {
            "wall_s": round(middle / share, 5),
            "quartiles_s": [round(low / share, 5), round(high / share, 5)],
            "cpu_s": round(statistics.median(self.cpu) / share, 5),
            "runs": len(self.wall),
            "share": share,
        }


def _quartiles(values: tuple[float, ...]) -> tuple[float, float, float]:
    low, high = np.percentile(values, (25, 75)).tolist()
    return low, statistics.median(values), high


def alternate(ways: tuple[Way, ...], rounds: int, tell: Callable[[str], None]) -> dict[str, Timing]:
    """Time every way once per round, in rotating order."""
    wall: dict[str, list[float]] = {way.name: [] for way in ways}
    cpu: dict[str, list[float]] = {way.name: [] for way in ways}
    for number in range(rounds):
        turn = number % len(ways)
        for way in (*ways[turn:], *ways[:turn]):
            if way.kind == "beside" and sum(wall[way.name]) > BUDGET and len(wall[way.name]) >= FEWEST:
                continue
            gc.collect()
            began, worked = time.perf_counter(), processor_time()
            way.work()
            wall[way.name].append(time.perf_counter() - began)
            cpu[way.name].append(processor_time() - worked)
        tell(f"round {number + 1} of {rounds}")
    return {name: Timing(tuple(wall[name]), tuple(cpu[name])) for name in wall}


def processor_time() -> float:
    """Return the processor seconds of all threads of this process, and of processes that it started."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def peak_memory(row: str, way: str, tiny: bool = False) -> int | None:
    """Return the peak of bytes above the start, measured in a new process; None if that process failed."""
    command = [sys.executable, "-m", "benchmarks.harness", row, way, *(["tiny"] if tiny else [])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 and done.stdout.strip() else None


def _peak_here(way: Way) -> int | None:
    scale = 1 if sys.platform == "darwin" else 1024
    if way.process:
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # of what prepared the work
        way.work()
        most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        return most * scale if most > before else None
    way.work()
    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        before = _status("VmRSS")
    except OSError:
        way.work()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
    way.work()
    return max(_status("VmHWM") - before, 0)


def _status(key: str) -> int:
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(f"{key}:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    chosen = row_named(sys.argv[1], tiny="tiny" in sys.argv[3:])
    print(json.dumps(_peak_here(next(way for way in chosen.ways if way.name == sys.argv[2]))))

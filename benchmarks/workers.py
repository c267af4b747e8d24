"""A scan by two processes and by two workers of a Ray cluster on this machine, beside one by a single process.

The pictures and layers of `benchmarks.scanning`, two shards, cold caches. Both kinds of workers give the same numbers
to the bit; one process, which has more threads, may round otherwise. Each way runs in a process of its own, which has
loaded the network before the clock starts. Measured are wall seconds, and processor seconds of the driver, of the
workers and of Ray's own processes: on a busy machine only those can be compared. The bar is that Ray takes at most 5 %
+ 4 s longer than two local processes.

    python -m benchmarks.workers [ROUNDS]
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from statistics import median
from typing import Any

import numpy as np
import psutil

from benchmarks.harness import ROOT
from benchmarks.records import append
from benchmarks.scanning import PICTURES, Layers
from benchmarks.surroundings import load as load_average
from benchmarks.surroundings import surroundings

WAYS = ("this process", "2 processes", "Ray, 2 workers")
COUNT, EVERY = 512, 0.2  # pictures; seconds between two looks at the processes


def layers() -> Layers:
    """Make the work, in a worker."""
    from bbilang.runtime.models.loading import load

    return Layers(load("efficientnet_lite0"))


class Tree(threading.Thread):
    """Adds up the processor seconds of the processes that this one starts, by what they are."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seconds: dict[int, tuple[str, float]] = {}
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(EVERY):
            for process in psutil.Process().children(recursive=True):
                try:
                    words, times = " ".join(process.cmdline()), process.cpu_times()
                except psutil.Error:
                    continue
                if words:  # else it has ended
                    of_worker = "ray::TaskRunner" in words or "bbilang.runtime.workers.worker" in words
                    kind = "workers" if of_worker else "Ray's own"
                    self.seconds[process.pid] = kind, times.user + times.system

    def sums(self) -> dict[str, float]:
        sums = {kind: 0.0 for kind, _ in self.seconds.values()}
        for kind, seconds in self.seconds.values():
            sums[kind] += seconds
        return {kind: round(sums[kind], 1) for kind in sorted(sums)}


def one_way(name: str) -> dict[str, Any]:
    """Scan in one way, in this process, which is that of nothing else."""
    from bbilang.runtime import heap
    from bbilang.runtime.cache.disk import Cache
    from bbilang.runtime.data.dataset import open_dataset
    from bbilang.runtime.passes import module_unchanged
    from bbilang.runtime.scan.scan import scan
    from bbilang.runtime.workers.cluster import Cluster
    from bbilang.runtime.workers.processes import Processes
    from benchmarks.workers import layers as recipe  # by a name that workers know, too

    heap.own_process()
    heap.keep_freed_blocks()  # as the command does
    pool = {WAYS[0]: None, WAYS[1]: Processes(2), WAYS[2]: Cluster("local", 2)}[name]
    dataset = open_dataset(str(PICTURES)).subset(np.arange(COUNT))
    work = layers()
    scan(dataset.subset(np.arange(32)), work, None)  # warms up
    tree = Tree()
    tree.start()
    with tempfile.TemporaryDirectory() as folder, module_unchanged():  # as in a run
        began, worked = time.perf_counter(), time.process_time()
        scanned = scan(dataset, work, Cache(folder), pool=pool, recipe=recipe)
        wall, driver = time.perf_counter() - began, time.process_time() - worked
        whole = hashlib.sha256()
        for layer in scanned.parts:
            whole.update(scanned.array(layer, "norm").tobytes())
    tree.ended.set()
    tree.join()
    processor = {"driver": round(driver, 1), **tree.sums()}
    return {"wall": round(wall, 1), "processor": processor, "sum": whole.hexdigest()}


def main(rounds: int) -> dict[str, Any]:
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in WAYS}
    record, loads = surroundings(), []
    for turn in range(rounds):
        for name in WAYS[:: -1 if turn % 2 else 1]:
            command = [sys.executable, "-W", "ignore", "-m", "benchmarks.workers", name]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            runs[name].append(json.loads(done.stdout.splitlines()[-1]))
            loads.append(load_average())
    sums = {name: {run.pop("sum") for run in own} for name, own in runs.items()}
    walls = {name: median(run["wall"] for run in own) for name, own in runs.items()}
    totals = {name: round(median(sum(run["processor"].values()) for run in own), 1) for name, own in runs.items()}
    return {
        **record, "load_after": load_average(), "loads": loads, "pictures": COUNT, "rounds": rounds, "runs": runs,
        "wall seconds, median": walls, "processor seconds, median": totals,
        "equal to the bit": len(set().union(*sums.values())) == 1,
        "workers' equal to the bit": len(sums[WAYS[1]] | sums[WAYS[2]]) == 1,
        "bar: Ray's wall seconds at most": round(1.05 * walls[WAYS[1]] + 4, 1),
    }  # fmt: skip


if __name__ == "__main__":
    said = sys.argv[1] if len(sys.argv) > 1 else "3"
    if said in WAYS:
        print(json.dumps(one_way(said)))
    else:
        measured = main(int(said))
        append("workers", measured)
        print(json.dumps(measured, indent=1))

"""A scan by two processes, and by two workers of a Ray cluster on this machine, beside one by this process.

The pictures and layers of `benchmarks.scanning`, two shards, cold caches; all give the same numbers to the bit. The bar
is that Ray takes at most 5 % + 4 s longer than this process, whose threads use both cores.

    python -m benchmarks.workers
"""

from __future__ import annotations

import json
import tempfile
import time
from typing import Any

import numpy as np

from benchmarks.scanning import PICTURES, Layers
from benchmarks.surroundings import load as load_average


def layers() -> Layers:
    """Make the work, in a worker."""
    from bbilang.runtime.models.loading import load

    return Layers(load("efficientnet_lite0"))


def main() -> dict[str, Any]:
    from bbilang.runtime.cache.disk import Cache
    from bbilang.runtime.data.dataset import open_dataset
    from bbilang.runtime.scan.scan import scan
    from bbilang.runtime.workers.cluster import Cluster
    from bbilang.runtime.workers.processes import Processes
    from benchmarks.workers import layers as recipe  # by a name that workers know, too

    dataset = open_dataset(str(PICTURES)).subset(np.arange(512))
    work = layers()
    scan(dataset.subset(np.arange(32)), work, None)  # warms up
    seconds, sums, loads = {}, [], []
    for name, pool in {
        "this process": None,
        "2 processes": Processes(2),
        "Ray, 2 workers": Cluster("local", 2),
    }.items():
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            scanned = scan(dataset, work, Cache(folder), pool=pool, recipe=recipe)
            seconds[name] = round(time.perf_counter() - began, 1)
            loads.append(load_average())
            sums.append([scanned.array(layer, "norm").tobytes() for layer in scanned.parts])
    return {"pictures": 512, "seconds": seconds, "equal to the bit": sums.count(sums[0]) == 3, "load": loads}


if __name__ == "__main__":
    print(json.dumps(main(), indent=1))

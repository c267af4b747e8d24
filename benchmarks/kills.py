"""Kill a scan, or icons of workers, with SIGKILL at random points, run it again, and compare everything to the bit.

Each point begins with an empty cache: a process scans the pictures, is killed somewhere between its first batch and its
last, and a second one goes on from what is there. A process of its own forks them all, so that torch is imported once.

"icons": five batches of icons by one worker, which is killed at a random step, every other time with its driver. Where
the driver lives, it starts another worker and ends well; else it runs again.

    python -m benchmarks.kills [POINTS [SEED [icons]]]
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from benchmarks.records import append
from benchmarks.surroundings import surroundings

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "shared"))  # the pictures and the network of the tests
FULL = 50  # points of a run that is kept
PICTURES, BATCHES = 1100, 69  # 5 shards; batches of 16


def digest(scanned: Any) -> str:
    whole = hashlib.sha256()
    for part in scanned.parts:
        for name in scanned.names(part):
            whole.update(scanned.array(part, name).tobytes())
    return whole.hexdigest()


def of_scans(points: int, seed: int) -> dict[str, Any]:
    import torch
    from tiny_scan import Pictures, TwoLayers

    from bbilang.runtime.cache.disk import Cache
    from bbilang.runtime.scan.scan import scan

    torch.set_num_threads(1)  # a fork has no other threads
    draw = random.Random(seed)
    left, equal = [], 0
    with tempfile.TemporaryDirectory() as folder:
        pictures = Pictures(PICTURES)
        expected = digest(scan(pictures, TwoLayers(), Cache(Path(folder) / "whole"), batch=16))
        for point in range(points):
            cache = Path(folder) / f"cache{point}"
            _killed(pictures, cache, draw.randrange(1, BATCHES), draw.uniform(0, 0.003))
            again = scan(pictures, TwoLayers(), Cache(cache), batch=16)
            left.append(again.recalled)
            equal += digest(again) == expected
    return {"points": points, "equal": equal, "shards left by a killed scan": sorted(left)}


def _killed(pictures: Any, cache: Path, batches: int, more: float) -> None:
    """Scan in a fork, which is killed so many batches and seconds after its start."""
    from tiny_scan import TwoLayers

    from bbilang.runtime.cache.disk import Cache
    from bbilang.runtime.scan.scan import scan

    def listen(event: Any) -> None:
        if event.done >= batches * 16:
            threading.Timer(more, os.kill, (os.getpid(), signal.SIGKILL)).start()

    child = os.fork()
    if child == 0:
        try:
            scan(pictures, TwoLayers(), Cache(cache), batch=16, listener=listen)
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def of_icons(points: int, seed: int) -> dict[str, Any]:
    import torch
    from tiny_icons import RECIPE, Network, channels, same

    from bbilang.runtime.cache.disk import Cache
    from bbilang.runtime.featvis.engine import visualize
    from bbilang.runtime.featvis.remote import IconWorkers
    from bbilang.runtime.passes import Passes
    from bbilang.runtime.workers.processes import Processes

    torch.set_num_threads(1)
    draw, left, equal, drivers = random.Random(seed), [], 0, 0
    expected = visualize(Network()(), channels(), RECIPE)
    count = Passes()
    visualize(Network()(), channels(), RECIPE, counter=count)
    with tempfile.TemporaryDirectory() as folder:
        for point in range(points):
            own = Path(folder) / str(point)
            own.mkdir()
            network = Network(own, (draw.randrange(1, count.backwards),), driver=point % 2 == 1)
            workers = IconWorkers(Processes(1, 1), network)
            child = os.fork()
            if child == 0:
                try:
                    visualize(Network()(), channels(), RECIPE, Cache(own / "cache"), workers=workers)
                finally:
                    os._exit(0)
            drivers += os.WIFSIGNALED(os.waitpid(child, 0)[1])
            counter = Passes()
            again = visualize(Network()(), channels(), RECIPE, Cache(own / "cache"), counter=counter)
            left.append(counter.cached_icons)
            equal += same(again, expected) and len(list(own.glob("death *"))) == 1
    return {"points": points, "equal": equal, "drivers killed": drivers, "icons left, of 20": sorted(left)}


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:3]]
    which = of_icons if sys.argv[3:] == ["icons"] else of_scans
    points, seed = numbers + [FULL, 0][len(numbers) :]
    record = {**surroundings(), "work": which.__name__, "seed": seed, **which(points, seed)}
    if points >= FULL:
        append("kills", record)
    print(json.dumps(record))

"""A scan beside the fastest bare loop that reads, decodes and runs the network over the same pictures.

Six layers of EfficientNet-Lite0 over the pictures of ../shared/data/imagenet-sample. The bare loop decodes ahead in as
many threads, and keeps nothing. Its batch size is that of 8, 16, 32 and 64 which takes least processor time on the
first 64 pictures. Then rounds follow in which both run once, in turns. The bar is 1.15.

    python -m benchmarks.scanning [PICTURES] [ROUNDS]
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np

from benchmarks.harness import ROOT, processor_time
from benchmarks.records import append
from benchmarks.surroundings import load as load_average
from benchmarks.surroundings import surroundings

PICTURES = ROOT.parent / "shared" / "data" / "imagenet-sample"
LAYERS = ("block1a", "block2b", "block3b", "block4c", "block5c.expand", "head")
SIZES = (8, 16, 32, 64)
BAR = 1.15


class Layers:
    """The summaries of some layers, as the work of a scan."""

    def __init__(self, adapter: Any):
        self.adapter, self.network = adapter, adapter.fingerprint
        self.parts = {layer: f"{adapter.fingerprint} {layer}" for layer in LAYERS}

    def prepare(self, picture: Any) -> np.ndarray:
        return np.ascontiguousarray(self.adapter.preprocess.display(picture).transpose(2, 0, 1))

    def batch(self, images: Any, wanted: Collection[str]) -> Mapping[str, Mapping[str, np.ndarray]]:
        import torch

        from bbilang.runtime.passes.forward import forward
        from bbilang.runtime.scan.summary import summary

        captured = forward(self.adapter, images.to(torch.float32) / 255, list(wanted), want_output=False)
        return {layer: summary(captured[layer]) for layer in wanted}


def bare(adapter: Any, dataset: Any, prepare: Callable[[Any], np.ndarray], size: int) -> int:
    """Decode ahead and run the network; return the number of pictures."""
    import torch

    from bbilang.runtime.scan.reading import threads

    done, numbers = 0, iter(range(len(dataset)))
    with ThreadPoolExecutor(threads()) as pool, torch.inference_mode():
        waiting = deque(pool.submit(lambda n: prepare(dataset.picture(n)), n) for n in islice(numbers, 2 * size))
        while waiting:
            images = []
            while waiting and len(images) < size:
                images.append(waiting.popleft().result())
                waiting.extend(pool.submit(lambda n: prepare(dataset.picture(n)), n) for n in islice(numbers, 1))
            adapter.module(adapter.normalize(torch.from_numpy(np.stack(images)).to(torch.float32) / 255))
            done += len(images)
    return done


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    began, worked = time.perf_counter(), processor_time()
    work()
    return time.perf_counter() - began, processor_time() - worked


def main(pictures: int, rounds: int) -> dict[str, Any]:
    from bbilang.runtime.data.dataset import open_dataset
    from bbilang.runtime.models.loading import load
    from bbilang.runtime.scan.scan import scan

    adapter = load("efficientnet_lite0")
    work = Layers(adapter)
    whole = open_dataset(str(PICTURES))
    dataset, few = whole.subset(np.arange(min(pictures, len(whole)))), whole.subset(np.arange(64))
    bare(adapter, few.subset(np.arange(16)), work.prepare, 8)
    trials = {size: timed(lambda size=size: bare(adapter, few, work.prepare, size))[1] for size in SIZES}
    fastest = min(trials, key=lambda size: trials[size])
    ours, theirs, scanned = [], [], None
    before = surroundings()
    for turn in range(rounds):
        for which in (0, 1) if turn % 2 else (1, 0):
            if which:
                theirs.append(timed(lambda: bare(adapter, dataset, work.prepare, fastest)))
            else:
                made: list[Any] = []
                ours.append(timed(lambda made=made: made.append(scan(dataset, work, None))))
                scanned = made[0]
    ratios = [[mine[kind] / bare_one[kind] for mine, bare_one in zip(ours, theirs, strict=True)] for kind in (0, 1)]
    return {
        **before,
        "load_after": load_average(),
        "pictures": len(dataset),
        "layers": LAYERS,
        "batch": {"scan": scanned.batch, "bare loop": fastest},
        "bytes an example": scanned.bytes // len(dataset),
        "bare loop, processor seconds of 64 pictures by batch size": {k: round(v, 2) for k, v in trials.items()},
        "scan, (wall, processor) seconds": [[round(one, 2) for one in pair] for pair in ours],
        "bare loop, (wall, processor) seconds": [[round(one, 2) for one in pair] for pair in theirs],
        "ratio of processor time": round(statistics.median(ratios[1]), 3),
        "ratio of wall time": round(statistics.median(ratios[0]), 3),
        "bar": BAR,
    }


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    record = main(*(numbers + [800, 5][len(numbers) :]))
    append("scan", record)
    print(json.dumps(record, indent=1))

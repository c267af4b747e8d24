"""A scan beside the fastest bare loop that reads, decodes and runs the network over the same pictures.

Six layers of EfficientNet-Lite0 over the pictures of ../shared/data/imagenet-sample; beyond their 800, over random
crops of them, 8/7 as large as the network's input, each a JPEG of its own. The bare loop decodes ahead in as many
threads, and keeps nothing; it opens files by Pillow alone, without the hashes and fingerprints that a dataset takes.
Its batches are of 8, 16, 32 or 64 pictures, as they come or with the channels last, as the scan's are: whatever takes
least processor time on the first 64 pictures. Each way is a
process of its own, as the command is, so that the peak of its memory is known. They take turns, a piece of four shards
at a time: the scan of a piece recalls those before it, so that the last is the scan of the whole. Bars: 1.15, and
300 MB. SIDE is that of the network's input, 224 px unless given. After so many MINUTES no piece is begun.
"histograms": the scan also counts the values over positions of all channels of the six layers, for `distribution` and
`dissect`; the bar is 1.3 then.

    python -m benchmarks.scanning [PICTURES [SIDE [MINUTES]]] [histograms]
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import ROOT, processor_time
from benchmarks.records import append
from benchmarks.surroundings import load as load_average
from benchmarks.surroundings import surroundings

PICTURES = ROOT.parent / "shared" / "data" / "imagenet-sample"
LAYERS = ("block1a", "block2b", "block3b", "block4c", "block5c.expand", "head")
SIZES = (8, 16, 32, 64)
PIECE = 4 * 256
BAR, HISTOGRAM_BAR, MEMORY_BAR = 1.15, 1.3, 300  # times the processor time of the bare loop, and MB above it
HISTOGRAMS = "histograms"
COUNTS = " counts"  # of a layer's values, as a part


class Layers:
    """The summaries of some layers, as the work of a scan; with ``histograms`` those, too."""

    def __init__(self, adapter: Any, histograms: bool = False):
        self.adapter, self.network = adapter, adapter.fingerprint
        names = (*LAYERS, *(layer + COUNTS for layer in LAYERS if histograms))
        self.parts = {name: f"{adapter.fingerprint} {name}" for name in names}

    def prepare(self, picture: Any) -> np.ndarray:
        return np.ascontiguousarray(self.adapter.preprocess.display(picture).transpose(2, 0, 1))

    def batch(
        self, images: Any, wanted: Collection[str], numbers: Sequence[int] = ()
    ) -> Mapping[str, Mapping[str, np.ndarray]]:
        import torch

        from bbilang.runtime.passes import Passes, with_channels_last
        from bbilang.runtime.passes.forward import forward
        from bbilang.runtime.passes.module.in_place import gates_in_place
        from bbilang.runtime.scan.histogram import histogram
        from bbilang.runtime.scan.summary import summary

        layers = list(dict.fromkeys(name.removesuffix(COUNTS) for name in wanted))
        pixels = with_channels_last(self.adapter, images.to(torch.float32) / 255, Passes())
        with gates_in_place(self.adapter.module):
            captured = forward(self.adapter, pixels, layers, want_output=False)
        return {
            name: (histogram if name.endswith(COUNTS) else summary)(captured[name.removesuffix(COUNTS)])
            for name in wanted
        }


def bare(adapter: Any, files: Sequence[str], prepare: Callable[[Any], np.ndarray], size: int, last: bool) -> int:
    """Decode files ahead and run the network, with the channels ``last`` in memory; return the number of pictures."""
    import torch
    from PIL import Image

    from bbilang.runtime.scan.reading import threads

    def ready(file: str) -> np.ndarray:
        with Image.open(file) as picture:
            return prepare(picture)

    done, left = 0, iter(files)
    with ThreadPoolExecutor(threads()) as pool, torch.inference_mode():
        waiting = deque(pool.submit(ready, file) for file in islice(left, 2 * size))
        while waiting:
            images = []
            while waiting and len(images) < size:
                images.append(waiting.popleft().result())
                waiting.extend(pool.submit(ready, file) for file in islice(left, 1))
            pixels = adapter.normalize(torch.from_numpy(np.stack(images)).to(torch.float32) / 255)
            adapter.module(pixels.contiguous(memory_format=torch.channels_last) if last else pixels)
            done += len(images)
    return done


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    began, worked = time.perf_counter(), processor_time()
    work()
    return time.perf_counter() - began, processor_time() - worked


def crops(folder: Path, count: int, size: int) -> str:
    """Write so many files of random crops, and return the folder."""
    from PIL import Image

    files, draw = sorted(PICTURES.rglob("*.jp*g")), np.random.default_rng(0)
    for number in range(count):
        picture = Image.open(files[number % len(files)]).convert("RGB")
        side = int(min(picture.size) * draw.uniform(0.5, 1))
        x, y = (int(draw.integers(0, length - side + 1)) for length in picture.size)
        picture.resize((size, size), Image.Resampling.BILINEAR, (x, y, x + side, y + side)).save(
            folder / f"{number:05}.jpg", quality=90
        )
    return str(folder)


def files_of(path: str) -> list[str]:
    from bbilang.runtime.data.dataset import open_dataset

    return [f"{path}/{name}" for name in open_dataset(path).files]


def trial(path: str, side: int) -> dict[str, float]:
    """Return the processor seconds of the bare loop over the first 64 pictures, by the size of its batches and whether
    the channels are last: "16 0"."""
    work, few = layers(side), files_of(path)[:64]
    bare(work.adapter, few[:16], work.prepare, 8, False)
    ways = [(size, last) for size in SIZES for last in (0, 1)]
    return {f"{size} {last}": min(_of_trial(work, few, size, last) for _ in range(2)) for size, last in ways}


def _of_trial(work: Layers, few: Sequence[str], size: int, last: int) -> float:
    return round(timed(lambda: bare(work.adapter, few, work.prepare, size, bool(last)))[1], 2)


def way(name: str, path: str, cache: str, batch: int, last: int, side: int) -> None:
    """Answer each line "START STOP" on standard input with what those pictures took, as JSON."""
    from bbilang.runtime import heap
    from bbilang.runtime.cache.disk import Cache
    from bbilang.runtime.data.dataset import open_dataset
    from bbilang.runtime.passes import module_unchanged
    from bbilang.runtime.scan.scan import NO_LIMIT, scan

    heap.own_process()
    heap.keep_freed_blocks()  # as the command does
    if name == "trial":
        print(json.dumps(trial(path, side)))
        return
    work, dataset, files, made = layers(side, name == HISTOGRAMS), open_dataset(path), files_of(path), []

    def run(start: int, stop: int) -> None:
        if name != "bare loop":
            made.append(scan(dataset.subset(np.arange(stop)), work, Cache(cache, NO_LIMIT)))
        else:
            bare(work.adapter, files[start:stop], work.prepare, batch, bool(last))

    bare(work.adapter, files[:16], work.prepare, 8, True)  # warms up
    for line in sys.stdin:
        start, stop = map(int, line.split())
        with module_unchanged():  # as in a run
            seconds = timed(lambda: run(start, stop))  # noqa: B023
        told = {"seconds": [round(one, 2) for one in seconds], "batch": made[-1].batch if made else batch}
        if made:
            told |= {"bytes an example": made[-1].bytes // stop, "shards recalled": made[-1].recalled}
        print(json.dumps(told | {"peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}), flush=True)


def layers(side: int, histograms: bool = False) -> Layers:
    from bbilang.runtime.models.loading import load

    return Layers(load("efficientnet_lite0").with_preprocess(size=side * 8 // 7, crop=(side, side)), histograms)


def started(side: int, name: str, path: str, cache: str = "", batch: str = "0 0") -> subprocess.Popen[str]:
    words = [name, path, cache, *batch.split(), str(side)]
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.scanning", *words]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


class Way:
    """One way, in its process."""

    def __init__(self, process: subprocess.Popen[str]):
        self.process = process
        self.pieces: list[list[float]] = []
        self.told: dict[str, Any] = {}

    def piece(self, start: int, stop: int) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        print(start, stop, file=self.process.stdin, flush=True)
        self.told = json.loads(self.process.stdout.readline())
        self.pieces.append(self.told.pop("seconds"))
        print(start, stop, self.pieces[-1], self.told, load_average(), file=sys.stderr, flush=True)

    def end(self) -> None:
        self.process.communicate()


def main(pictures: int, side: int = 224, minutes: int = 600, scan: str = "scan") -> dict[str, Any]:
    before, loads, began = surroundings(), [], time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "crops").mkdir()
        path = str(PICTURES) if pictures <= 800 else crops(Path(folder) / "crops", pictures, side * 8 // 7)
        trials = json.loads(started(side, "trial", path).communicate()[0])
        fastest = min(trials, key=lambda way: trials[way])
        ours = Way(started(side, scan, path, folder + "/cache"))
        theirs = Way(started(side, "bare loop", path, batch=fastest))
        for turn, start in enumerate(range(0, pictures, PIECE)):
            if time.monotonic() - began > 60 * minutes:
                pictures = start
                break
            for one in (ours, theirs) if turn % 2 else (theirs, ours):
                one.piece(start, min(start + PIECE, pictures))
            loads.append(load_average())
        ours.end()
        theirs.end()
    ratios = [[a[kind] / b[kind] for a, b in zip(ours.pieces, theirs.pieces, strict=True)] for kind in (0, 1)]
    return {
        **before,
        "loads": loads,
        "load_after": load_average(),
        "pictures": pictures,
        "bare loop, processor seconds of 64 pictures by batch size, and whether channels are last": trials,
        "pixels of the network's input": side,
        "layers": LAYERS,
        "scan": ours.told,
        "bare loop": theirs.told,
        "scan, (wall, processor) seconds of pieces": ours.pieces,
        "bare loop, (wall, processor) seconds of pieces": theirs.pieces,
        "ratio of processor time": round(sum(p for _, p in ours.pieces) / sum(p for _, p in theirs.pieces), 3),
        "ratio of wall time": round(sum(w for w, _ in ours.pieces) / sum(w for w, _ in theirs.pieces), 3),
        "median ratio of pieces, (wall, processor)": [round(statistics.median(own), 3) for own in ratios],
        "MB above the bare loop": ours.told["peak MB"] - theirs.told["peak MB"],
        "with histograms": scan == HISTOGRAMS,
        "bars": [HISTOGRAM_BAR if scan == HISTOGRAMS else BAR, MEMORY_BAR],
    }


if __name__ == "__main__":
    if len(sys.argv) == 7:
        way(*sys.argv[1:4], *map(int, sys.argv[4:]))
    else:
        words = [word for word in sys.argv[1:] if word != HISTOGRAMS]
        numbers = [int(word) for word in words] or [800]
        record = main(*numbers, **{"scan": HISTOGRAMS} if len(words) < len(sys.argv) - 1 else {})
        append("scan", record)
        print(json.dumps(record, indent=1))

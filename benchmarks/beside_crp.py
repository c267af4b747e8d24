"""Top pictures of every channel of six layers, by a scan and by zennit-crp's FeatureVisualization, side by side.

Both find the 9 pictures of ../shared/data/imagenet-sample with the largest activation and the largest gradient of a
class score, for each channel: what zennit-crp always computes together (ActMax and RelMax, here without a composite,
which is its fastest way). The scan keeps more: minimum, mean, norm and fraction above zero. Then the activations alone,
which zennit-crp does not offer. The same network, pictures, decoding and threads, in turns in one process; zennit-crp
takes the batch size that is fastest for it. Also: how many of the top 9 by activation are the same pictures.

    .venv-bench/bin/python -m benchmarks.beside_crp [PICTURES [ROUNDS]]
"""

from __future__ import annotations

import contextlib
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

from benchmarks.harness import processor_time
from benchmarks.peers import define_missing_operators
from benchmarks.records import append
from benchmarks.scanning import LAYERS, PICTURES
from benchmarks.surroundings import load as load_average
from benchmarks.surroundings import surroundings

TOP, BAR = 9, 3
SIZES = (8, 16, 32)
BOTH, ACTIVATIONS = ("activation", "attribute(output, method=gradient)"), ("activation",)


class Pictures:
    """What zennit-crp reads: (tensor, class), the class that the network predicts."""

    def __init__(self, dataset: Any, adapter: Any, predicted: np.ndarray):
        self.dataset, self.adapter, self.predicted = dataset, adapter, predicted

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, number: int) -> tuple[Any, int]:
        import torch

        shown = self.adapter.preprocess.display(self.dataset.picture(int(number)))
        levels = torch.from_numpy(np.ascontiguousarray(shown.transpose(2, 0, 1)))
        return self.adapter.normalize(levels[None].to(torch.float32) / 255)[0], int(self.predicted[number])


def scanned(adapter: Any, dataset: Any, contents: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Return the top pictures of each channel (rank, channel), by layer and content."""
    from bbilang.grammar.source import Source
    from bbilang.pipeline import Pipeline, Request
    from bbilang.runtime.cache.disk import Cache

    lines = [f"{layer}.channel | {content} | examples(photos, {TOP}) | present(image, facet=channel)"
             for content in contents for layer in LAYERS]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        request = Request(Source("\n".join(lines)), "efficientnet_lite0", data={"photos": dataset}, cache=Cache(folder))
        pipeline = Pipeline(request, loaded=adapter)
        (kept,) = pipeline.scan()
        nodes = [node for scan in pipeline.plan.program.scans for node in scan.summaries]
        tops = {}
        for node, part in zip(nodes, [part for part in kept.parts if part.startswith("summary")], strict=True):
            values = kept.array(part, "max")
            tops[f"{node.type.layers[0]} {node.type.content}"] = np.argsort(-values, 0, kind="stable")[:TOP]
        return tops


def by_crp(network: Any, paths: dict[str, str], pictures: Pictures, count: int, batch: int) -> dict[str, np.ndarray]:
    from crp.attribution import CondAttribution
    from crp.concepts import ChannelConcept
    from crp.visualization import FeatureVisualization

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()), _no_bar():
        layers = {path: ChannelConcept() for path in paths.values()}
        tool = FeatureVisualization(
            CondAttribution(network), pictures, layers, max_target="max", abs_norm=False, path=folder
        )
        for part in (tool.RelMax, tool.ActMax, tool.RelStats, tool.ActStats):
            part.SAMPLE_SIZE = TOP
        tool.run(None, 0, count, batch_size=batch)
        return {
            layer: np.load(f"{folder}/ActMax_max_unnormed/{path}_data.npy") for layer, path in paths.items()
        }  # fmt: skip


@contextlib.contextmanager
def _no_bar() -> Any:
    with contextlib.redirect_stderr(io.StringIO()):
        yield


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    began, worked = time.perf_counter(), processor_time()
    made = work()
    return time.perf_counter() - began, processor_time() - worked, made


def main(count: int = 128, rounds: int = 3) -> dict[str, Any]:
    define_missing_operators()
    import torch

    from bbilang.runtime import heap
    from bbilang.runtime.data.dataset import open_dataset
    from bbilang.runtime.models.loading import load
    from benchmarks.work import theirs

    heap.own_process()
    heap.keep_freed_blocks()  # for both
    adapter, network = load("efficientnet_lite0"), theirs()
    names = {id(module): path for path, module in network.named_modules()}
    paths = {layer: _path(adapter, layer) for layer in LAYERS}
    assert set(paths.values()) <= set(names.values())
    dataset = open_dataset(str(PICTURES)).subset(np.arange(count))
    with torch.inference_mode():
        images = Pictures(dataset, adapter, np.zeros(count, int))
        predicted = np.array([int(network(images[n][0][None]).argmax()) for n in range(count)])
    pictures = Pictures(dataset, adapter, predicted)
    few = min(count, 32)
    trials = {size: timed(lambda size=size: by_crp(network, paths, pictures, few, size))[1] for size in SIZES}
    fastest = min(trials, key=lambda size: trials[size])
    ways: dict[str, Callable[[], Any]] = {
        "scan": lambda: scanned(adapter, dataset, BOTH),
        "scan, activations alone": lambda: scanned(adapter, dataset, ACTIVATIONS),
        "zennit-crp": lambda: by_crp(network, paths, pictures, count, fastest),
    }
    before, runs, tops, loads = surroundings(), {name: [] for name in ways}, {}, []
    for turn in range(rounds):
        for name in list(ways)[:: -1 if turn % 2 else 1]:
            wall, processor, tops[name] = timed(ways[name])
            runs[name].append([round(wall, 2), round(processor, 2)])
            loads.append(load_average())
            print(name, runs[name][-1], loads[-1], file=sys.stderr, flush=True)
    ratios = {name: [round(statistics.median(b[kind] / a[kind] for a, b in zip(runs[name], runs["zennit-crp"],
              strict=True)), 2) for kind in (0, 1)] for name in list(ways)[:2]}  # fmt: skip
    same = {layer: _same(tops["scan, activations alone"], layer, tops["zennit-crp"][layer]) for layer in LAYERS}
    return {
        **before, "loads": loads, "load_after": load_average(), "zennit-crp": version("zennit-crp"),
        "pictures": count, "layers": LAYERS, "top": TOP, "rounds": rounds,
        "zennit-crp, processor seconds of 32 pictures by batch size": {k: round(v, 1) for k, v in trials.items()},
        "(wall, processor) seconds": runs, "times as long as the scan, (wall, processor), median": ratios,
        "share of the top 9 by activation that are the same": same, "bar": BAR,
    }  # fmt: skip


def _path(adapter: Any, layer: str) -> str:
    module = adapter.module_of(layer)
    return next(path for path, each in adapter.module.named_modules() if each is module)


def _same(tops: dict[str, np.ndarray], layer: str, other: np.ndarray) -> float:
    (own,) = [value for name, value in tops.items() if name.split()[0] == layer]
    pairs = zip(own.T, other.T, strict=True)
    return round(float(np.mean([len(set(a) & set(b)) / TOP for a, b in pairs])), 3)


if __name__ == "__main__":
    record = main(*map(int, sys.argv[1:]))
    append("beside_crp", record)
    print(json.dumps(record, indent=1))

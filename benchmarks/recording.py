"""What a `Recorder` costs beside the training that it records: a ResNet-20 on CIFAR-10, with a map over one picture.

Batches of 128 and records run in turns, one thread, weights as they are drawn; an epoch is 391 such batches. Processor
time is compared, so that what else the machine does falls on both alike. The bar is 2 % of an epoch for one picture.

    python -m benchmarks.recording [ROUNDS]
"""

from __future__ import annotations

import json
import sys
import tempfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np

from benchmarks.harness import ROOT, processor_time
from benchmarks.records import append
from benchmarks.surroundings import load as load_average
from benchmarks.surroundings import surroundings

TEXT = "input.pixel | attribute(output) | present(heatmap)"
BATCH, EXAMPLES, BATCHES = 128, 50_000, 2  # batches of a round
BAR = 0.02


def resnet20() -> Any:
    spec = spec_from_file_location("networks", ROOT.parent / "shared" / "data" / "models" / "networks.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CifarResNet(20)


def main(rounds: int) -> dict[str, Any]:
    import torch
    from torch.nn.functional import cross_entropy

    from bbilang.callbacks import Recorder

    torch.set_num_threads(1)
    torch.manual_seed(0)
    before = surroundings()
    net = resnet20().train()
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    x, y = torch.rand(BATCH, 3, 32, 32), torch.randint(10, (BATCH,))
    picture = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)

    def train() -> float:
        start = processor_time()
        for _ in range(BATCHES):
            optimizer.zero_grad()
            cross_entropy(net(x), y).backward()
            optimizer.step()
        return (processor_time() - start) / BATCHES

    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(TEXT, model=net, input=picture, folder=Path(folder), write="pages", on_error="stop")

        def record() -> float:
            start = processor_time()
            recorder.record()
            return processor_time() - start

        first, _ = record(), train()  # imports, and the description of the network
        pairs = [(train(), record()) for _ in range(rounds)]
    epoch = EXAMPLES / BATCH
    shares = [recorded / (step * epoch) for step, recorded in pairs]
    return {
        **before,
        "load_after": load_average(),
        "rounds": rounds,
        "milliseconds of a record": round(1000 * median(recorded for _, recorded in pairs), 1),
        "milliseconds of the first record": round(1000 * first, 1),
        "seconds of an epoch": round(epoch * median(step for step, _ in pairs), 1),
        "share of an epoch": round(median(shares), 6),
        "quartiles": [round(share, 6) for share in quantiles(shares, n=4)],
        "bar": BAR,
    }


if __name__ == "__main__":
    result = main(int((sys.argv[1:] or ["15"])[0]))
    append("recording", result)
    print(json.dumps(result, indent=1))

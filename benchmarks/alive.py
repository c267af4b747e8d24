"""Every channel of a layer gets an icon: how many are grey, and how the others stand to photographs. Appends a line of
JSON to results/alive.jsonl.

python -m benchmarks.alive [--layer head] [--size 48] [--steps 24] [--first 0] [--count 1280] [--photographs 100]

Photographs: `shared/data/imagenet-sample`, each of another class, prepared as the model's own. A channel is active on
some where its largest value over all photographs and positions exceeds 0. An icon that is not grey need not excite its
channel, so its mean response is compared with the 99th percentile of the photographs': both are means over positions.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bbilang.runtime.featvis.engine import Icon, Objective, Recipe, make
from bbilang.runtime.models.loading import load
from bbilang.runtime.passes import Passes, forward
from benchmarks.records import append
from benchmarks.surroundings import surroundings

ROOT = Path(__file__).parent
PHOTOGRAPHS = next(
    (found for up in ROOT.resolve().parents if (found := up / "shared/data/imagenet-sample").is_dir()), None
)


def photographs(count: int) -> list[Path]:
    """Files of the sample, spread over its classes; none where it is not there."""
    files = sorted(PHOTOGRAPHS.glob("*.jpg")) if PHOTOGRAPHS else []
    return files[:: max(1, len(files) // count)][:count]


def on_photographs(adapter: Any, layer: str, files: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    """(channel,) each: the largest value over photographs and positions; the 99th percentile of the mean response."""
    rows, means = [], []
    for file in files:
        with Image.open(file) as opened:
            picture, _ = adapter.prepare(opened.convert("RGB"))
        seen = forward(adapter, picture[None], [layer], want_output=False)[layer]
        rows.append(seen[0].flatten(1).amax(1).numpy())
        means.append(seen[0].flatten(1).mean(1).numpy())
    return np.max(rows, 0), np.quantile(means, 0.99, 0)


def main(layer: str, size: int, steps: int, first: int, count: int, photos: int) -> dict[str, Any]:
    adapter, where = load("efficientnet_lite0"), surroundings()
    channels = list(range(adapter.description.by_name[layer].shape[0]))[first : first + count]
    icons: dict[int, Icon] = {}
    counter, began = Passes(), time.perf_counter()

    def take(objective: Objective, icon: Icon) -> None:
        icons[int(objective.direction)] = icon  # type: ignore[arg-type]  # a channel
        if len(icons) % 64 == 0:
            print(len(icons), "of", len(channels), file=sys.stderr, flush=True)

    make(adapter, [Objective(layer, c) for c in channels], take, Recipe(size=size, steps=steps), counter=counter)
    seconds = time.perf_counter() - began
    grey = {c: icons[c].reason for c in channels if icons[c].dead}
    result: dict[str, Any] = {
        "benchmark": "alive",
        "layer": layer,
        "size": size,
        "steps": steps,
        "channels": [channels[0], channels[-1]],
        "icons": len(channels),
        "grey": len(grey),
        "reasons": dict(Counter(grey.values())),
        "smallest_objective": round(min(icons[c].objective for c in channels), 3),
        "batched_steps": counter.backwards,
        "seconds": round(seconds, 1),
    }
    files = photographs(photos) if photos else []
    if files:
        highest, usual = (values[channels] for values in on_photographs(adapter, layer, files))
        alive = highest > 0
        own = np.array([icons[c].objective for c in channels])
        result |= {
            "photographs": len(files),
            "active_on_some": int(alive.sum()),
            "active_and_grey": [c for c, yes in zip(channels, alive, strict=True) if yes and c in grey],
            "above_the_99th_percentile": int((own > usual).sum()),
            "not_above_it": [c for c, yes in zip(channels, own > usual, strict=True) if not yes],
            "smallest_multiple_of_it": round(float((own / np.maximum(usual, 1e-9)).min()), 2),
            "mean_above_half_of_the_largest": int((own >= highest / 2)[alive].sum()),
        }
    return {**result, **where}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layer", default="head")
    for name, value in (("size", 48), ("steps", 24), ("first", 0), ("count", 1280)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--photographs", type=int, default=100, dest="photos")
    print(append("alive", main(**vars(parser.parse_args()))))
